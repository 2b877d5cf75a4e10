"""Receive: from sealed samples to records in the log, by the same door as a save.

Nothing that arrives is believed: the seal, the name it came under, the shape, the signature, the device and the chain are
checked here or by `Log`, and whatever does not hold is counted and forgotten. Nothing that arrives raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from nokosu import limits, records
from nokosu.errors import RecordRefused, UnknownKey
from nokosu.mesh import keys, seal
from nokosu.mesh.inbox import Sample
from nokosu.mesh.seal import Keyring
from nokosu.records import ROSTER_KINDS, Kind, Record
from nokosu.store import scrubbed
from nokosu.store.connection import Database
from nokosu.store.log import Appended, Head, Log
from nokosu.store.roster import Member, Space
from nokosu.store.sqlite import Connection

Refuse = Callable[[bytes, str], None]
"""Told the device (or nobody) and the reason."""


class Circle(Struct, frozen=True):
    """Who is in the space at this moment, and its secrets. `ended` are the devices that nothing is told, asked or taken
    from any more.
    """

    members: Mapping[bytes, Member]
    keyring: Keyring
    ended: frozenset[bytes]

    @property
    def has_revoked(self) -> bool:
        """Whether anybody was ever revoked."""
        return any(member.revoked for member in self.members.values())

    def counts(self, device: bytes) -> bool:
        """Whether a device is a member that was not revoked."""
        return device in self.members and device not in self.ended


class Arrived(Struct, frozen=True):
    """A record that was opened, and where from: `get` is the question it answers, None for what came live."""

    record: Record
    get: int | None


class Received:
    """What became of one batch."""

    def __init__(self) -> None:
        self.new: list[Arrived] = []
        self.ahead: set[bytes] = set()  # logs with a gap before what was just stored
        self.unadmitted: list[Arrived] = []  # refused because their device is not admitted, so far
        self.bodies: list[Arrived] = []  # held already: a body that was missing may be here again
        self.scrubbed: set[str] = set()  # memories whose purge was just carried out
        self.without_body: list[Record] = []  # new, and scrubbed by a purge that does not count
        self.roster_changed = False


class Receiver:
    """Opens and appends the records of one space."""

    def __init__(self, database: Database, log: Log, space: Space, refuse: Refuse) -> None:
        self._database = database
        self._log = log
        self._space = space
        self._refuse = refuse
        self.bodiless = Bodiless()

    def open(self, sample: Sample, circle: Circle) -> Arrived | None:
        """The record in a sample; None when it is refused, and counted.

        Raises:
            UnknownKey: it is sealed under a key that is not here.
        """
        tail = sample.key.partition("/rec/" if "/rec/" in sample.key else "/rekey/")[2]
        name = keys.parse_tail(tail)
        if name is None:
            self._refuse(b"", "key")
            return None
        try:
            plain = circle.keyring.open(keys.rec_at(self._space.id, tail), sample.payload)
            record = seal.unpack(plain)
        except UnknownKey:
            raise
        except RecordRefused as error:
            self._refuse(b"", error.field)
            return None
        place = record.place
        if place.space != self._space.id or keys.tail(place.log, place.seq, record.hash) != tail:
            self._refuse(record.core.device, "key")
            return None
        if sample.get is None and record.core.device in circle.members and not circle.counts(record.core.device):
            # This is the revoked device itself, or somebody who fills a storage with what all hold already. What it wrote
            # before its cut comes from those who hold it.
            if not self._holds(record):
                self._refuse(record.core.device, "revoked")
            return None
        if record.body is None and record.core.kind in _NEVER_SCRUBBED:
            self._refuse(record.core.device, "body")
            return None
        return Arrived(record, sample.get)

    def append(self, batch: list[Arrived], now: float) -> Received:
        """Append what was opened; a scrubbed record waits until the purge that allows it is here. What was appended is not
        on the disk yet: after a power cut it is fetched again.
        """
        result = Received()
        bodiless = [one for one in batch if one.record.body is None]
        named = {one.record.core.memory for one in bodiless}
        if bodiless:
            allowed = self._that(_is_named_by_a_purge, named)
            batch = [one for one in batch if one.record.body is not None or one.record.core.memory in allowed]
            self.bodiless.keep((one for one in bodiless if one.record.core.memory not in allowed), now)
        self._append(batch, result)
        if self.bodiless:
            asked = self.bodiless.memories & (named | {one.record.core.memory for one in result.new})
            self._append(self.bodiless.release(self._that(_is_named_by_a_purge, asked)), result)
        touched = {one.record.core.memory for one in (*result.new, *result.bodies)}
        result.scrubbed = self._that(scrubbed.has_erased, touched)
        result.without_body = self._not_erased([one.record for one in result.new if one.record.body is None])
        return result

    def expire(self, now: float) -> None:
        """Give up on scrubbed records whose purge never came: somebody else may have their bodies."""
        for one in self.bodiless.expire(now):
            self._refuse(one.record.core.device, "body")

    def _append(self, batch: list[Arrived], result: Received) -> None:
        if not batch:
            return
        reasons: dict[int, str] = {}
        outcomes = self._log.append_many(
            [one.record for one in batch],
            refused=lambda record, error: reasons.update({id(record): error.field}),
            lasting=False,
        )
        for one, outcome in zip(batch, outcomes, strict=True):
            self._note(one, outcome, reasons.get(id(one.record), ""), result)

    def _note(self, one: Arrived, outcome: Appended, reason: str, result: Received) -> None:
        record = one.record
        if outcome == Appended.REFUSED:
            if reason == "device":
                result.unadmitted.append(one)
            self._refuse(record.core.device, reason)
            return
        if outcome == Appended.DUPLICATE:
            if record.body is not None:
                result.bodies.append(one)
            return
        if outcome == Appended.AHEAD:
            result.ahead.add(record.place.log)
        result.new.append(one)
        result.roster_changed |= record.core.kind in ROSTER_KINDS

    def _holds(self, record: Record) -> bool:
        row = self._database.row(
            "SELECT 1 FROM log JOIN record ON record.log = log.n WHERE log.id = ? AND log.space = ? AND record.seq = ? "
            "AND record.hash = ?",
            (record.place.log, self._space.n, record.place.seq, record.hash),
        )
        return row is not None

    def _not_erased(self, bodiless: list[Record]) -> list[Record]:
        """Those of some records without a body that no purge has erased."""
        if not bodiless:
            return []
        with self._database.reading() as connection:
            return [
                record
                for record in bodiless
                if not scrubbed.is_erased(
                    connection, self._space.n, Head(record.place.log, record.place.seq, record.hash)
                )
            ]

    def _that(self, which: _Which, memories: Iterable[str]) -> set[str]:
        """Those of some memories of which that holds here."""
        asked = sorted(memories)
        if not asked:
            return set()
        with self._database.reading() as connection:
            return {memory for memory in asked if memory and which(connection, self._space.n, memory)}


_Which = Callable[[Connection, int, str], bool]


def _is_named_by_a_purge(connection: Connection, space: int, memory: str) -> bool:
    """Whether a purge of it is here, though it may count no more: what a device scrubbed before it heard that the purge was
    a revoked one's has no body any more, and is not to be refused for that.
    """
    rows = connection.rows(
        "SELECT CAST(record.header AS BLOB) FROM record JOIN log ON log.n = record.log "
        "WHERE record.memory = ? AND log.space = ?",
        (memory, space),
    )
    return any(records.read_core(header).kind == Kind.PURGE for (header,) in rows)


class Bodiless:
    """Scrubbed records that no purge allows yet, in the order they came; bounded in number and time.

    Stored at once they would pass for records whose text was purged, and their text would never be asked for again.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, tuple[float, Arrived]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def memories(self) -> set[str]:
        """The memories that they belong to."""
        return {one.record.core.memory for _, one in self._waiting.values()}

    def numbers(self, log: bytes) -> list[int]:
        """The numbers of those in a log: they need not be asked for."""
        return [one.record.place.seq for _, one in self._waiting.values() if one.record.place.log == log]

    def prev(self, hash: bytes) -> bytes | None:
        """The hash that one of them follows; None when it is not among them."""
        found = self._waiting.get(hash)
        return found[1].record.place.prev if found is not None else None

    def due(self) -> float | None:
        """When the first of them has waited long enough."""
        return min((until for until, _ in self._waiting.values()), default=None)

    def keep(self, arrived: Iterable[Arrived], now: float) -> None:
        """Let some wait."""
        for one in arrived:
            if len(self._waiting) < limits.BODILESS_WAITING_MAX:
                self._waiting.setdefault(one.record.hash, (now + limits.BODILESS_WAITING_SECONDS, one))

    def release(self, memories: set[str]) -> list[Arrived]:
        """Take out those of some memories."""
        return self._take(lambda _, one: one.record.core.memory in memories)

    def expire(self, now: float) -> list[Arrived]:
        """Take out those that waited too long."""
        return self._take(lambda until, _: until <= now)

    def _take(self, which: Callable[[float, Arrived], bool]) -> list[Arrived]:
        taken = {hash: one for hash, (until, one) in self._waiting.items() if which(until, one)}
        for hash in taken:
            del self._waiting[hash]
        return list(taken.values())


_NEVER_SCRUBBED: Final = ROSTER_KINDS | {Kind.PURGE}
