"""Records without their text, and whether a purge that counts has taken it: for whoever exchanges records with others."""

from __future__ import annotations

from nokosu import limits, records
from nokosu.fold import Status
from nokosu.records import Kind
from nokosu.store.index import ERASED
from nokosu.store.log import Head
from nokosu.store.schema import MAY_PURGE
from nokosu.store.sqlite import Connection


def is_erased(connection: Connection, space: int, record: Head) -> bool:
    """Whether a purge has erased the text of a record, named by its place."""
    row = connection.row(
        "SELECT 1 FROM log JOIN record ON record.log = log.n "
        f"WHERE log.id = ? AND log.space = ? AND record.seq = ? AND record.hash = ? AND {ERASED}",
        (record.log, space, record.seq, record.hash),
    )
    return row is not None


def has_erased(connection: Connection, space: int, memory: str) -> bool:
    """Whether a purge has erased any of a memory."""
    return connection.row("SELECT 1 FROM erased WHERE memory = ? AND space = ?", (memory, space)) is not None


def is_purged(connection: Connection, space: int, memory: str) -> bool:
    """Whether a memory is purged, though this device may keep its text for a while."""
    row = connection.row(
        "SELECT 1 FROM memory WHERE id = ? AND space = ? AND status = ?", (memory, space, Status.PURGED)
    )
    return row is not None


def erased(connection: Connection, space: int) -> list[tuple[Head, str]]:
    """The records whose text was erased and is gone, in the order they came, and the memory of each."""
    rows = connection.rows(
        "SELECT log.id, record.seq, record.hash, record.memory FROM erased CROSS JOIN record ON record.n = erased.record "
        "CROSS JOIN log ON log.n = record.log WHERE erased.space = ? AND record.body IS NULL ORDER BY record.n",
        (space,),
    )
    return [(Head(log, seq, hash), memory) for log, seq, hash, memory in rows]


def purged_in_vain(connection: Connection, space: int) -> list[str]:
    """The memories that are not purged though a purge of them is here: it was cut off, or a restore undid it."""
    rows = connection.rows(
        "SELECT record.memory, CAST(record.header AS BLOB) FROM log JOIN record INDEXED BY record_purge ON record.log = log.n "
        "JOIN memory ON memory.id = record.memory AND memory.space = log.space "
        f"WHERE log.space = ? AND memory.status <> ? AND {MAY_PURGE} ORDER BY 1",
        (space, Status.PURGED),
    )
    purges = (memory for memory, header in rows if records.read_core(header).kind == Kind.PURGE)
    return list(dict.fromkeys(purges))


def kept(connection: Connection, space: int, memory: str) -> list[Head]:
    """The records of a memory that is not purged whose text is here, and was not to be erased."""
    rows = connection.rows(
        "SELECT log.id, record.seq, record.hash FROM record JOIN log ON log.n = record.log "
        "JOIN memory ON memory.id = record.memory AND memory.space = log.space WHERE record.memory = ? "
        f"AND log.space = ? AND memory.status <> ? AND record.body IS NOT NULL AND NOT {ERASED} ORDER BY record.n",
        (memory, space, Status.PURGED),
    )
    return [Head(*row) for row in rows]


def missing(connection: Connection, space: int) -> list[Head]:
    """Records whose text was removed by a purge that does not count any more, as one of a device that is revoked."""
    rows = connection.rows(
        "SELECT log.id, record.seq, record.hash FROM log JOIN record ON record.log = log.n "
        f"WHERE log.space = ? AND record.body IS NULL AND NOT {ERASED} ORDER BY 1, 2 LIMIT ?",
        (space, limits.GET_RECORDS_MAX),
    )
    return [Head(*row) for row in rows]
