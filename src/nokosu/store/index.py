"""The index: memories, their words and their links, kept in step with the log. A projection: `rebuild` makes it anew.

Before records are added to a memory its words are taken out (`remove`), afterwards the memory is folded again and put
back (`add`), in the same transaction. The full-text table keeps no text of its own, so taking words out means telling
it exactly what was put in; both come from `_words`, of the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from nokosu import records
from nokosu.errors import RecordRefused
from nokosu.fold import State, Status, Version, fold
from nokosu.records import Content, Kind, Record
from nokosu.search import text as search_text
from nokosu.store import projects, scope
from nokosu.store.sqlite import Connection

_COLUMNS: Final = "subject, body, tags, extra, scope"
_INDEXED: Final = (Status.LIVE, Status.FORGOTTEN)
STRINGS: Final = "CAST(record.header AS BLOB), CAST(record.signature AS BLOB), CAST(record.body AS BLOB)"
"""The three strings of a record. One flipped bit makes SQLite take bytes for text, which need not be any."""

DAMAGED: Final = State(Status.DAMAGED, (), (), None, None)


class Index:
    """Memories, words and links of all spaces."""

    def remove(self, connection: Connection, space: int, memories: Iterable[str]) -> None:
        """Take the words of *memories* out, before their records change."""
        for memory in memories:
            row = connection.row("SELECT n, project, status FROM memory WHERE id = ? AND space = ?", (memory, space))
            if row is None or row[2] not in _INDEXED:
                continue
            found = counted_records(connection, space, memory)
            if found is None:
                continue  # words of a memory that was damaged since stay behind until a rebuild; they lead nowhere
            state = fold(found)
            if has_words(state):
                values = (row[0], *words_of(space, row[1], state.versions))
                connection.run(
                    f"INSERT INTO word (word, rowid, {_COLUMNS}) VALUES ('delete', ?, ?, ?, ?, ?, ?)", values
                )

    def add(self, connection: Connection, space: int, memories: Iterable[str]) -> None:
        """Fold *memories* from their records and put them into the tables, after their records changed."""
        for memory in memories:
            found = counted(connection, space, memory)
            state = fold(found.records) if found is not None else DAMAGED
            project = _project(connection, found.records if found is not None else (), state.shown)
            n = _put_memory(connection, space, memory, memory_row(connection, found or NOTHING, state, project))
            _put_edges(connection, space, memory, state)
            if has_words(state):
                values = (n, *words_of(space, project, state.versions))
                connection.run(f"INSERT INTO word (rowid, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)
            if state.status == Status.PURGED:
                scrub(connection, space, memory)

    def drop(self, connection: Connection, space: int, memory: str) -> None:
        """Take a memory out altogether, before its records leave the space."""
        self.remove(connection, space, [memory])
        connection.run("DELETE FROM edge WHERE space = ? AND newer = ?", (space, memory))
        connection.run("DELETE FROM memory WHERE space = ? AND id = ?", (space, memory))

    def rebuild(self, connection: Connection, word_table: str) -> int:
        """Make every projection of the records anew, inside the caller's transaction; how many memories there are.

        *word_table* is the SQL that makes the full-text table: it is dropped first, so that damage in it does not
        matter.
        """
        connection.run("DROP TABLE word")
        connection.run(word_table)
        for table in ("memory", "edge", "project", "project_key"):
            connection.run(f"DELETE FROM {table}")
        named = connection.rows(
            "SELECT log.space, record.memory FROM record JOIN log ON log.n = record.log WHERE record.memory <> '' "
            "GROUP BY 1, 2 ORDER BY min(record.n)"
        )
        for space, memory in named:
            self.add(connection, space, [memory])
        return len(named)


class Counted(Struct, frozen=True):
    """The records of one memory that count, in the order they came, and where the table has them: the number of the row
    and of the device, by header hash.
    """

    records: list[Record]
    rows: dict[bytes, tuple[int, int]]


NOTHING: Final = Counted([], {})


def counted(connection: Connection, space: int, memory: str) -> Counted | None:
    """The records that name *memory* in *space* and count there.

    None when one of them is not what was written: what is left must not be taken for the memory.
    """
    rows = connection.rows(
        f"SELECT {STRINGS}, record.hash, record.n, log.device FROM record JOIN log ON log.n = record.log "
        "JOIN member ON member.space = log.space AND member.device = log.device "
        "WHERE record.memory = ? AND log.space = ? AND NOT record.cut ORDER BY record.n",
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


def scrub(connection: Connection, space: int, memory: str) -> None:
    """Remove the bodies of a purged memory's records; their signed headers stay."""
    rows = connection.rows(
        "SELECT record.n, record.header, record.signature FROM record JOIN log ON log.n = record.log "
        "WHERE record.memory = ? AND log.space = ? AND record.body IS NOT NULL",
        (memory, space),
    )
    for n, header, signature in rows:
        if records.read(header, signature, None).core.kind != Kind.PURGE:
            connection.run("UPDATE record SET body = NULL WHERE n = ?", (n,))


def _seen(connection: Connection, found: Iterable[Record], state: State) -> int | None:
    """When this device saw the last of a forgotten memory's forgets, by its own clock; None for what was forgotten before
    such times were kept, and for what is not forgotten.
    """
    if state.status != Status.FORGOTTEN:
        return None
    forgets = [record.id for record in found if record.core.kind == Kind.FORGET]
    marks = ", ".join("?" * len(forgets))
    row = connection.row(f"SELECT max(wall) FROM first_seen WHERE record IN ({marks})", forgets)
    return None if row is None or row[0] is None else int(row[0])


def memory_row(connection: Connection, found: Counted, state: State, project: int | None) -> tuple[Any, ...]:
    """The columns of a memory that follow from its records, in the order of `MEMORY_COLUMNS`."""
    shown, seen = state.shown, _seen(connection, found.records, state)
    if shown is None:
        created = state.created.core.wall if state.created else None
        return (
            state.status,
            None,
            None,
            "",
            "",
            None,
            None,
            0,
            None,
            created,
            created,
            None,
            None,
            state.forgotten_ms,
            seen,
        )
    record, content = shown.record, shown.content
    n, device = found.rows[record.hash]
    assert state.created is not None
    return (
        state.status, n, project, content.type, record.core.author.agent, device, content.importance,
        int(state.in_conflict), text_digest(content.text), state.created.core.wall, record.core.wall, record.core.hlc,
        content.expires, state.forgotten_ms, seen,
    )  # fmt: skip


MEMORY_COLUMNS: Final = (
    "status", "record", "project", "type", "agent", "device", "importance", "conflict", "digest", "created", "updated", "hlc",
    "expires", "forgotten", "seen",
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
    for older in state.shown.content.supersedes if state.shown else ():
        connection.run("INSERT OR IGNORE INTO edge (space, older, newer) VALUES (?, ?, ?)", (space, older, memory))


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


def words_of(space: int, project: int | None, versions: Sequence[Version]) -> tuple[str, ...]:
    """What the full-text table is told of a memory: all its concurrent versions, so that none is lost to a search."""
    parts = [_indexed(version.content) for version in versions]
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


def _indexed(content: Content) -> tuple[str, str, str, str]:
    words = search_text.indexed(content.subject, content.text, content.tags, content.refs)
    return words.subject, words.body, words.tags, words.extra
