"""Holdings: which records we hold, by page, for comparing with a storage; read from the store, and nothing else.

A page counts as the same as long as it has as many records and the same one came last: records are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from nokosu import ids, limits, records
from nokosu.mesh import keys
from nokosu.records import Kind, Record
from nokosu.store import scrubbed
from nokosu.store.log import Head
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection
from nokosu.store.vectors import Announcement, longest

_NO_END: Final = 1 << 62


class PageName(Struct, frozen=True):
    """One page of one log."""

    log: bytes
    page: int


class Held(Struct, frozen=True):
    """How many records of a page there are, and the row of the one that came last."""

    count: int
    last: int


class Holdings:
    """What is held of each page."""

    def __init__(self, space: Space) -> None:
        self.pages: dict[PageName, Held] = {}
        self._space = space
        self._seen = 0

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(held.count for held in self.pages.values())

    def look(self, connection: Connection) -> list[PageName]:
        """Take in what was added since the last look; the pages that it changed."""
        row = connection.row("SELECT max(n) FROM record")
        end = (row and row[0]) or 0
        if end < self._seen:
            self.pages, self._seen = {}, 0
        if end == self._seen:
            return []
        rows = connection.rows(_ADDED_SQL if self._seen else _ALL_SQL, (keys.PAGE_RECORDS, self._space.n, self._seen))
        self._seen = end
        changed = []
        for log, page, count, last in rows:
            name = PageName(log, page)
            before = self.pages.get(name, Held(0, 0))
            self.pages[name] = Held(before.count + count, max(before.last, last))
            changed.append(name)
        return changed


_ALL_SQL = (
    "SELECT log.id, (record.seq - 1) / ?1, count(*), max(record.n) FROM log JOIN record ON record.log = log.n "
    "WHERE log.space = ?2 AND record.n > ?3 GROUP BY 1, 2"
)
# By the rows that were added, not by the logs: what is new is little.
_ADDED_SQL = (
    "SELECT log.id, (record.seq - 1) / ?1, count(*), max(record.n) FROM record CROSS JOIN log ON log.n = record.log "
    "WHERE record.n > ?3 AND log.space = ?2 GROUP BY 1, 2"
)


def tails(connection: Connection, space: Space, name: PageName, *, after: int, until: int) -> list[str]:
    """The names of a page's records whose rows came after one and not after another, in the order they came."""
    first = name.page * keys.PAGE_RECORDS + 1
    rows = connection.rows(
        "SELECT record.seq, record.hash FROM log JOIN record ON record.log = log.n WHERE log.id = ? AND log.space = ? "
        "AND record.seq BETWEEN ? AND ? AND record.n > ? AND record.n <= ? ORDER BY record.n",
        (name.log, space.n, first, first + keys.PAGE_RECORDS - 1, after, until),
    )
    return [keys.tail(name.log, seq, hash) for seq, hash in rows]


def some(connection: Connection, space: Space, name: PageName, random: ids.Random, *, others: int) -> list[str]:
    """The name of the last record of a page by number, and of *others* anywhere in it."""
    first = name.page * keys.PAGE_RECORDS + 1
    last = first + keys.PAGE_RECORDS - 1
    found: dict[str, None] = {}
    for _ in range(1 + others):
        row = connection.row(
            "SELECT record.seq, record.hash FROM log JOIN record ON record.log = log.n WHERE log.id = ? AND log.space = ? "
            "AND record.seq BETWEEN ? AND ? ORDER BY record.seq DESC, record.n DESC LIMIT 1",
            (name.log, space.n, first, last),
        )
        if row is None:
            break
        found[keys.tail(name.log, *row)] = None
        last = first + int.from_bytes(random(4), "big") % (row[0] - first + 1)
    return list(found)


def record(connection: Connection, space: Space, tail: str) -> Record | None:
    """Our record of that name, as it is now."""
    name = keys.parse_tail(tail)
    if name is None:
        return None
    rows = connection.rows(
        "SELECT CAST(header AS BLOB), CAST(signature AS BLOB), CAST(body AS BLOB) FROM log JOIN record ON record.log = log.n "
        "WHERE log.id = ? AND log.space = ? AND record.seq = ?",
        (name.log, space.n, name.seq),
    )
    found = (records.read(*row) for row in rows)
    return next((one for one in found if one.hash.startswith(name.hash)), None)


def has_text(connection: Connection, space: Space, tail: str) -> bool:
    """Whether the record of that name is here with a text that others may have: what is kept of a purged memory for its time
    is for nobody else.
    """
    found = record(connection, space, tail)
    return found is not None and found.body is not None and not is_purged(connection, space, found)


def is_purged(connection: Connection, space: Space, record: Record) -> bool:
    """Whether a record has a text and its memory is purged: then it is for nobody else, though this device may keep it."""
    return record.core.kind != Kind.PURGE and scrubbed.is_purged(connection, space.n, record.core.memory)


def lacked(connection: Connection, space: Space, ours: Iterable[Head], said: Announcement) -> list[str]:
    """The names of the first records of each log that a device says it lacks, and we hold; bounded."""
    theirs = longest(said.heads)
    held: dict[bytes, list[tuple[int, int]]] = {}
    for chain in said.ahead:
        held.setdefault(chain.log, []).append((chain.first, chain.seq))
    found: list[str] = []
    known = set(said.heads)
    logs = {head.log for head in ours if head not in known} | held.keys()
    for log in sorted(logs):
        first = theirs.get(log, 0) + 1
        for start, end in (*sorted(held.get(log, ())), (_NO_END, _NO_END)):
            found += _first_of(connection, space, log, first, start - 1)
            first = end + 1
        if len(found) >= limits.DOUBTED_MAX:
            break
    return found


def _first_of(connection: Connection, space: Space, log: bytes, first: int, last: int) -> list[str]:
    rows = connection.rows(
        "SELECT record.seq, record.hash FROM log JOIN record ON record.log = log.n WHERE log.id = ? AND log.space = ? "
        "AND record.seq BETWEEN ? AND ? AND record.body IS NOT NULL ORDER BY record.seq LIMIT ?",
        (log, space.n, first, last, limits.DOUBTED_PER_LOG),
    )
    return [keys.tail(log, seq, hash) for seq, hash in rows]


def owed(connection: Connection, space: Space) -> list[str]:
    """The names of all records whose text is here, though somebody may have taken it from a storage: a purge of their
    memory is here as well, which does not count, or not any more.
    """
    memories = scrubbed.purged_in_vain(connection, space.n)
    found = [head for memory in memories for head in scrubbed.kept(connection, space.n, memory)]
    return [keys.tail(head.log, head.seq, head.hash) for head in found]


def purged(connection: Connection, space: Space) -> dict[str, str]:
    """The names of all records whose body a purge that counts has taken, and the memory of each."""
    found = scrubbed.erased(connection, space.n)
    return {keys.tail(head.log, head.seq, head.hash): memory for head, memory in found}
