"""What lies above the starts that a device may have (`starts`) is taken out again: its records, and what followed from them.

Of a device that has as many as it may nothing waits behind a gap either: nobody could tell what it belongs to. What
belongs to something that stays is fetched again in its order.
"""

from __future__ import annotations

from collections.abc import Container

from nokosu import records
from nokosu.store import starts
from nokosu.store.index import Index
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection


def trim(connection: Connection, index: Index, space: Space) -> bool:
    """Take out what is surplus in a space; whether anything was. The roster may have to be folded anew because of it."""
    full = starts.full(connection, space.n)
    if not full:
        return False
    own = _own_logs(connection, space)
    logs = [log for log in full if log not in own]
    going: dict[int, None] = {}
    for log, seq, hash in starts.beyond(connection, space.n) if logs else ():
        if log not in own:
            _cut_off(connection, log, seq, hash, going)
    for log in logs:
        going |= dict.fromkeys(_behind_gaps(connection, log))
    if not going:
        return False
    memories = {memory for n in going for (memory,) in connection.rows("SELECT memory FROM record WHERE n = ?", (n,))}
    left = {memory for memory in memories - {""} if _has_others(connection, space, memory, going)}
    index.remove(connection, space.n, left)
    for memory in memories - left - {""}:
        index.drop(connection, space.n, memory)
    for n in going:
        connection.run("DELETE FROM record WHERE n = ?", (n,))
    index.add(connection, space.n, sorted(left))
    return True


def _own_logs(connection: Connection, space: Space) -> set[int]:
    """The logs of this device. What it has saved stays here in any case, though no other device takes so many logs: rather
    than lose a save it stays unequal, and `doctor` says why.
    """
    rows = connection.rows(
        "SELECT log.n FROM log JOIN device ON device.n = log.device WHERE log.space = ? "
        "AND device.private_key IS NOT NULL",
        (space.n,),
    )
    return {n for (n,) in rows}


def _cut_off(connection: Connection, log: int, seq: int, hash: bytes, going: dict[int, None]) -> None:
    """Add the rows from a start on to those *going*. It is the last that is left, so what is above it is one chain; it is
    a start, and has a head, no longer.
    """
    connection.run("DELETE FROM start WHERE log = ? AND seq = ? AND hash = ?", (log, seq, hash))
    here = [n for n, other, _ in _linked(connection, log, seq) if other == hash]
    while here:
        going |= dict.fromkeys(here)
        above = [(n, other) for n, other, prev in _linked(connection, log, seq + 1) if prev == hash and n not in going]
        here = [n for n, _ in above]
        if above:
            seq, hash = seq + 1, above[0][1]
    connection.run("DELETE FROM head WHERE log = ? AND seq = ? AND hash = ?", (log, seq, hash))


def _linked(connection: Connection, log: int, seq: int) -> list[tuple[int, bytes, bytes]]:
    """The linked records with a number: row, hash, and the hash that each follows."""
    rows = connection.rows("SELECT n, hash, header FROM record WHERE log = ? AND seq = ? AND linked", (log, seq))
    return [(n, hash, records.read(header, b"", None).place.prev) for n, hash, header in rows]


def _behind_gaps(connection: Connection, log: int) -> list[int]:
    """The rows of a log that wait behind a gap."""
    return [n for (n,) in connection.rows("SELECT n FROM record WHERE log = ? AND NOT linked", (log,))]


def _has_others(connection: Connection, space: Space, memory: str, going: Container[int]) -> bool:
    here = connection.rows(
        "SELECT record.n FROM record JOIN log ON log.n = record.log WHERE record.memory = ? AND log.space = ?",
        (memory, space.n),
    )
    return any(n not in going for (n,) in here)
