"""The log: the one door by which anything enters the store.

A save, a record that arrives live, one that is fetched and one that is imported all end in `_insert`, which adds the
record, keeps count of what is held without a gap, and has the index follow, in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from nokosu import clock, ids, limits, records
from nokosu.errors import RecordRefused
from nokosu.identity import keys
from nokosu.records import Author, Content, Core, Kind, Position, Record
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.store.index import STRINGS, Index
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection

_BATCH: Final = 64  # records verified ahead of each look at the time


class Appended(Enum):
    """What became of a record that was appended."""

    NEW = "new"
    DUPLICATE = "duplicate"  # it was here already: peers echo, and reconcile fetches what a subscriber brought
    AHEAD = "ahead"  # new, and findable, but a record before it is missing: the vector waits
    BRANCH = "branch"  # new, and it shares its number with another record: the log was continued twice


class Entry(Struct, frozen=True, kw_only=True):
    """What a record is to say; the log gives it its time, its place and its signature.

    `after` holds the memory's heads; `unknown` the content's fields of a later version that an edit carries on.
    """

    kind: Kind
    memory: str
    author: Author
    content: Content | None = None
    after: tuple[bytes, ...] = ()
    unknown: dict[str, Any] = {}


class Head(Struct, frozen=True):
    """One end of a log: the highest number held without a gap, and the hash of the header there."""

    log: bytes
    seq: int
    hash: bytes


class Log:
    """All logs of all spaces in one database."""

    def __init__(self, database: Database, index: Index, *, wall_clock: clock.WallClock, random: ids.Random) -> None:
        self._database = database
        self._index = index
        self._wall_clock = wall_clock
        self._random = random
        self._key: keys.SigningKey | None = None

    def append(self, record: Record) -> Appended:
        """Add a record from elsewhere to the log and the index in one transaction.

        Appending a record twice is normal: peers echo, and reconcile fetches what a subscriber already brought.

        Raises:
            RecordRefused: its space or device is not known here, it does not belong to its log, or its signature is not
            the device's. StoreLocked: another process held the write lock too long; nothing was written.
        """
        return self.append_many([record])[0]

    def append_many(self, batch: Iterable[Record]) -> list[Appended]:
        """Add many records, each as `append` does, in transactions that hold the write lock for at most 20 ms each.

        Raises:
            RecordRefused: one of them may not enter; those before it may already be in the log.
        """
        outcomes: list[Appended] = []
        waiting = iter(batch)
        while part := list(islice(waiting, _BATCH)):
            while part:
                with self._database.write() as connection:
                    done = self._append_for_a_while(connection, part)
                outcomes += done
                part = part[len(done) :]
        return outcomes

    def write(self, connection: Connection, space: Space, entries: Sequence[Entry]) -> list[Record]:
        """Sign *entries* as this device's next records in *space* and add them, inside the caller's transaction."""
        device, key = roster.own_device(connection), self._signing_key(connection)
        log, head = self._own_log(connection, space, device)
        high_water = _high_water(connection)
        made = []
        for entry in entries:
            wall = self._wall_clock()
            high_water = clock.tick(high_water, wall)
            body = records.encode_body(entry.content, self._random(records.SALT_BYTES), unknown=entry.unknown)
            core = Core(
                v=records.FORMAT_VERSION,
                device=device.id,
                kind=entry.kind,
                memory=entry.memory,
                hlc=high_water,
                wall=wall,
                body=sha256(body).digest(),
                after=entry.after[: limits.AFTER_MAX],
                author=entry.author,
            )
            record = _signed(key, records.encode_core(core), body, _next_place(key, space, log, head))
            made.append(record)
            head = Head(log.id, record.place.seq, record.hash)
        _keep_high_water(connection, high_water)
        self._insert_all(connection, space.n, [(log.n, record) for record in made])
        return made

    def copy_own(self, connection: Connection, source: Space, target: Space) -> int:
        """Append this device's records of *source* again in *target*, record ids unchanged; how many were new there.

        Doing it again adds only what is missing, so it can be resumed.
        """
        device, key = roster.own_device(connection), self._signing_key(connection)
        present = {record.id for record in _records_of(connection, target, device)}
        log, head = self._own_log(connection, target, device)
        copies = []
        for original in _records_of(connection, source, device):
            if original.id in present:
                continue
            record = _signed(key, records.core_bytes(original), original.body, _next_place(key, target, log, head))
            present.add(record.id)
            copies.append(record)
            head = Head(log.id, record.place.seq, record.hash)
        self._insert_all(connection, target.n, [(log.n, record) for record in copies])
        return len(copies)

    def vector(self, space: Space) -> list[Head]:
        """For each log and branch of *space*: the highest number held without a gap, and the header hash there, in
        order.
        """
        rows = self._database.rows(
            "SELECT log.id, head.seq, head.hash FROM head JOIN log ON log.n = head.log WHERE log.space = ? ORDER BY 1, 2, 3",
            (space.n,),
        )
        return [Head(*row) for row in rows]

    def _append_for_a_while(self, connection: Connection, part: list[Record]) -> list[Appended]:
        """Append from the beginning of *part* until the time that a batch may hold the lock is over; at least one."""
        until = time.monotonic() + limits.BATCH_HOLD_MS_MAX / 1000
        high_water = _high_water(connection)
        wall = self._wall_clock()
        outcomes: list[Appended] = []
        for record in part:
            space, log = self._admitted(connection, record)
            high_water = clock.observe(high_water, record.core.hlc, wall)
            outcomes += self._insert_all(connection, space, [(log, record)])
            if time.monotonic() >= until:
                break
        _keep_high_water(connection, high_water)
        return outcomes

    def _admitted(self, connection: Connection, record: Record) -> tuple[int, int]:
        """The numbers of the space and the log that *record* belongs to, after checking that it does."""
        space = connection.row("SELECT n FROM space WHERE id = ?", (record.place.space,))
        device = connection.row("SELECT n, public_key FROM device WHERE id = ?", (record.core.device,))
        if space is None:
            raise RecordRefused("space: not one that this device is in", field="space")
        if device is None:
            raise RecordRefused("device: not one that is known here", field="device")
        if not keys.verifies(device[1], record.signature, record.header):
            raise RecordRefused("signature: not made by the device", field="signature")
        return space[0], _log_of(connection, record.place.log, space[0], device[0])

    def _own_log(self, connection: Connection, space: Space, device: roster.Device) -> tuple[_OwnLog, Head | None]:
        """The log that this device writes in *space*, and its end. A fresh one at first, and when the old one has
        branched.
        """
        rows = connection.rows(
            "SELECT log.n, log.id, head.seq, head.hash FROM log JOIN head ON head.log = log.n "
            "WHERE log.space = ? AND log.device = ? AND log.current LIMIT 2",
            (space.n, device.n),
        )
        if len(rows) == 1:
            n, id, seq, hash = rows[0]
            return _OwnLog(n, id, b""), Head(id, seq, hash)
        nonce = self._random(ids.BINARY_ID_BYTES)
        id = records.log_id(device.id, nonce)
        connection.run("UPDATE log SET current = 0 WHERE space = ? AND device = ?", (space.n, device.n))
        connection.run("INSERT INTO log (id, space, device, current) VALUES (?, ?, ?, 1)", (id, space.n, device.n))
        return _OwnLog(connection.last_insert_rowid(), id, nonce), None

    def _signing_key(self, connection: Connection) -> keys.SigningKey:
        if self._key is None:
            self._key = roster.signing_key(connection)
        return self._key

    def _insert_all(self, connection: Connection, space: int, batch: Sequence[tuple[int, Record]]) -> list[Appended]:
        touched = {record.core.memory for _, record in batch if record.core.memory}
        self._index.remove(connection, space, touched)
        outcomes = [_insert(connection, log, record) for log, record in batch]
        self._index.add(connection, space, touched)
        return outcomes


class _OwnLog(Struct, frozen=True):
    n: int
    id: bytes
    nonce: bytes


def _log_of(connection: Connection, id: bytes, space: int, device: int) -> int:
    """The number of the log of *device* in *space* with that id, made if it is new.

    Only record 1 proves whose a log is: until it is here, a device that names another's log gets one of its own, whose first
    record can never come, and the owner is not kept out.

    Raises:
        RecordRefused: the log is proven to be another device's, or in another space.
    """
    proven = "EXISTS (SELECT 1 FROM record WHERE record.log = log.n AND record.seq = 1)"
    for n, of_space, of_device, is_proven in connection.rows(
        f"SELECT n, space, device, {proven} FROM log WHERE id = ?", (id,)
    ):
        if (of_space, of_device) == (space, device):
            return int(n)
        if is_proven:
            raise RecordRefused("log: belongs to another device or space", field="log")
    connection.run("INSERT INTO log (id, space, device, current) VALUES (?, ?, ?, 0)", (id, space, device))
    return connection.last_insert_rowid()


def _next_place(key: keys.SigningKey, space: Space, log: _OwnLog, head: Head | None) -> Position:
    if head is None:
        return Position(space=space.id, log=log.id, seq=1, nonce=log.nonce, key=key.public)
    return Position(space=space.id, log=log.id, seq=head.seq + 1, prev=head.hash)


def _signed(key: keys.SigningKey, core: bytes, body: bytes | None, place: Position) -> Record:
    header = records.encode_header(core, place)
    return records.parse(header, key.sign(header), body)  # what others would refuse, we do not write


def _insert(connection: Connection, log: int, record: Record) -> Appended:
    """Add one record to its log; the caller has checked it, and sees to the index."""
    seq = record.place.seq
    there = connection.rows("SELECT n, hash, body IS NULL FROM record WHERE log = ? AND seq = ?", (log, seq))
    for n, hash, bodiless in there:
        if hash == record.hash:
            if bodiless and record.body is not None:  # the index scrubs it again where a purge says so
                connection.run("UPDATE record SET body = ? WHERE n = ?", (record.body, n))
            return Appended.DUPLICATE
    linked = seq == 1 or _is_linked(connection, log, seq - 1, record.place.prev)
    connection.run(
        "INSERT INTO record (log, seq, linked, memory, hash, header, signature, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (log, seq, linked, record.core.memory, record.hash, record.header, record.signature, record.body),
    )
    if not linked:
        return Appended.AHEAD
    move_head(connection, log, seq, record.place.prev, record.hash)
    _link_what_follows(connection, log, seq, record.hash)
    return Appended.BRANCH if there else Appended.NEW


def _is_linked(connection: Connection, log: int, seq: int, hash: bytes) -> bool:
    row = connection.row("SELECT 1 FROM record WHERE log = ? AND seq = ? AND hash = ? AND linked", (log, seq, hash))
    return row is not None


def _link_what_follows(connection: Connection, log: int, seq: int, hash: bytes) -> None:
    """Records that waited for this one, and those that waited for them, are now held without a gap."""
    waiting = [(seq, hash)]
    while waiting:
        seq, hash = waiting.pop()
        rows = connection.rows(
            "SELECT n, hash, header, signature FROM record WHERE log = ? AND seq = ? AND NOT linked", (log, seq + 1)
        )
        for n, next_hash, header, signature in rows:
            if records.read(header, signature, None).place.prev == hash:
                connection.run("UPDATE record SET linked = 1 WHERE n = ?", (n,))
                move_head(connection, log, seq + 1, hash, next_hash)
                waiting.append((seq + 1, next_hash))


def move_head(connection: Connection, log: int, seq: int, prev: bytes, hash: bytes) -> None:
    """The end of a log moves on by one record; where the record before was no end, a branch begins."""
    connection.run("DELETE FROM head WHERE log = ? AND seq = ? AND hash = ?", (log, seq - 1, prev))
    connection.run("INSERT INTO head (log, seq, hash) VALUES (?, ?, ?)", (log, seq, hash))


def relink(connection: Connection) -> None:
    """Compute anew, from the records alone, what is held without a gap: `linked` and `head`."""
    connection.run("DELETE FROM head")
    for (log,) in connection.rows("SELECT n FROM log ORDER BY n"):
        ends: set[bytes] = set()
        before: set[bytes] = set()
        before_seq = 0
        rows = connection.rows(
            "SELECT n, seq, linked, hash, header, signature FROM record WHERE log = ? ORDER BY seq, n", (log,)
        )
        for n, seq, linked, hash, header, signature in rows:
            if seq != before_seq:
                before, before_seq = (ends if seq == before_seq + 1 else set()), seq
                ends = set()
            prev = records.read(header, signature, None).place.prev
            holds = seq == 1 or prev in before
            if holds:
                ends.add(hash)
                move_head(connection, log, seq, prev, hash)
            if holds != bool(linked):
                connection.run("UPDATE record SET linked = ? WHERE n = ?", (holds, n))


def _records_of(connection: Connection, space: Space, device: roster.Device) -> Iterator[Record]:
    rows = connection.rows(
        f"SELECT {STRINGS} FROM record JOIN log ON log.n = record.log "
        "WHERE log.space = ? AND log.device = ? ORDER BY record.n",
        (space.n, device.n),
    )
    return (records.read(*row) for row in rows)


def _high_water(connection: Connection) -> int:
    row = connection.row("SELECT value FROM meta WHERE name = 'hlc'")
    return row[0] if row else 0


def _keep_high_water(connection: Connection, high_water: int) -> None:
    connection.run("INSERT OR REPLACE INTO meta (name, value) VALUES ('hlc', ?)", (high_water,))
