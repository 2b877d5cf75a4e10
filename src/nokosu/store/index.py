"""The index: memories, their words and their links, kept in step with the log. A projection: `rebuild` makes it anew.

Before records are added to a memory its words are taken out (`remove`), afterwards the memory is folded again and put
back (`add`), in the same transaction. The full-text table keeps no text of its own, so taking words out means telling
it exactly what was put in; both come from `_words`, of the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from nokosu import limits, records
from nokosu.errors import RecordRefused
from nokosu.fold import State, Status, Version, fold, own_words
from nokosu.records import Content, Kind, Record
from nokosu.search import text as search_text
from nokosu.search.text import IndexedText
from nokosu.store import projects, roster, scope
from nokosu.store.sqlite import Connection
from nokosu.times import DAY_MS

_COLUMNS: Final = "subject, body, tags, extra, scope"
_INDEXED: Final = (Status.LIVE, Status.FORGOTTEN)
STRINGS: Final = "CAST(record.header AS BLOB), CAST(record.signature AS BLOB), CAST(record.body AS BLOB)"
"""The three strings of a record. One flipped bit makes SQLite take bytes for text, which need not be any."""

DAMAGED: Final = State(Status.DAMAGED, (), (), None, None)


class Index:
    """Memories, words and links of all spaces."""

    def remove(self, connection: Connection, space: int, memories: Iterable[str]) -> list[str]:
        """Take the words of *memories* out, before their records change; those of which the tables know nothing."""
        unknown = []
        for memory in memories:
            row = connection.row(
                "SELECT n, project, status, record, conflict FROM memory WHERE id = ? AND space = ?", (memory, space)
            )
            if row is None:
                unknown.append(memory)
                continue
            if row[2] not in _INDEXED:
                continue
            n, project, _, shown, in_conflict = row
            versions = _versions(connection, space, memory, None if in_conflict else shown)
            if versions:  # words of a memory that was damaged since stay behind until a rebuild; they lead nowhere
                values = (n, *words_of(space, project, versions))
                connection.run(
                    f"INSERT INTO word (word, rowid, {_COLUMNS}) VALUES ('delete', ?, ?, ?, ?, ?, ?)", values
                )
        return unknown

    def add(self, connection: Connection, space: int, memories: Iterable[str]) -> None:
        """Fold *memories* from their records and put them into the tables, after their records changed."""
        for memory in memories:
            found = counted(connection, space, memory)
            state = folded(connection, space, found.records) if found is not None else DAMAGED
            project = _project(connection, found.records if found is not None else (), state.shown)
            n = _put_memory(connection, space, memory, memory_row(connection, found or NOTHING, state, project))
            _put_edges(connection, space, memory, state)
            if has_words(state):
                _put_words(connection, n, words_of(space, project, state.versions))
            if found is not None:
                scrub(connection, space, memory, found, state)

    def begin(self, connection: Connection, space: int, memory: str, new: Sequence[Placed]) -> bool:
        """Put in a memory of which nothing is here but *new*, as most enter: one save that can be read; False, and nothing
        done, where it is anything else.
        """
        record = new[0].record
        text = (new[0].ready or ready(record)) if len(new) == 1 and record.core.kind == Kind.SAVE else None
        if text is None:
            return False
        state = State(Status.LIVE, (Version(record, text.content),), (record.id,), record, None)
        project = _project(connection, (), state.shown)
        found = Counted([record], {record.hash: (new[0].n, new[0].device)})
        connection.run(_INSERT_MEMORY, (None, memory, space, *memory_row(connection, found, state, project)))
        n = connection.last_insert_rowid()
        _add_edges(connection, space, memory, state)
        _put_words(connection, n, words_of(space, project, state.versions, [text.words]))
        return True

    def extend(self, connection: Connection, space: int, memory: str, new: Sequence[Placed]) -> bool:
        """Put a memory back whose records changed by nothing but *new* edits, each of which follows all that were there; False,
        and nothing done, where that is not so. Then what it shows is the last of them, and its history need not be read.
        """
        row = connection.row(
            "SELECT n, tip FROM memory WHERE id = ? AND space = ? AND status = ? AND tip IS NOT NULL",
            (memory, space, Status.LIVE),
        )
        if row is None or not all(one.record.core.kind == Kind.EDIT for one in new):
            return False
        tip = row[1]
        for one in new:
            if tip not in one.record.core.after:
                return False
            tip = one.record.id
        texts = [one.ready or ready(one.record) for one in new]
        text = texts[-1]
        if text is None or None in texts:
            return False
        for one in new[:-1]:
            projects.resolve(connection, one.record.core.author.projects)
        last = new[-1].record
        state = State(Status.LIVE, (Version(last, text.content),), (tip,), None, None)
        found = Counted([last], {last.hash: (new[-1].n, new[-1].device)})
        project = _project(connection, (), state.shown)
        values = dict(zip(MEMORY_COLUMNS, memory_row(connection, found, state, project), strict=True))
        values |= {"tip": tip}
        del values["created"]
        names = ", ".join(f"{name} = ?" for name in values)
        connection.run(f"UPDATE memory SET {names} WHERE n = ?", (*values.values(), row[0]))
        _put_edges(connection, space, memory, state)
        _put_words(connection, row[0], words_of(space, project, state.versions, [text.words]))
        return True

    def drop(self, connection: Connection, space: int, memory: str) -> None:
        """Take a memory out altogether, before its records leave the space."""
        self.remove(connection, space, [memory])
        connection.run("DELETE FROM edge WHERE space = ? AND newer = ?", (space, memory))
        connection.run("DELETE FROM memory WHERE space = ? AND id = ?", (space, memory))
        for table in ("erased", "waiting_purge"):
            connection.run(f"DELETE FROM {table} WHERE space = ? AND memory = ?", (space, memory))

    def rebuild(self, connection: Connection, word_table: str) -> int:
        """Make every projection of the records anew, inside the caller's transaction; how many memories there are.

        *word_table* is the SQL that makes the full-text table: it is dropped first, so that damage in it does not
        matter.
        """
        connection.run("DROP TABLE word")
        connection.run(word_table)
        for table in ("memory", "edge", "project", "project_key", "erased", "waiting_purge"):
            connection.run(f"DELETE FROM {table}")
        named = connection.rows(
            "SELECT log.space, record.memory FROM record JOIN log ON log.n = record.log WHERE record.memory <> '' "
            "GROUP BY 1, 2 ORDER BY min(record.n)"
        )
        for space, memory in named:
            self.add(connection, space, [memory])
        return len(named)


class Ready(Struct, frozen=True):
    """The text of a record, and its words as the full-text table is told them: made before the write lock is taken."""

    content: Content
    words: IndexedText


class Placed(Struct, frozen=True):
    """A record that counts, its row, and its device's number; and its text, if that was made ready."""

    record: Record
    n: int
    device: int
    ready: Ready | None = None


class Counted(Struct, frozen=True):
    """The records of one memory that count, in the order they came, and where the table has them: the number of the row
    and of the device, by header hash.
    """

    records: list[Record]
    rows: dict[bytes, tuple[int, int]]


NOTHING: Final = Counted([], {})


def ready(record: Record) -> Ready | None:
    """See `Ready`; None for a record without a text."""
    content = record.content()
    return Ready(content, _indexed(content)) if content is not None else None


def counted(connection: Connection, space: int, memory: str, *, with_own: bool = False) -> Counted | None:
    """The records that name *memory* in *space* and count there; *with_own*: and all those of this device.

    None when one of them is not what was written: what is left must not be taken for the memory.
    """
    counts = "(NOT record.cut OR log.device IN (SELECT n FROM device WHERE private_key IS NOT NULL))"
    rows = connection.rows(
        f"SELECT {STRINGS}, record.hash, record.n, log.device FROM record JOIN log ON log.n = record.log "
        "JOIN member ON member.space = log.space AND member.device = log.device "
        f"WHERE record.memory = ? AND log.space = ? AND {counts if with_own else 'NOT record.cut'} ORDER BY record.n",
        (memory, space),
    )
    try:
        found = [records.read(header, signature, body) for header, signature, body, *_ in rows]
    except RecordRefused:
        return None
    whole = all(
        record.hash == row[3] and (record.body is None or record.body_is_whole()) and record.core.memory == memory
        for record, row in zip(found, rows, strict=True)
    )
    return Counted(found, {row[3]: (row[4], row[5]) for row in rows}) if whole else None


def counted_records(connection: Connection, space: int, memory: str) -> list[Record] | None:
    """The records of `counted`."""
    found = counted(connection, space, memory)
    return found.records if found is not None else None


def text_digest(text: str) -> int:
    """64 bits of a text's hash, to find the same text again; the texts are compared as well."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big", signed=True)


def is_personal(connection: Connection, space: int) -> bool:
    """Whether all devices of a space are one person's: `personal`, whatever moves there, and `local`.

    That name is the same on all its devices: it is given when a store is made, a joiner takes it over from whoever invites,
    and no other space can have it.
    """
    row = connection.row(
        "SELECT 1 FROM space WHERE n = ? AND (name IN (?, ?) OR moving_to IS NOT NULL)",
        (space, roster.PERSONAL, roster.LOCAL),
    )
    return row is not None


def folded(connection: Connection, space: int, found: Sequence[Record]) -> State:
    """The state of a memory of *space*, whose records that count are *found*."""
    return fold(found, personal=is_personal(connection, space))


ERASED: Final = (
    "EXISTS (SELECT 1 FROM erased WHERE erased.space = log.space "
    "AND erased.memory = record.memory AND erased.record = record.n)"
)
"""Of a row of `record` and its `log`: whether a purge has erased its body."""


def scrub(connection: Connection, space: int, memory: str, found: Counted, state: State) -> None:
    """Remove the bodies of records that a purge erased; their signed headers stay. What may not go yet waits, and
    `scrub_due` removes it.
    """
    _scrub(connection, space, memory, erased_of(connection, space, memory, found, state))
    due = due_of(connection, space, memory, found, state)
    if due is None:
        connection.run("DELETE FROM waiting_purge WHERE space = ? AND memory = ?", (space, memory))
    else:
        connection.run("INSERT OR REPLACE INTO waiting_purge VALUES (?, ?, ?)", (space, memory, due))


def erased_of(connection: Connection, space: int, memory: str, found: Counted, state: State) -> set[int]:
    """The rows of a memory's records whose bodies are not to be kept. What does not count goes with the rest of a purged
    memory, and with what it was made of.
    """
    purging = {record.core.device for record in found.records if record.core.kind == Kind.PURGE}
    if not purging:
        return set()
    rows = _rows(connection, space, memory)
    if state.status == Status.PURGED and is_personal(connection, space):
        return set(rows)
    own = own_words((record for record, _ in rows.values()), purging)
    erased, counting = set(state.erased), {n for n, _ in found.rows.values()}
    return {
        n
        for n, (record, has_body) in rows.items()
        if record.id in erased or (n not in counting and record.id in own) or (state.waits_for and not has_body)
    }


def erased_there(connection: Connection, space: int, memory: str) -> set[int]:
    """What the table of erased records says of a memory."""
    rows = connection.rows("SELECT record FROM erased WHERE space = ? AND memory = ?", (space, memory))
    return {n for (n,) in rows}


def waiting_purges(
    connection: Connection, now_ms: int, *, most: int = limits.SETTLED_AT_ONCE_MAX
) -> list[tuple[int, str]]:
    """Purged memories whose text may go from this device now, of at most *most*: their spaces and ids."""
    return connection.rows(
        "SELECT space, memory FROM waiting_purge WHERE due_ms <= ? ORDER BY due_ms LIMIT ?", (now_ms, most)
    )


def scrub_due(connection: Connection, now_ms: int, memories: Iterable[tuple[int, str]]) -> None:
    """Remove what is left of those of some memories, by space and id, whose time has come on this device."""
    for space, memory in memories:
        until = waits_until(connection, space, memory)
        if until is not None and until <= now_ms:
            _scrub_all(connection, space, memory)
            connection.run("DELETE FROM waiting_purge WHERE space = ? AND memory = ?", (space, memory))


def kept_purges(connection: Connection, space: int) -> list[str]:
    """The purged memories of a space whose text this device still keeps, those that go first first."""
    rows = connection.rows("SELECT memory FROM waiting_purge WHERE space = ? ORDER BY due_ms, memory", (space,))
    return [memory for (memory,) in rows]


def waits_until(connection: Connection, space: int, memory: str) -> int | None:
    """Until when this device keeps the text of a purged memory, by its clock; None where nothing of it is kept."""
    row = connection.row("SELECT due_ms FROM waiting_purge WHERE space = ? AND memory = ?", (space, memory))
    return int(row[0]) if row is not None else None


def due_of(connection: Connection, space: int, memory: str, found: Counted, state: State) -> int | None:
    """When the rest of a purged memory may go: 30 days after this device saw one of the forgets that the purge follows."""
    if not state.waits_for:
        return None
    erased = erased_of(connection, space, memory, found, state)
    if erased >= _rows(connection, space, memory).keys():
        return None
    wall = {record.id: record.core.wall for record in found.records}
    marks = ", ".join("?" * len(state.waits_for))
    seen: dict[bytes, int] = dict(
        connection.rows(f"SELECT record, wall FROM first_seen WHERE record IN ({marks})", state.waits_for)
    )
    return min(seen.get(id, wall[id]) for id in state.waits_for) + limits.RESTORE_DAYS * DAY_MS


def _scrub_all(connection: Connection, space: int, memory: str) -> None:
    _scrub(connection, space, memory, set(_rows(connection, space, memory)))


def _scrub(connection: Connection, space: int, memory: str, rows: Iterable[int]) -> None:
    connection.run("DELETE FROM erased WHERE space = ? AND memory = ?", (space, memory))
    for n in rows:
        connection.run("INSERT INTO erased (space, memory, record) VALUES (?, ?, ?)", (space, memory, n))
        connection.run("UPDATE record SET body = NULL WHERE n = ? AND body IS NOT NULL", (n,))


def _rows(connection: Connection, space: int, memory: str) -> dict[int, tuple[Record, bool]]:
    """A memory's records, whether they count or not, by their rows, and whether they have a body; without purges, which
    keep theirs.
    """
    rows = connection.rows(
        "SELECT record.n, record.header, record.signature, record.body IS NOT NULL FROM record "
        "JOIN log ON log.n = record.log WHERE record.memory = ? AND log.space = ?",
        (memory, space),
    )
    found: dict[int, tuple[Record, bool]] = {}
    for n, header, signature, has_body in rows:
        with suppress(RecordRefused):  # one that does not count and is damaged: `verify` tells
            found[n] = (records.read(header, signature, None), bool(has_body))
    return {n: one for n, one in found.items() if one[0].core.kind != Kind.PURGE}


def _versions(connection: Connection, space: int, memory: str, shown: int | None) -> tuple[Version, ...]:
    """The versions whose words are in the index. Where one alone is *shown*, its record says it all, however long the
    memory's history is.
    """
    row = connection.row(f"SELECT {STRINGS} FROM record WHERE n = ? AND memory = ?", (shown, memory)) if shown else None
    if row is not None:
        try:
            record = records.read(*row)
        except RecordRefused:
            return ()
        content = record.content() if record.body_is_whole() else None
        return (Version(record, content),) if content is not None else ()
    found = counted_records(connection, space, memory)
    return folded(connection, space, found).versions if found is not None else ()


def _seen(connection: Connection, found: Iterable[Record], state: State) -> int | None:
    """When this device saw the last of a forgotten memory's forgets, by its own clock; None for what was forgotten before
    such times were kept, and for what is not forgotten.
    """
    if state.status != Status.FORGOTTEN:
        return None
    forgets = [record.id for record in found if record.core.kind in (Kind.FORGET, Kind.PURGE)]
    marks = ", ".join("?" * len(forgets))
    row = connection.row(f"SELECT max(wall) FROM first_seen WHERE record IN ({marks})", forgets)
    return None if row is None or row[0] is None else int(row[0])


def memory_row(connection: Connection, found: Counted, state: State, project: int | None) -> tuple[Any, ...]:
    """The columns of a memory that follow from its records, in the order of `MEMORY_COLUMNS`."""
    shown, seen = state.shown, _seen(connection, found.records, state)
    created = state.created.core.wall if state.created else None
    if shown is None:
        return (
            state.status, None, None, "", "", None, None, 0, None, created, created, None, None, state.forgotten_ms, seen, None,
        )  # fmt: skip
    record, content = shown.record, shown.content
    n, device = found.rows[record.hash]
    return (
        state.status, n, project, content.type, record.core.author.agent, device, content.importance,
        int(state.in_conflict), text_digest(content.text), created, record.core.wall, record.core.hlc,
        content.expires, state.forgotten_ms, seen, tip_of(found.records, state),
    )  # fmt: skip


def tip_of(found: Sequence[Record], state: State) -> bytes | None:
    """The id of the one record that follows all others of a living memory: an edit that follows it is all that is shown then.
    None where there are several, where something was purged, and while the save is not here.
    """
    saved = state.created is not None and state.created.core.kind == Kind.SAVE
    if state.status != Status.LIVE or len(state.heads) != 1 or not saved:
        return None
    return None if any(record.core.kind == Kind.PURGE for record in found) else state.heads[0]


MEMORY_COLUMNS: Final = (
    "status", "record", "project", "type", "agent", "device", "importance", "conflict", "digest", "created", "updated", "hlc",
    "expires", "forgotten", "seen", "tip",
)  # fmt: skip
_UPDATE_MEMORY: Final = f"UPDATE memory SET {', '.join(f'{name} = ?' for name in MEMORY_COLUMNS)} WHERE n = ?"
_MARKS: Final = ", ".join("?" * len(MEMORY_COLUMNS))
_INSERT_MEMORY: Final = f"INSERT INTO memory (n, id, space, {', '.join(MEMORY_COLUMNS)}) VALUES (?, ?, ?, {_MARKS})"


def _put_memory(connection: Connection, space: int, memory: str, values: tuple[Any, ...]) -> int:
    row = connection.row("SELECT n, status FROM memory WHERE id = ? AND space = ?", (memory, space))
    if row is not None and (row[1] != Status.DAMAGED or values[0] == Status.DAMAGED):
        connection.run(_UPDATE_MEMORY, (*values, row[0]))
        return int(row[0])
    number = None  # SQLite chooses
    if row is not None:  # words may have stayed behind under its number: what was mended gets one that none had
        (number,) = connection.rows("SELECT max(n) + 1 FROM memory")[0]
        connection.run("DELETE FROM memory WHERE n = ?", (row[0],))
    connection.run(_INSERT_MEMORY, (number, memory, space, *values))
    return connection.last_insert_rowid()


def _put_edges(connection: Connection, space: int, memory: str, state: State) -> None:
    connection.run("DELETE FROM edge WHERE space = ? AND newer = ?", (space, memory))
    _add_edges(connection, space, memory, state)


def _add_edges(connection: Connection, space: int, memory: str, state: State) -> None:
    for older in state.shown.content.supersedes if state.shown else ():
        connection.run("INSERT OR IGNORE INTO edge (space, older, newer) VALUES (?, ?, ?)", (space, older, memory))


def _put_words(connection: Connection, n: int, words: tuple[str, ...]) -> None:
    connection.run(f"INSERT INTO word (rowid, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", (n, *words))


def _project(connection: Connection, found: Iterable[Record], shown: Version | None) -> int | None:
    """The number of the project of the version shown. Keys that occur in any record of the memory are one project,
    though its text be purged or have moved elsewhere since.
    """
    for record in found:
        if shown is None or record is not shown.record:
            projects.resolve(connection, record.core.author.projects)
    if shown is None:
        return None
    core = shown.record.core
    return projects.resolve(connection, core.author.projects, shown.content.project, core.hlc)


def has_words(state: State) -> bool:
    """Whether a memory is in the full-text table. A forgotten one is, unless its forget came before its text."""
    return state.status in _INDEXED and bool(state.versions)


def words_of(
    space: int, project: int | None, versions: Sequence[Version], texts: Iterable[IndexedText] = ()
) -> tuple[str, ...]:
    """What the full-text table is told of a memory: all its concurrent versions, so that none is lost to a search. *texts*
    are their words, where they were made ready.
    """
    indexed = texts or [_indexed(version.content) for version in versions]
    parts = [(words.subject, words.body, words.tags, words.extra) for words in indexed]
    record, content = versions[0].record, versions[0].content
    tokens = scope.tokens(
        space=space,
        project=project,
        type=content.type,
        agent=record.core.author.agent,
        device=record.core.device,
        tags=content.tags,
    )
    joined = tuple("\n".join(column) for column in zip(*parts, strict=True))
    return (*joined, tokens)


def _indexed(content: Content) -> IndexedText:
    return search_text.indexed(content.subject, content.text, content.tags, content.refs)
