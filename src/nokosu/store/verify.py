"""Proof that the store is what was written: every record against its hash, its signature and its chain, and the index
against the log.

Nothing is repaired here and nothing stops at the first fault: each problem names the record or memory it is in. What is
wrong with the index alone, `nokosu rebuild` mends; a damaged record comes back from a backup or from another device.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import apsw
from msgspec import Struct

from nokosu import ids, records
from nokosu.errors import RecordRefused, StoreDamaged
from nokosu.identity import keys
from nokosu.memory import Problem, Verified
from nokosu.records import Kind, Record
from nokosu.store import counting, index, projects, roster, schema
from nokosu.store.connection import Database
from nokosu.store.sqlite import Connection

_COMPARED: Final = ("status", "record", "type", "agent", "device", "importance", "conflict", "digest", "created", "updated", "hlc",
                    "expires", "forgotten", "seen")  # fmt: skip


def verify(database: Database) -> Verified:
    """Check everything; takes about half a millisecond a record, and reads one unchanging view of the store."""
    with database.reading() as connection:
        problems = [*_file(connection)]
        logs = _column(connection, "SELECT n FROM log ORDER BY n")
        counted, waiting = 0, 0
        for log in logs:
            sound, behind, found = _log(connection, log)
            counted += sound
            waiting += behind
            problems += found
        problems += _rosters(connection)
        memories = _memories(connection)
        problems += _index(connection, memories)
        return Verified(
            logs=len(logs), records=counted, memories=len(memories), problems=tuple(problems), waiting=waiting
        )


def _file(connection: Connection) -> Iterator[Problem]:
    """What SQLite itself finds wrong with its pages."""
    try:
        for (line,) in connection.rows("PRAGMA integrity_check(20)"):
            if line != "ok":
                yield Problem(where="file", what=line)
    except apsw.Error as error:
        yield Problem(where="file", what=str(error))


def _rosters(connection: Connection) -> Iterator[Problem]:
    """Where the members, or what counts, are not what the roster's records say."""
    for space in roster.spaces(connection):
        where = f"space {space.name}"
        try:
            folded = counting.roster_of(connection, space)
        except StoreDamaged as error:
            yield Problem(where=where, what=error.message)
            continue
        if folded is None:
            yield Problem(where=where, what="a record of its roster is damaged: who belongs to it stays as it was")
            continue
        if counting.members_there(connection, space) != counting.members_due(folded):
            yield Problem(where=where, what="its members are not as the log says (nokosu rebuild)")
        row = connection.row("SELECT unsettled FROM space WHERE n = ?", (space.n,))
        changes = counting.changes(connection, space, folded)
        if changes and not (row and row[0]):
            what = f"{len(changes)} records count, or not, otherwise than the roster says (nokosu rebuild)"
            yield Problem(where=where, what=what, memory=changes[0].memory)


class _Log(Struct, frozen=True):
    """A log that is checked. `is_whole`: all of it is to be here, because it is this device's own, or nobody shares it.
    `is_leaving`: its memories are moving to another space one by one, so gaps are as they should be.
    """

    id: bytes
    public_key: bytes
    space: int
    is_whole: bool
    is_leaving: bool

    @property
    def name(self) -> str:
        return f"log {ids.grouped(self.id)[:9]}"


class _Row(Struct, frozen=True):
    """A record as the table has it. What is damaged is taken at the table's word, so that each damage is told once."""

    n: int
    seq: int
    linked: int
    hash: bytes


class _Chain:
    """What holds of a log's records, as far as they were looked at in order of their numbers."""

    def __init__(self) -> None:
        self.ends: dict[bytes, int] = {}  # header hashes held without a gap that nothing follows yet, and their numbers
        self._seq = 0
        self._before: set[bytes] = set()
        self._here: set[bytes] = set()

    def reach(self, seq: int) -> int:
        """Go on to the records with number *seq*; how many numbers were left out on the way."""
        left_out, self._seq = seq - self._seq - 1, seq
        self._before, self._here = set() if left_out else self._here, set()
        return left_out

    def add(self, row: _Row, record: Record | None) -> bool:
        """Take a record in; whether it is linked. One that cannot be read is what its row says."""
        linked = bool(row.linked) if record is None else self._seq == 1 or record.place.prev in self._before
        if linked:
            self._here.add(row.hash)
            self.ends[row.hash] = self._seq
            for followed in self._before if record is None else (record.place.prev,):
                self.ends.pop(followed, None)
        return linked


def _log(connection: Connection, log: int) -> tuple[int, int, list[Problem]]:
    """How many records of one log are what was signed, how many wait for others that are not here yet, and what is wrong
    with the log, its chain and its heads.
    """
    about = _about(connection, log)
    if about is None:
        return 0, 0, [Problem(where=f"log {log}", what="its device or space is not known")]
    chain, sound, waiting, problems = _Chain(), 0, 0, list[Problem]()
    for seq, rows in groupby(_rows(connection, log), lambda row: row.seq):
        left_out = chain.reach(seq)
        if left_out and about.is_whole:
            problems.append(Problem(where=about.name, what=f"records {seq - left_out} to {seq - 1} are missing"))
        for row in rows:
            where = f"{about.name} record {seq}"
            record, problem = _record(connection, about, row, where)
            problems += [problem] if problem is not None else []
            sound += problem is None
            linked = chain.add(row, record)
            waiting += not linked and not about.is_whole
            if linked != bool(row.linked) and not about.is_leaving:
                what = "linked, or not, otherwise than its chain says (nokosu rebuild)"
                problems.append(Problem(where=where, what=what))
    if about.is_leaving:
        return sound, 0, problems
    return sound, waiting, problems + _heads(connection, log, about.name, chain.ends)


def _about(connection: Connection, log: int) -> _Log | None:
    row = connection.row(
        "SELECT log.id, device.public_key, log.space, device.private_key IS NOT NULL OR "
        "(SELECT count(*) FROM member WHERE member.space = log.space) < 2, space.moving_to IS NOT NULL "
        "FROM log JOIN device ON device.n = log.device JOIN space ON space.n = log.space WHERE log.n = ?",
        (log,),
    )
    if row is None:
        return None
    id, public_key, space, whole, leaving = row
    return _Log(id, public_key, space, bool(whole) and not leaving, bool(leaving))


def _record(connection: Connection, log: _Log, at: _Row, where: str) -> tuple[Record | None, Problem | None]:
    """One record, if its header is what was signed, and what is wrong with it, if something is."""

    def problem(what: str, memory: str = "") -> Problem:
        return Problem(where=where, what=what, memory=memory)

    try:
        row = connection.row(f"SELECT {index.STRINGS}, memory FROM record WHERE n = ?", (at.n,))
        if row is None:
            return None, problem("cannot be read")
        header, signature, body, memory = row
        record = records.read(header, signature, body)
    except (apsw.Error, RecordRefused) as error:
        return None, problem(f"cannot be read ({error})")
    place = record.place
    if (record.hash, record.core.memory, place.seq, place.log) != (at.hash, memory, at.seq, log.id):
        return None, problem("its header is not what was written", memory)
    if not keys.verifies(log.public_key, signature, header):
        return None, problem("its signature is not its device's", memory)
    if body is None and not _may_be_bodiless(connection, memory, log.space):
        return record, problem("its body is missing though no purge allows it", memory)
    if body is not None and not record.body_is_whole():
        return record, problem("its body is not what was written", memory)
    return record, None


def _may_be_bodiless(connection: Connection, memory: str, space: int) -> bool:
    """Whether a purge names the memory. It may count no more: what a device scrubbed before it heard that the purge was a
    revoked one's stays scrubbed, until another device brings it back.
    """
    rows = connection.rows(
        "SELECT CAST(record.header AS BLOB) FROM record JOIN log ON log.n = record.log WHERE record.memory = ? AND log.space = ?",
        (memory, space),
    )
    return any(_kind(header) == Kind.PURGE for (header,) in rows)


def _kind(header: bytes) -> str:
    try:
        return records.read_core(header).kind
    except RecordRefused:
        return ""


def _rows(connection: Connection, log: int) -> list[_Row]:
    """A log's records by number, from the table itself and not from an index that may be damaged."""
    sql = "SELECT n, seq, linked, CAST(hash AS BLOB) FROM record {} WHERE log = ?"
    try:
        rows = connection.rows(sql.format("NOT INDEXED"), (log,))
    except apsw.Error:
        rows = connection.rows(sql.format("INDEXED BY record_position"), (log,))
    return sorted((_Row(*row) for row in rows), key=lambda row: (row.seq, row.n))


def _heads(connection: Connection, log: int, name: str, ends: dict[bytes, int]) -> list[Problem]:
    """Ends of a log that the table of heads does not agree with."""
    expected = {(seq, hash) for hash, seq in ends.items()}
    heads = set(connection.rows("SELECT seq, CAST(hash AS BLOB) FROM head WHERE log = ?", (log,)))
    begun = connection.rows("SELECT 1 FROM start WHERE log = ?", (log,))
    what = "where it and its branches begin is not as its chain says (nokosu rebuild)"
    return [
        *([Problem(where=name, what=what)] if len(begun) != len(expected) else []),
        *(
            Problem(where=name, what=f"the end at record {seq} is not among its heads")
            for seq, _ in sorted(expected - heads)
        ),
        *(
            Problem(where=name, what=f"record {seq} is among its heads and is no end")
            for seq, _ in sorted(heads - expected)
        ),
    ]


def _memories(connection: Connection) -> list[tuple[int, str]]:
    return connection.rows(
        "SELECT DISTINCT log.space, record.memory FROM record JOIN log ON log.n = record.log WHERE record.memory <> '' ORDER BY 1, 2"
    )


def _index(connection: Connection, memories: list[tuple[int, str]]) -> Iterator[Problem]:
    """Where memories, links or words are not what the records say."""
    connection.run(schema.WORD_TABLE.replace("word", "word_expected").replace("VIRTUAL TABLE ", "VIRTUAL TABLE temp."))
    try:
        numbers = {}
        for space, memory in memories:
            problem = _memory(connection, space, memory)
            if isinstance(problem, Problem):
                yield problem
            else:
                numbers[problem] = memory
        for n, memory in connection.rows("SELECT n, id FROM memory ORDER BY n"):
            if n not in numbers and (memory not in {id for _, id in memories}):
                yield Problem(where="index", what="a memory that no record names", memory=memory)
        for memory in _column(connection, _LINKS_OF_NONE):
            yield Problem(where="index", what="a link that no memory has", memory=memory)
        yield from _words(connection)
    finally:
        connection.run("DROP TABLE temp.word_expected")


def _memory(connection: Connection, space: int, memory: str) -> Problem | int:
    """The number of a memory whose row and links agree with its records; its words go to the expected ones."""
    row = connection.row("SELECT n, project FROM memory WHERE id = ? AND space = ?", (memory, space))
    if row is None:
        return Problem(where="index", what="not in the index", memory=memory)
    n, project = row
    found = index.counted(connection, space, memory)
    if found is None:
        return Problem(where="memory", what="a record of it is damaged: it is not shown", memory=memory)
    state = index.folded(connection, space, found.records)
    values = index.memory_row(connection, found, state, project)
    expected = dict(zip(index.MEMORY_COLUMNS, values, strict=True))
    there = connection.row(f"SELECT {', '.join(_COMPARED)} FROM memory WHERE n = ?", (n,))
    differing = [name for name, value in zip(_COMPARED, there or (), strict=False) if expected[name] != value]
    tip = connection.row("SELECT tip FROM memory WHERE n = ?", (n,))
    if tip is not None and tip[0] not in (None, expected["tip"]):
        differing.append("tip")
    if state.shown and _root_of(connection, project) != projects.find(
        connection, state.shown.record.core.author.projects
    ):
        differing.append("project")
    if differing:
        return Problem(where="index", what=f"{', '.join(differing)} not as the log says", memory=memory)
    if index.waits_until(connection, space, memory) != index.due_of(connection, space, memory, found, state):
        return Problem(where="index", what="until when its text is kept is not as the log says", memory=memory)
    if index.erased_there(connection, space, memory) != index.erased_of(connection, space, memory, found, state):
        return Problem(where="index", what="what a purge has erased is not as the log says", memory=memory)
    older = set(state.shown.content.supersedes) if state.shown else set()
    linked = {id for (id,) in connection.rows("SELECT older FROM edge WHERE space = ? AND newer = ?", (space, memory))}
    if older != linked:
        return Problem(where="index", what="what it supersedes is not as the log says", memory=memory)
    if index.has_words(state):
        connection.run(
            "INSERT INTO temp.word_expected (rowid, subject, body, tags, extra, scope) VALUES (?, ?, ?, ?, ?, ?)",
            (n, *index.words_of(space, project, state.versions)),
        )
    return int(n)


def _root_of(connection: Connection, project: int | None) -> int | None:
    """The number that stands for a project; None for no project, and for one that is not there."""
    row = connection.row("SELECT root FROM project WHERE n = ?", (project,))
    return row[0] if row else None


def _words(connection: Connection) -> Iterator[Problem]:
    """Terms that the full-text index has otherwise, or in other memories, than one made anew."""
    for name, schema_name, table in (("there", "main", "word"), ("expected", "temp", "word_expected")):
        connection.run(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{name}_term USING fts5vocab('{schema_name}', '{table}', 'instance')"
        )
    try:
        there, expected = (set(connection.rows(_TERMS.format(name))) for name in ("there", "expected"))
    except apsw.Error as error:
        yield Problem(where="index", what=f"the full-text index cannot be read ({error}) (nokosu rebuild)")
        return
    terms = {term for term, *_ in there ^ expected}
    if terms:
        yield Problem(where="index", what=f"{len(terms)} words are not indexed as the log says (nokosu rebuild)")


# Of each term, where it stands, in sums: what a set of places for all words of a large store would take is too much.
_TERMS: Final = (
    "SELECT term, count(*), sum(doc), sum(doc * (offset + 1)), sum(doc * unicode(substr(col, 1, 1))) "
    "FROM temp.{}_term GROUP BY term"
)
_LINKS_OF_NONE: Final = (
    "SELECT DISTINCT newer FROM edge WHERE NOT EXISTS "
    "(SELECT 1 FROM memory WHERE memory.space = edge.space AND memory.id = edge.newer) ORDER BY newer"
)


def _column(connection: Connection, sql: str) -> list[Any]:
    return [value for (value,) in connection.rows(sql)]
