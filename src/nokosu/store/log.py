"""The log: the one door by which anything enters the store.

A save, a record that arrives live, one that is fetched and one that is imported all end in `_insert_all`, which adds the
records, keeps count of what is held without a gap, and has the index and the roster follow, in one transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from nokosu import clock, ids, limits, records
from nokosu.errors import RecordRefused, Refused, StoreDamaged
from nokosu.identity import keys
from nokosu.records import ROSTER_KINDS, Author, Content, Core, Kind, Position, Record, RosterContent
from nokosu.store import chain, counting, roster, surplus
from nokosu.store.chain import Appended
from nokosu.store.connection import Database
from nokosu.store.index import STRINGS, Index, Placed, Ready, ready, scrub_due, waiting_purges
from nokosu.store.reading import damaged
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection

__all__ = ["Appended", "Entry", "Head", "Log"]

_BATCH: Final = 64  # records verified ahead of each transaction
_RUN: Final = 16  # records of one space added ahead of each look at the time
_RUN_BYTES: Final = 16 * 1024

OnRefused = Callable[[Record, RecordRefused], None]


class Entry(Struct, frozen=True, kw_only=True):
    """What a record is to say; the log gives it its time, its place and its signature. `memory` is empty for the roster's.

    `after` holds the memory's heads; `unknown` the content's fields of a later version that an edit carries on.
    """

    kind: Kind
    memory: str
    author: Author
    content: Content | RosterContent | None = None
    after: tuple[bytes, ...] = ()
    unknown: dict[str, Any] = {}


class Head(Struct, frozen=True):
    """One end of a log: the highest number held without a gap, and the hash of the header there."""

    log: bytes
    seq: int
    hash: bytes


def heads(connection: Connection, space: Space) -> list[Head]:
    """The vector of *space*: for each log and branch the highest number held without a gap, and the header hash there, in
    order.
    """
    rows = connection.rows(
        "SELECT log.id, head.seq, head.hash FROM head JOIN log ON log.n = head.log "
        "JOIN member ON member.space = log.space AND member.device = log.device WHERE log.space = ? ORDER BY 1, 2, 3",
        (space.n,),
    )
    return [Head(*row) for row in rows]


class _Checked(Struct, frozen=True):
    """A record from elsewhere, what is wrong with its signature, and whether that was looked at; and its text, made ready."""

    record: Record
    refused: RecordRefused | None
    verified: bool
    ready: Ready | None = None


class _Entering(Struct, frozen=True):
    """A record that may enter, the log it goes to, its device's number, and whether that was revoked; and its text, if that
    was made ready.
    """

    record: Record
    log: int
    device: int
    revoked: bool
    ready: Ready | None = None


class _OwnLog(Struct, frozen=True):
    n: int
    id: bytes
    nonce: bytes


class Log:
    """All logs of all spaces in one database."""

    def __init__(
        self,
        database: Database,
        index: Index,
        *,
        wall_clock: clock.WallClock,
        random: ids.Random,
        settled_at_once: int = limits.SETTLED_AT_ONCE_MAX,
    ) -> None:
        """Take the logs of *database*. *settled_at_once* bounds how many memories one transaction folds anew when a roster
        changes; it is for tests.
        """
        self._database = database
        self._index = index
        self._settled_at_once = settled_at_once
        self._wall_clock = wall_clock
        self._random = random
        self._key: keys.SigningKey | None = None
        self._public_keys: dict[bytes, bytes] = {}  # a device's id is the hash of its key, so these never change

    def append(self, record: Record) -> Appended:
        """Add a record from elsewhere to the log and the index in one transaction.

        Appending a record twice is normal: peers echo, and reconcile fetches what a subscriber already brought.

        Raises:
            RecordRefused: its space is not known here, its device was never admitted to it, it does not belong to its log,
            or its signature is not the device's. StoreLocked: another process held the write lock too long; nothing was
            written.
        """
        return self.append_many([record])[0]

    def append_many(
        self, batch: Iterable[Record], *, refused: OnRefused | None = None, lasting: bool = True
    ) -> list[Appended]:
        """Add many records, each as `append` does, in transactions that hold the write lock for at most 20 ms each.

        A record that may not enter is told to *refused*, which may not write, and skipped: its outcome is REFUSED. Where they
        need not be *lasting*, a power cut may take some again that are here now, the last ones first: see `make_lasting`.

        Raises:
            RecordRefused: without *refused*, one of them may not enter; those before it may already be in the log.
        """
        outcomes: list[Appended] = []
        waiting = iter(batch)
        while part := list(islice(waiting, _BATCH)):
            checked = self._checked(part)
            while checked:
                with self._database.write(lasting=lasting) as connection:
                    done = self._append_for_a_while(connection, checked, lenient=refused is not None)
                for one, (outcome, error) in zip(checked, done, strict=False):
                    outcomes.append(outcome)
                    if error is not None and refused is not None:
                        refused(one.record, error)
                checked = checked[len(done) :]
        self.settle()
        return outcomes

    def make_lasting(self) -> None:
        """Have all that was appended so far be on the disk."""
        with self._database.write() as connection:
            _keep_high_water(connection, _high_water(connection) + 1)  # something that was not written yet

    def settle(self) -> None:
        """Fold anew what the last change of a roster left for later; see `counting`."""
        while rows := self._database.rows("SELECT n, id, name FROM space WHERE unsettled"):
            left = False
            for row in rows:
                with self._database.write() as connection:
                    left |= counting.settle(connection, self._index, Space(*row), most=self._settled_at_once)
            if not left:
                return

    def scrub_due(self, space: Space) -> list[str]:
        """Remove what this device kept of purged memories of *space* and whose time has come; their ids."""
        now = self._wall_clock()
        with self._database.reading() as connection:
            due = [one for one in waiting_purges(connection, now) if one[0] == space.n]
        if due:
            with self._database.write() as connection:
                scrub_due(connection, now, due)
        return [memory for _, memory in due]

    def write(self, connection: Connection, space: Space, entries: Sequence[Entry]) -> list[Record]:
        """Sign *entries* as this device's next records in *space* and add them, inside the caller's transaction.

        Where the memories of *space* are moving to another one, those concerned go first, and the entries follow them.

        Raises:
            Refused: this device does not belong to the space, or no longer.
        """
        device, key = roster.own_device(connection), self._signing_key(connection)
        space = self._open_to(connection, space, device, entries)
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
        run = [_Entering(record, log.n, device.n, revoked=False) for record in made]
        insert_all(connection, self._index, space, run, wall_ms=self._wall_clock())
        if any(record.core.kind in ROSTER_KINDS for record in made):
            counting.settle(connection, self._index, space, most=self._settled_at_once)
        return made

    def carry(self, connection: Connection, source: Space, target: Space, memory: str) -> None:
        """Append this device's records of one memory again in *target*, their ids unchanged, and take them out of
        *source*, inside the caller's transaction. Only a space that nobody else is in can be left like this.

        Raises:
            StoreDamaged: one of them is not what was written, or not ours; nothing was moved.
        """
        device, key = roster.own_device(connection), self._signing_key(connection)
        leaving = _records_of(connection, source, memory)
        if any(record.core.device != device.id for record in leaving):
            raise StoreDamaged(f"memory {memory} has records of another device", hint="nokosu verify")
        present = {record.id for record in _records_of(connection, target, memory)}
        self._index.drop(connection, source.n, memory)
        connection.run(
            "DELETE FROM record WHERE memory = ? AND log IN (SELECT n FROM log WHERE space = ?)", (memory, source.n)
        )
        log, head = self._own_log(connection, target, device)
        copies = []
        for original in leaving:
            if original.id in present:
                continue
            record = _signed(key, records.core_bytes(original), original.body, _next_place(key, target, log, head))
            present.add(record.id)
            copies.append(_Entering(record, log.n, device.n, revoked=False))
            head = Head(log.id, record.place.seq, record.hash)
        insert_all(connection, self._index, target, copies, wall_ms=self._wall_clock())

    def vector(self, space: Space) -> list[Head]:
        """See `heads`."""
        with self._database.reading() as connection:
            return heads(connection, space)

    def _checked(self, part: Sequence[Record]) -> list[_Checked]:
        """Look at signatures, and at words, before the write lock is taken. A device that is not known yet may be admitted by a record
        before this one: then the door looks.
        """
        publics = [self._public_key(record.core.device) for record in part]
        known = [(public, one.signature, one.header) for public, one in zip(publics, part, strict=True) if public]
        verified = iter(keys.verify_all(known))
        return [
            _Checked(record, None, verified=True, ready=ready(record))
            if public and next(verified)
            else _Checked(record, _not_signed() if public else None, verified=bool(public))
            for public, record in zip(publics, part, strict=True)
        ]

    def _public_key(self, device: bytes) -> bytes:
        """A device's public key; empty for one that is not known."""
        public = self._public_keys.get(device, b"")
        if not public:
            row = self._database.row("SELECT public_key FROM device WHERE id = ?", (device,))
            if row is not None:
                public = self._public_keys[device] = row[0]
        return public

    def _append_for_a_while(
        self, connection: Connection, checked: Sequence[_Checked], *, lenient: bool
    ) -> list[tuple[Appended, RecordRefused | None]]:
        """Append from the beginning of *checked* until the time that a batch may hold the lock is over; at least one."""
        until = time.monotonic() + limits.BATCH_HOLD_MS_MAX / 1000
        before = high_water = _high_water(connection)
        wall = self._wall_clock()
        batch = _Batch(connection, self._index, wall, self._settled_at_once)
        for one in checked:
            try:
                batch.take(one)
            except RecordRefused as error:
                if not lenient:
                    raise
                batch.refuse(error)
            else:
                high_water = clock.observe(high_water, one.record.core.hlc, wall)
            if batch.is_full:
                batch.insert()
                if time.monotonic() >= until:
                    break
        batch.settle()
        for _, refused in batch.done:
            if refused is not None and not lenient:
                raise refused
        if high_water != before:  # else a batch that was here already would wait for the disk
            _keep_high_water(connection, high_water)
        return batch.done

    def _open_to(self, connection: Connection, space: Space, device: roster.Device, entries: Sequence[Entry]) -> Space:
        """The space that this device may write to: *space*, or where its memories are moving."""
        row = connection.row(
            "SELECT member.revoked, target.n, target.id, target.name FROM space "
            "LEFT JOIN space AS target ON target.n = space.moving_to "
            "LEFT JOIN member ON member.space = space.n AND member.device = ? WHERE space.n = ?",
            (device.n, space.n),
        )
        revoked, *target = row if row is not None else (None, None)
        if revoked is None or revoked:
            reason = "was removed from" if revoked else "does not belong to"
            raise Refused(
                f"not saved: this device {reason} the space {space.name!a}", hint="nokosu save --space local TEXT"
            )
        if target[0] is None:
            return space
        if any(entry.kind in ROSTER_KINDS for entry in entries):  # what it says is about this space and no other
            raise Refused(f"not saved: the space {space.name!a} moves to another one", hint="nokosu space list")
        moved = Space(*target)
        for memory in dict.fromkeys(entry.memory for entry in entries if entry.memory):
            self.carry(connection, space, moved, memory)
        return self._open_to(connection, moved, device, ())

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
        begun = connection.row(
            "SELECT count(*) FROM start JOIN log ON log.n = start.log WHERE log.space = ? AND log.device = ?",
            (space.n, device.n),
        )
        if begun is not None and begun[0] >= limits.STARTS_MAX:
            raise Refused(
                f"not saved: this device has begun {begun[0]} logs in the space {space.name!a}, at most {limits.STARTS_MAX}: "
                "it was restored or cloned too often, and has to come back with a new key",
                hint="nokosu export, then join again from a new home",
            )
        nonce = self._random(ids.BINARY_ID_BYTES)
        id = records.log_id(device.id, nonce)
        connection.run("UPDATE log SET current = 0 WHERE space = ? AND device = ?", (space.n, device.n))
        connection.run("INSERT INTO log (id, space, device, current) VALUES (?, ?, ?, 1)", (id, space.n, device.n))
        return _OwnLog(connection.last_insert_rowid(), id, nonce), None

    def _signing_key(self, connection: Connection) -> keys.SigningKey:
        if self._key is None:
            self._key = roster.signing_key(connection)
        return self._key


def append_within(connection: Connection, index: Index, batch: Iterable[Record]) -> None:
    """Append records from elsewhere inside the caller's transaction: few, such as those that come with an invitation.

    Raises:
        RecordRefused: one of them may not enter.
    """
    entering = _Batch(connection, index, 0)
    for record in batch:
        entering.take(_Checked(record, None, verified=False))
    entering.settle()


def _too_many() -> RecordRefused:
    return RecordRefused(f"log: of one device at most {limits.STARTS_MAX} logs and branches", field="logs")


class _Inserted(Struct, frozen=True):
    """What became of the records of a run. The roster has to be folded anew because of them: before the next record is let
    in, if some say something of it (`changes_roster`), else when all that is on its way is here (`unsettles`).
    """

    outcomes: list[Appended]
    changes_roster: bool
    unsettles: bool


class _Batch:
    """Records on their way into the store in one transaction: the door, and runs of one space behind it."""

    def __init__(
        self, connection: Connection, index: Index, wall_ms: int, settled_at_once: int = limits.SETTLED_AT_ONCE_MAX
    ) -> None:
        self.done: list[tuple[Appended, RecordRefused | None]] = []
        self._connection = connection
        self._index = index
        self._wall_ms = wall_ms
        self._settled_at_once = settled_at_once
        self._run: list[_Entering] = []
        self._run_space: Space | None = None
        self._run_bytes = 0
        self._hashes: set[bytes] = set()
        self._spaces: dict[bytes, Space | None] = {}
        self._members: dict[tuple[int, bytes], tuple[int, bytes, int] | None] = {}
        self._logs: dict[tuple[bytes, int, int], int] = {}
        self._unsettled: dict[int, Space] = {}

    @property
    def is_full(self) -> bool:
        """Whether it is time to insert, and to look at the clock."""
        return len(self._run) >= _RUN or self._run_bytes >= _RUN_BYTES

    def take(self, one: _Checked) -> None:
        """Let a record through the door, into the run.

        Raises:
            RecordRefused: it may not enter.
        """
        record = one.record
        space = self._space(record)
        if record.core.kind not in ROSTER_KINDS:
            self._catch_up()
        n, public, revoked = self._member(space, record)
        if not one.verified and not keys.verifies(public, record.signature, record.header):
            raise _not_signed()
        if one.refused is not None:
            raise one.refused
        log = self._log_of(record, space, n)
        if self._run and (space != self._run_space or record.hash in self._hashes):
            self.insert()
        self._run.append(_Entering(record, log, n, bool(revoked), one.ready))
        self._run_space = space
        self._run_bytes += record.size
        self._hashes.add(record.hash)

    def refuse(self, error: RecordRefused) -> None:
        """Note, in its place among the others, that a record may not enter."""
        self.insert()
        self.done.append((Appended.REFUSED, error))

    def insert(self) -> None:
        """Add the records of the run."""
        if not self._run or self._run_space is None:
            return
        inserted = insert_all(self._connection, self._index, self._run_space, self._run, wall_ms=self._wall_ms)
        self.done += [(outcome, _too_many() if outcome is Appended.REFUSED else None) for outcome in inserted.outcomes]
        if inserted.changes_roster:
            self._unsettled[self._run_space.n] = self._run_space
        elif inserted.unsettles:
            counting.postpone(self._connection, self._run_space)
        self._run, self._run_bytes, self._hashes = [], 0, set()

    def settle(self) -> None:
        """Add the records of the run, and have the rosters that they change follow."""
        self.insert()
        for space in self._unsettled.values():
            counting.settle(self._connection, self._index, space, most=self._settled_at_once)
        self._unsettled.clear()
        self._members.clear()

    def _catch_up(self) -> None:
        """Have the roster follow what was said before this record: a purge of a device revoked just now may scrub nothing."""
        if self._unsettled or any(one.record.core.kind in ROSTER_KINDS for one in self._run):
            self.settle()

    def _space(self, record: Record) -> Space:
        id = record.place.space
        if id not in self._spaces:
            self._spaces[id] = roster.space_with(self._connection, id)
        space = self._spaces[id]
        if space is None:
            raise RecordRefused("space: not one that this device is in", field="space")
        return space

    def _member(self, space: Space, record: Record) -> tuple[int, bytes, int]:
        """The author's number and public key, and whether it was revoked; it may be admitted by a record just taken."""
        found = self._looked_up(space, record.core.device)
        if found is None:
            self.settle()
            found = self._looked_up(space, record.core.device)
        if found is None:
            raise RecordRefused("device: not one that was admitted to the space", field="device")
        return found

    def _looked_up(self, space: Space, device: bytes) -> tuple[int, bytes, int] | None:
        at = (space.n, device)
        if at not in self._members:
            row = self._connection.row(
                "SELECT device.n, device.public_key, member.revoked FROM device JOIN member ON member.device = device.n "
                "WHERE device.id = ? AND member.space = ?",
                (device, space.n),
            )
            self._members[at] = (row[0], row[1], row[2]) if row is not None else None
        return self._members[at]

    def _log_of(self, record: Record, space: Space, device: int) -> int:
        at = (record.place.log, space.n, device)
        if at not in self._logs:
            self._logs[at] = _log_of(self._connection, *at)
        return self._logs[at]


class _Arrival(Struct, frozen=True):
    """A record that is about to be added: the row that holds it already, what else has its number, what is to be done."""

    one: _Entering
    row: chain.Held | None
    shares: bool
    mended: bool

    @property
    def fills(self) -> bool:
        """Whether it brings the body that its row came without."""
        return self.row is not None and self.row.body is None and self.one.record.body is not None

    @property
    def changes(self) -> bool:
        """Whether the store will be another one for it."""
        return self.row is None or self.mended or self.fills


def insert_all(
    connection: Connection, index: Index, space: Space, run: Sequence[_Entering], *, wall_ms: int
) -> _Inserted:
    """Add different records of one space, which the door has let in, and have the index follow."""
    arrivals = [_arrival(connection, one) for one in run]
    touched = sorted({one.one.record.core.memory for one in arrivals if one.changes} - {""})
    unknown = index.remove(connection, space.n, touched)
    fresh = {memory for memory in unknown if not _is_named(connection, space, memory)}
    numbers: Counter[tuple[int, int]] = Counter()
    outcomes: list[Appended] = []
    changed = {memory: list[_Put]() for memory in touched}
    for arrival in arrivals:
        at = (arrival.one.log, arrival.one.record.place.seq)
        put = _put(connection, arrival, shares=arrival.shares or at in numbers, wall_ms=wall_ms)
        outcomes.append(put.outcome)
        numbers[at] += arrival.row is None
        if arrival.changes and put.outcome is not Appended.REFUSED and arrival.one.record.core.memory:
            changed[arrival.one.record.core.memory].append(put)
    if Appended.REFUSED in outcomes:
        touched = [memory for memory in touched if _is_named(connection, space, memory)]
    folded = []
    for memory in touched:
        new = _placed(changed[memory])
        take = index.begin if memory in fresh else index.extend
        if not new or not take(connection, space.n, memory, new):
            folded.append(memory)
    index.add(connection, space.n, folded)
    scrub_due(connection, wall_ms, [(space.n, memory) for memory in folded])
    entered = (arrival for arrival, outcome in zip(arrivals, outcomes, strict=True) if outcome is not Appended.REFUSED)
    changing = [one for one in entered if one.changes]
    changes_roster = any(one.one.record.core.kind in ROSTER_KINDS for one in changing)
    unsettles = any(_unsettles(connection, space, one, numbers) for one in changing)
    return _Inserted(outcomes, changes_roster, surplus.trim(connection, index, space) or unsettles)


def _placed(puts: Sequence[_Put]) -> list[Placed]:
    """What came of a memory, if it is new and counts, all of it: the index may be able to take it without looking back."""
    if any(put.arrival.row is not None or put.arrival.one.revoked for put in puts):
        return []
    return [Placed(one.record, put.n, one.device, one.ready) for put in puts for one in (put.arrival.one,)]


def _is_named(connection: Connection, space: Space, memory: str) -> bool:
    """Whether a record that is here names a memory: the only one that did may have been refused."""
    row = connection.row(
        "SELECT 1 FROM record JOIN log ON log.n = record.log WHERE record.memory = ? AND log.space = ?",
        (memory, space.n),
    )
    return row is not None


def _arrival(connection: Connection, one: _Entering) -> _Arrival:
    """What to do about one record. Damage in its row is mended at once: the words of the memory, which are to be taken
    out next, were put in from the whole bytes.
    """
    rows = chain.held(connection, one.log, one.record.place.seq)
    row = chain.same(rows, one.record)
    return _Arrival(one, row, bool(rows), row is not None and chain.mend(connection, row, one.record))


class _Put(Struct, frozen=True):
    """An arrival that was looked after: what became of it, and its row; 0 where that is not a new one."""

    arrival: _Arrival
    outcome: Appended
    n: int


def _put(connection: Connection, arrival: _Arrival, *, shares: bool, wall_ms: int) -> _Put:
    one = arrival.one
    if arrival.row is None:
        new = chain.insert(connection, one.log, one.record, cut=one.revoked, seen_ms=wall_ms, shares=shares)
        return _Put(arrival, new.outcome, new.n)
    if arrival.fills:  # the index scrubs it again where a purge says so
        chain.fill(connection, arrival.row, one.record)
    return _Put(arrival, Appended.DUPLICATE, 0)


def _unsettles(connection: Connection, space: Space, arrival: _Arrival, numbers: Counter[tuple[int, int]]) -> bool:
    """Whether a record completes a chain to a cut: it is a revoked device's, and that cut's end or below records that were
    here before. Where they come the last first, each does; so the roster is folded once for all that came together.
    """
    record, log = arrival.one.record, arrival.one.log
    if not arrival.one.revoked:
        return False
    if connection.row("SELECT 1 FROM cut_end WHERE space = ? AND hash = ?", (space.n, record.hash)) is not None:
        return True
    return chain.count(connection, log, record.place.seq + 1) > numbers[log, record.place.seq + 1]


def _not_signed() -> RecordRefused:
    return RecordRefused("signature: not made by the device", field="signature")


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


def _records_of(connection: Connection, space: Space, memory: str) -> list[Record]:
    """All records of one memory in one space, whether they count or not, in the order they came.

    Raises:
        StoreDamaged: one of them is not what was written.
    """
    rows = connection.rows(
        f"SELECT {STRINGS}, record.hash FROM record JOIN log ON log.n = record.log "
        "WHERE record.memory = ? AND log.space = ? ORDER BY record.n",
        (memory, space.n),
    )
    try:
        found = [records.read(header, signature, body) for header, signature, body, _ in rows]
    except RecordRefused:
        raise damaged(memory) from None
    for record, row in zip(found, rows, strict=True):
        if record.hash != row[3] or not (record.body is None or record.body_is_whole()):
            raise damaged(memory)
    return found


def _high_water(connection: Connection) -> int:
    row = connection.row("SELECT value FROM meta WHERE name = 'hlc'")
    return row[0] if row else 0


def _keep_high_water(connection: Connection, high_water: int) -> None:
    connection.run("INSERT OR REPLACE INTO meta (name, value) VALUES ('hlc', ?)", (high_water,))
