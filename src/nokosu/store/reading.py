"""Reading memories: rows of the index, the records behind them, and which memory hides which.

Nothing damaged is served: a record whose bytes are not what was signed raises `StoreDamaged`, and the caller says so.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from hashlib import sha256
from typing import Final

from msgspec import Struct

from nokosu import fold, ids, records
from nokosu.errors import NotFound, RecordRefused, Refused, StoreDamaged
from nokosu.fold import State, Status
from nokosu.records import Author, Content
from nokosu.store.index import STRINGS, counted, counted_records, folded
from nokosu.store.sqlite import Connection

_PREFIX_CANDIDATES: Final = 6


class MemoryRow(Struct, frozen=True):
    """A memory as the index has it. Times are in milliseconds since 1970; `project` is the number that stands for its
    project.
    """

    n: int
    id: str
    space: int
    space_name: str
    status: int
    record: int | None
    project: int | None
    project_name: str
    type: str
    agent: str
    device: int | None
    device_name: str
    importance: int | None
    conflict: int
    created: int | None
    updated: int | None
    hlc: int | None
    expires: int | None
    forgotten: int | None
    seen: int | None
    has_newer: int

    @property
    def order(self) -> fold.Order:
        """Which of two memories is the later one."""
        return (self.hlc or 0, self.id.encode())


COLUMNS = (
    "memory.n, memory.id, memory.space, space.name, memory.status, memory.record, root.n, coalesce(root.name, ''), memory.type, "
    "memory.agent, memory.device, coalesce(device.name, ''), memory.importance, memory.conflict, memory.created, memory.updated, "
    "memory.hlc, memory.expires, memory.forgotten, memory.seen, "
    "EXISTS (SELECT 1 FROM edge WHERE edge.space = memory.space AND edge.older = memory.id)"
)
TABLES = (
    "memory JOIN space ON space.n = memory.space LEFT JOIN project ON project.n = memory.project "
    "LEFT JOIN project AS root ON root.n = project.root LEFT JOIN device ON device.n = memory.device"
)

_NEWER = (
    f"SELECT {COLUMNS} FROM {TABLES} "
    "WHERE memory.space = ? AND memory.id IN (SELECT newer FROM edge WHERE space = ? AND older = ?)"
)


def rows_by_number(connection: Connection, numbers: Sequence[int]) -> dict[int, MemoryRow]:
    """The rows of some memories, by number."""
    marks = ", ".join("?" * len(numbers))
    found = connection.rows(f"SELECT {COLUMNS} FROM {TABLES} WHERE memory.n IN ({marks})", tuple(numbers))
    return {row[0]: MemoryRow(*row) for row in found}


def numbers_in_projects(connection: Connection, numbers: Sequence[int], members: Sequence[int]) -> set[int]:
    """Those of some memories that are filed under one of the projects *members*."""
    sql = "SELECT n FROM memory WHERE n IN (SELECT value FROM json_each(?)) AND project IN (SELECT value FROM json_each(?))"
    return {n for (n,) in connection.rows(sql, (json.dumps(numbers), json.dumps(members)))}


def rows_by_prefix(connection: Connection, prefix: str, limit: int) -> list[MemoryRow]:
    """The memories whose id begins with *prefix*, living ones first, at most *limit*."""
    whole = ids.is_memory_id(prefix)
    where = "memory.id = ?" if whole else "memory.id >= ? AND memory.id < ?"
    found = connection.rows(
        f"SELECT {COLUMNS} FROM {TABLES} WHERE {where} ORDER BY memory.status, memory.id, space.n LIMIT ?",
        (prefix, limit) if whole else (prefix, prefix + "~", limit),
    )
    return [MemoryRow(*row) for row in found]


def row_named(connection: Connection, typed: str, field: str = "id") -> MemoryRow:
    """The one memory whose id begins as somebody *typed*; the same id in two spaces counts once, living before forgotten.

    Raises:
        UsageError: it is no beginning of an id.
        NotFound, Refused: no memory's id begins so, or several do.
    """
    prefix = ids.memory_id_prefix(typed, field=field)
    rows = rows_by_prefix(connection, prefix, _PREFIX_CANDIDATES)
    named = list(dict.fromkeys(row.id for row in rows))
    if not named:
        raise no_memory(prefix, field)
    if len(named) > 1:
        raise Refused(f"{field}: {prefix} is the beginning of several ids: {', '.join(named)}", field=field)
    return rows[0]


def no_memory(prefix: str, field: str = "id") -> NotFound:
    """The error that says so."""
    return NotFound(f"{field}: no memory {prefix}", hint="nokosu search WORDS", field=field)


class Shown(Struct, frozen=True):
    """What a memory shows, and who wrote it."""

    author: Author
    content: Content


def shown(connection: Connection, rows: Sequence[MemoryRow]) -> dict[int, Shown | None]:
    """What memories show, by number, after checking that it is what was written; None where it is not."""
    wanted = {row.record: row for row in rows}
    marks = ", ".join("?" * len(wanted))
    sql = f"SELECT n, {STRINGS}, hash, memory FROM record WHERE n IN ({marks})"
    found: dict[int, Shown | None] = dict.fromkeys(row.n for row in rows)
    for n, header, _, body, hash, memory in connection.rows(sql, tuple(wanted)):
        if memory == wanted[n].id:  # a row that names another memory's record is damaged
            found[wanted[n].n] = _whole(header, body, hash)
    return found


def shown_by(connection: Connection, row: MemoryRow) -> Shown:
    """What one memory shows.

    Raises:
        StoreDamaged: it is not what was written, or it is not there.
    """
    found = shown(connection, [row])[row.n]
    if found is None:
        raise damaged(row.id)
    return found


def state_of(connection: Connection, row: MemoryRow) -> State:
    """A memory folded from its records, after checking them.

    Raises:
        StoreDamaged: a record is not what was written.
    """
    found = counted_records(connection, row.space, row.id)
    if found is None:
        raise damaged(row.id)
    state = folded(connection, row.space, found)
    shown_hlc = state.shown.record.core.hlc if state.shown is not None else None
    if (state.status, shown_hlc, state.shown is None) != (row.status, row.hlc, row.record is None):
        raise damaged(row.id)  # a record of it is not found any more, or its row is not what was written
    return state


class Removed(Struct, frozen=True):
    """A memory as it would be if what this device wrote after it was removed from its space counted."""

    row: MemoryRow
    state: State


def removed(connection: Connection) -> list[Removed]:
    """The memories that show something this device wrote in a space after it was removed from it, or so it would, oldest first."""
    named = connection.rows(
        "SELECT log.space, record.memory FROM device JOIN log ON log.device = device.n JOIN record ON record.log = log.n "
        "WHERE device.private_key IS NOT NULL AND record.cut AND record.memory <> '' GROUP BY 1, 2 ORDER BY min(record.n)"
    )
    found = []
    for space, memory in named:
        state = _with_own(connection, space, memory)
        row = next((one for one in rows_by_prefix(connection, memory, _PREFIX_CANDIDATES) if one.space == space), None)
        if row is not None and state is not None:
            found.append(Removed(row, state))
    return found


def _with_own(connection: Connection, space: int, memory: str) -> State | None:
    """The state of a memory, all that this device wrote taken in, if such a record is what it shows then."""
    found = counted(connection, space, memory, with_own=True)
    state = folded(connection, space, found.records) if found is not None else None
    if found is None or state is None or state.shown is None:
        return None
    row = connection.row("SELECT cut FROM record WHERE n = ?", (found.rows[state.shown.record.hash][0],))
    return state if row is not None and row[0] else None


class Supersessions:
    """Which living memory hides which, in one view of the store at one moment. Rows read are kept for the next
    question.
    """

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._rows: dict[int, MemoryRow] = {}
        self._newer: dict[int, list[int]] = {}
        self._newest: dict[int, MemoryRow] = {}
        self._links = fold.Supersessions(self._newer_of, lambda n: self._rows[n].order)

    def hidden_by(self, row: MemoryRow) -> MemoryRow | None:
        """The living memory that supersedes this one and hides it, or None."""
        if not row.has_newer:
            return None
        self._rows[row.n] = row
        hiding = self._links.hidden_by(row.n)
        return self._rows[hiding] if hiding is not None else None

    def newest_of(self, row: MemoryRow) -> MemoryRow:
        """What stands in the place of a memory now: where going on from what hides it to what hides that one ends."""
        passed = []
        while row.n not in self._newest and (above := self.hidden_by(row)) is not None:
            passed.append(row.n)
            row = above
        newest = self._newest.setdefault(row.n, row)
        self._newest |= dict.fromkeys(passed, newest)
        return newest

    def nearest_above(self, row: MemoryRow, among: Container[int]) -> MemoryRow | None:
        """The first of the memories *among* that is met on the way from a memory to what stands in its place now."""
        above = self.hidden_by(row)
        while above is not None and above.n not in among:
            above = self.hidden_by(above)
        return above

    def _newer_of(self, n: int) -> list[int]:
        if n not in self._newer:
            row = self._rows[n]
            found = self._connection.rows(_NEWER, (row.space, row.space, row.id)) if row.has_newer else []
            newer = [other for other in (MemoryRow(*values) for values in found) if is_alive(other, self._now_ms)]
            self._rows |= {other.n: other for other in newer}
            self._newer[n] = [other.n for other in newer]
        return self._newer[n]


def hidden_by(connection: Connection, row: MemoryRow, now_ms: int) -> MemoryRow | None:
    """The living memory that supersedes this one and hides it, or None."""
    return Supersessions(connection, now_ms).hidden_by(row)


def is_alive(row: MemoryRow, now_ms: int) -> bool:
    """Whether a memory is neither forgotten nor purged nor expired."""
    return row.status == Status.LIVE and not is_expired(row, now_ms)


def is_expired(row: MemoryRow, now_ms: int) -> bool:
    """Whether a memory's time is over."""
    return row.expires is not None and row.expires <= now_ms


def _whole(header: bytes, body: bytes | None, hash: bytes) -> Shown | None:
    if body is None or sha256(header).digest() != hash:
        return None
    try:
        core = records.read_core(header)
        content = records.read_content(body)
    except RecordRefused:
        return None
    return Shown(core.author, content) if sha256(body).digest() == core.body else None


def damaged(id: str) -> StoreDamaged:
    """The error that says that a memory is damaged."""
    return StoreDamaged(f"memory {id} is damaged on disk and is not shown", hint="nokosu verify")
