"""Where the logs and branches of a device begin, and how many of them there may be.

A *start* is the first record of a log; and where several records follow one, each of them but the one with the smallest hash,
which goes on with its log. So a device has as many starts as heads, and each head is a line in everybody's announcement.
What lies above the 256 first starts of a device, by number and hash, is *surplus*: it is refused at the door, and not kept, but by
the device itself, which loses nothing that it saved.

Why all devices come to hold the same, whatever each of them had taken before it knew of more. Let U be all the records that
the honest devices hold together, and H what one of them holds.

1. A record that is a start in H is one in U: the sibling with a smaller hash is in U as well. So what comes first in U comes
   first in H: no device drops, or refuses, a record that is not surplus in U. All of those are announced by whoever has
   them, and fetched by the others.
2. When H has all that is not surplus in U, it keeps nothing else. Take a record above a start s of U that is surplus, the
   lowest such on its way down. The record that goes on with the log in the place of s is not surplus, so H has it, and s is
   a start in H; and for the same reason the 256 first starts of U are starts in H. So s is not among those of H.

The order is by number first, so a start that lies above another comes after it: what is above the last of them is one chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Final

from nokosu import limits, records
from nokosu.errors import RecordRefused
from nokosu.records import Record
from nokosu.store.sqlite import Connection

Start = tuple[int, bytes]
"""A record's number and header hash: the order of starts."""


def begin(connection: Connection, log: int, seq: int, prev: bytes, hash: bytes) -> None:
    """A record that was just linked is the end of its log and follows no end: a log begins, or a branch."""
    siblings = [other for other in _followers(connection, log, seq, prev) if other != hash] if seq > 1 else []
    begun = max(hash, min(siblings)) if siblings else hash
    connection.run("INSERT OR IGNORE INTO start (log, seq, hash) VALUES (?, ?, ?)", (log, seq, begun))


def is_surplus(connection: Connection, log: int, record: Record, *, linked: bool) -> bool:
    """Whether a record that is about to enter begins one log or branch too many of its device. One that has as many as it
    may is let in only by what follows what is here.
    """
    seq, hash = record.place.seq, record.hash
    last = _last(connection, log)
    if last is None:
        return False
    if not linked:
        return True
    siblings = _followers(connection, log, seq, record.place.prev) if seq > 1 else []
    if seq > 1 and hash < min(siblings, default=hash + b"\0"):
        return False  # it goes on with the log, and the others, if there are any, begin branches
    return (seq, hash) > last


def find(connection: Connection, log: int) -> None:
    """Compute anew, from the linked records, where a log and its branches begin."""
    connection.run("DELETE FROM start WHERE log = ?", (log,))
    connection.run("INSERT INTO start SELECT log, seq, hash FROM record WHERE log = ? AND seq = 1 AND linked", (log,))
    branches = connection.rows(
        "SELECT seq FROM record WHERE log = ? AND seq > 1 AND linked GROUP BY seq HAVING count(*) > 1", (log,)
    )
    for (seq,) in branches:
        followers: dict[bytes, list[bytes]] = {}
        for hash, prev in _linked(connection, log, seq):
            followers.setdefault(prev, []).append(hash)
        for hash in chain.from_iterable(sorted(siblings)[1:] for siblings in followers.values()):
            connection.run("INSERT INTO start (log, seq, hash) VALUES (?, ?, ?)", (log, seq, hash))


def beyond(connection: Connection, space: int) -> list[tuple[int, int, bytes]]:
    """The surplus starts of a space's devices, by log, number and hash, the last first."""
    found = []
    for (log,) in connection.rows(
        "SELECT min(log.n) FROM log JOIN start ON start.log = log.n WHERE log.space = ? GROUP BY log.device HAVING count(*) > ?",
        (space, limits.STARTS_MAX),
    ):
        found += connection.rows(
            f"SELECT start.log, start.seq, start.hash FROM {_OF_THE_DEVICE} ORDER BY start.seq, start.hash LIMIT -1 OFFSET ?",
            (log, limits.STARTS_MAX),
        )[::-1]
    return found


def full(connection: Connection, space: int) -> list[int]:
    """The logs of those devices of a space that have as many starts as they may, or more."""
    rows = connection.rows(
        "SELECT log.n FROM log WHERE log.space = ?1 AND log.device IN (SELECT log.device FROM log "
        "JOIN start ON start.log = log.n WHERE log.space = ?1 GROUP BY log.device HAVING count(*) >= ?2)",
        (space, limits.STARTS_MAX),
    )
    return [n for (n,) in rows]


def _last(connection: Connection, log: int) -> Start | None:
    """The last of the starts that the device of a log may have; None while it has fewer."""
    row = connection.row(
        f"SELECT start.seq, start.hash FROM {_OF_THE_DEVICE} ORDER BY start.seq, start.hash LIMIT 1 OFFSET ?",
        (log, limits.STARTS_MAX - 1),
    )
    return (row[0], row[1]) if row is not None else None


_OF_THE_DEVICE: Final = (
    "log AS asked JOIN log ON log.space = asked.space AND log.device = asked.device JOIN start ON start.log = log.n "
    "WHERE asked.n = ?"
)


def _followers(connection: Connection, log: int, seq: int, prev: bytes) -> list[bytes]:
    """The hashes of the linked records with a number that follow one record."""
    return [hash for hash, followed in _linked(connection, log, seq) if followed == prev]


def _linked(connection: Connection, log: int, seq: int) -> Iterator[tuple[bytes, bytes]]:
    """The hashes of the linked records with a number, and of those that they follow; without those that are damaged."""
    rows = connection.rows(
        "SELECT CAST(hash AS BLOB), CAST(header AS BLOB) FROM record WHERE log = ? AND seq = ? AND linked", (log, seq)
    )
    for hash, header in rows:
        with suppress(RecordRefused):
            yield hash, records.read(header, b"", None).place.prev
