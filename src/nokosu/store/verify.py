"""Proof that the store is what was written: every record against its hash, its signature and its chain, and the index
against the log.

Nothing is repaired here and nothing stops at the first fault: each problem names the record or memory it is in. What is
wrong with the index alone, `nokosu rebuild` mends; a damaged record comes back from a backup or from another device.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import apsw

from nokosu import ids, records
from nokosu.errors import RecordRefused
from nokosu.fold import Status, fold
from nokosu.identity import keys
from nokosu.memory import Problem, Verified
from nokosu.records import Kind, Record
from nokosu.store import index, schema
from nokosu.store.connection import Database
from nokosu.store.sqlite import Connection

_TERMS_NAMED_MAX: Final = 20
_COMPARED: Final = ("status", "record", "type", "agent", "device", "importance", "conflict", "digest", "created", "updated", "hlc",
                    "expires", "forgotten")  # fmt: skip


def verify(database: Database) -> Verified:
    """Check everything; takes about 0.3 ms a record, and reads one unchanging view of the store."""
    with database.reading() as connection:
        problems = [*_file(connection)]
        logs = _column(connection, "SELECT n FROM log ORDER BY n")
        counted = 0
        for log in logs:
            found = list(_log(connection, log))
            counted += sum(1 for item in found if not isinstance(item, Problem))
            problems += [item for item in found if isinstance(item, Problem)]
        problems += _heads(connection)
        memories = _memories(connection)
        problems += _index(connection, memories)
        return Verified(logs=len(logs), records=counted, memories=len(memories), problems=tuple(problems))


def _file(connection: Connection) -> Iterator[Problem]:
    """What SQLite itself finds wrong with its pages."""
    try:
        for (line,) in connection.rows("PRAGMA integrity_check(20)"):
            if line != "ok":
                yield Problem(where="file", what=line)
    except apsw.Error as error:
        yield Problem(where="file", what=str(error))


def _log(connection: Connection, log: int) -> Iterator[Problem | Record]:
    """The records of one log in order; a `Problem` for each that is not what was signed, and for each gap."""
    row = connection.row(
        "SELECT log.id, device.public_key, log.space FROM log JOIN device ON device.n = log.device WHERE log.n = ?",
        (log,),
    )
    if row is None:
        yield Problem(where=f"log {log}", what="its device is not known")
        return
    id, public_key, space = row
    before: set[bytes] = set()
    before_seq = 0
    here: set[bytes] = set()
    for n, seq in _positions(connection, log):
        if seq != before_seq:
            before, here = (here if seq == before_seq + 1 else set()), set()
            if seq > before_seq + 1:
                yield Problem(
                    where=f"log {ids.grouped(id)[:9]}", what=f"records {before_seq + 1} to {seq - 1} are missing"
                )
            before_seq = seq
        where = f"log {ids.grouped(id)[:9]} record {seq}"
        checked = _record(connection, n, where, public_key, space)
        if isinstance(checked, Record):
            here.add(checked.hash)
            if seq > 1 and checked.place.prev not in before:
                yield Problem(where=where, what="does not follow the record before it", memory=checked.core.memory)
        yield checked


def _record(connection: Connection, n: int, where: str, public_key: bytes, space: int) -> Problem | Record:
    """One record, or what is wrong with it."""
    try:
        row = connection.row("SELECT header, signature, body, hash, memory FROM record WHERE n = ?", (n,))
        if row is None:
            return Problem(where=where, what="cannot be read")
        header, signature, body, hash, memory = row
        record = records.read(header, signature, body)
    except (apsw.Error, RecordRefused) as error:
        return Problem(where=where, what=f"cannot be read ({error})")
    if sha256(header).digest() != hash or record.core.memory != memory:
        return Problem(where=where, what="its header is not what was written", memory=memory)
    if not keys.verifies(public_key, signature, header):
        return Problem(where=where, what="its signature is not its device's", memory=memory)
    if body is None and not _may_be_bodiless(connection, memory, space):
        return Problem(where=where, what="its body is missing though no purge allows it", memory=memory)
    if body is not None and not record.body_is_whole():
        return Problem(where=where, what="its body is not what was written", memory=memory)
    return record


def _may_be_bodiless(connection: Connection, memory: str, space: int) -> bool:
    found = index.counted_records(connection, space, memory) or ()
    return any(record.core.kind == Kind.PURGE for record in found)


def _positions(connection: Connection, log: int) -> list[tuple[int, int]]:
    """Number and position of a log's records, from the table itself and not from an index that may be damaged."""
    try:
        rows = connection.rows("SELECT n, seq FROM record NOT INDEXED WHERE log = ?", (log,))
    except apsw.Error:
        rows = connection.rows("SELECT n, seq FROM record INDEXED BY record_position WHERE log = ?", (log,))
    return sorted(rows, key=lambda row: (row[1], row[0]))


def _heads(connection: Connection) -> Iterator[Problem]:
    """Ends of logs that the table of heads does not agree with."""
    ends = set(
        connection.rows(
            "SELECT log, seq, hash FROM record AS last WHERE linked AND (log, seq) IN "
            "(SELECT log, max(seq) FROM record WHERE linked GROUP BY log)"
        )
    )
    heads = set(connection.rows("SELECT log, seq, hash FROM head"))
    for log, seq, _ in sorted(ends - heads):
        yield Problem(where=f"log {log}", what=f"the end at record {seq} is not among its heads")


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
        yield from _words(connection)
    finally:
        connection.run("DROP TABLE temp.word_expected")


def _memory(connection: Connection, space: int, memory: str) -> Problem | int:
    """The number of a memory whose row and links agree with its records; its words go to the expected ones."""
    row = connection.row("SELECT n, project FROM memory WHERE id = ? AND space = ?", (memory, space))
    if row is None:
        return Problem(where="index", what="not in the index", memory=memory)
    n, project = row
    found = index.counted_records(connection, space, memory)
    if found is None:
        return Problem(where="memory", what="a record of it is damaged: it is not shown", memory=memory)
    state = fold(found)
    expected = dict(zip(index.MEMORY_COLUMNS, index.memory_row(connection, memory, state, project), strict=True))
    there = connection.row(f"SELECT {', '.join(_COMPARED)} FROM memory WHERE n = ?", (n,))
    differing = [name for name, value in zip(_COMPARED, there or (), strict=False) if expected[name] != value]
    if differing:
        return Problem(where="index", what=f"{', '.join(differing)} not as the log says", memory=memory)
    older = set(state.shown.content.supersedes) if state.shown else set()
    linked = {id for (id,) in connection.rows("SELECT older FROM edge WHERE space = ? AND newer = ?", (space, memory))}
    if older != linked:
        return Problem(where="index", what="what it supersedes is not as the log says", memory=memory)
    if state.status in (Status.LIVE, Status.FORGOTTEN):
        connection.run(
            "INSERT INTO temp.word_expected (rowid, subject, body, tags, extra, scope) VALUES (?, ?, ?, ?, ?, ?)",
            (n, *index.words_of(space, project, state.versions)),
        )
    return int(n)


def _words(connection: Connection) -> Iterator[Problem]:
    """Terms that the full-text index counts otherwise than one made anew, and the memories they are in."""
    for name, schema_name, table in (("there", "main", "word"), ("expected", "temp", "word_expected")):
        for kind in ("row", "instance"):
            connection.run(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{name}_{kind} USING fts5vocab('{schema_name}', '{table}', '{kind}')"
            )
    try:
        terms = _column(
            connection,
            "SELECT term FROM (SELECT term, doc, cnt FROM there_row EXCEPT SELECT term, doc, cnt FROM expected_row "
            "UNION ALL SELECT term, doc, cnt FROM (SELECT * FROM expected_row EXCEPT SELECT * FROM there_row)) GROUP BY term",
        )
        if terms:
            yield Problem(where="index", what=f"{len(terms)} words are not indexed as the log says (nokosu rebuild)")
    except apsw.Error as error:
        yield Problem(where="index", what=f"the full-text index cannot be read ({error}) (nokosu rebuild)")


def _column(connection: Connection, sql: str) -> list[int]:
    return [value for (value,) in connection.rows(sql)]
