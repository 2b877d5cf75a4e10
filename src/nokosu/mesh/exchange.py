"""The exchange: one space on one node, without a thread, a socket or a wait of its own.

Whoever drives it hands in what arrived (`live`, `answered`, `ended`, `appeared`, `vanished`, `storage_appeared`,
`storage_vanished`, `store_changed`: from any thread, each returns at once), calls `work` when `due` says so or after an
input, and sends what `work` returns. The node does that with Zenoh, `nokosu.testing.LoopbackMesh` with a network made of
faults. DESIGN.md tells the path of one record.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from nokosu import clock, ids, limits
from nokosu.errors import RecordRefused, StoreError, UnknownKey
from nokosu.mesh import holdings, keys, publisher, reconcile, vectors
from nokosu.mesh.announced import Announced, News
from nokosu.mesh.inbox import Inbox, Sample
from nokosu.mesh.peer_state import PeerState, state_of
from nokosu.mesh.publisher import Announcer, Outbox, Put
from nokosu.mesh.receiver import Arrived, Circle, Received, Receiver
from nokosu.mesh.reconcile import Get, Matter, Reconcile
from nokosu.mesh.refusals import NOBODY, Refusals
from nokosu.mesh.seal import OVERHEAD_BYTES, Keyring
from nokosu.mesh.storages import About, Storages, StorageState
from nokosu.mesh.vectors import Heard
from nokosu.records import Kind, Record
from nokosu.store import index, membership, roster
from nokosu.store import vectors as store_vectors
from nokosu.store.connection import Database
from nokosu.store.log import Head, Log
from nokosu.store.roster import Secret, Space
from nokosu.store.sqlite import Connection
from nokosu.store.vectors import Ahead

__all__ = ["Exchange", "Get", "Put", "StorageState"]

_BATCH: Final = 64  # samples looked at in one go: about 20 ms
_KEY_CHARS_MAX: Final = 256
_RECORD_SEALED_MAX: Final = limits.RECORD_BYTES_MAX + OVERHEAD_BYTES + 64
_VECTOR_SEALED_MAX: Final = limits.VECTOR_BYTES_MAX + OVERHEAD_BYTES + 128
_CONTROL_MAX: Final = 4096
_TRUNCATE_AGAIN_SECONDS: Final = 2.0
_TRUNCATE_WAIT_MS: Final = 50  # saves wait while the WAL is emptied: rather try again


class Exchange:
    """Publishes, receives and reconciles the records of one space."""

    def __init__(
        self,
        database: Database,
        log: Log,
        space: Space,
        *,
        node: str,
        wall_clock: clock.WallClock,
        monotonic: Callable[[], float],
        random: ids.Random,
        version: str,
        addresses: Callable[[], tuple[str, ...]],
    ) -> None:
        """Take a store that only this exchange's thread uses. *node* is the name of this node in the mesh, unlike any
        other's; *addresses* gives where it listens now.
        """
        self.dropped = 0
        self._database, self._log, self._space = database, log, space
        self._node = node
        self._wall_clock, self._monotonic, self._random = wall_clock, monotonic, random
        self._prefix = f"{keys.space(space.id)}/"
        self._inbox = Inbox()
        self._control: deque[Callable[[], None]] = deque()
        self._is_changed = False
        with database.reading() as connection:
            self._own = roster.own_device(connection)
            key = roster.signing_key(connection)
            known = store_vectors.known(connection, space)
            purged = connection.rows(
                "SELECT DISTINCT memory FROM erased WHERE space = ? LIMIT ?",
                (space.n, limits.PENDING_PURGES_MAX),
            )
        self._refusals = Refusals(database, space, wall_clock)
        self._receiver = Receiver(database, log, space, self._refuse)
        numbers = itertools.count(1)
        self._reconcile = Reconcile(space, self._own.id, node, self._receiver.bodiless, numbers)
        self._storages = Storages(
            database,
            space,
            self._own.id,
            numbers=numbers,
            random=random,
            wall_clock=wall_clock,
            monotonic=monotonic,
        )
        self._outbox = Outbox(space)
        self._announcer = Announcer()
        self._announced = Announced(
            database,
            space,
            self._own.id,
            counter=max((one.counter for one in known if one.device == self._own.id), default=0),
            key=key,
            node=node,
            version=version,
            wall_clock=wall_clock,
            addresses=addresses,
        )
        self._secrets: list[Secret] = []
        self._roster: list[tuple[object, ...]] = []
        self._circle: Circle | None = None
        self._heads: list[Head] = []
        self._ahead: tuple[Ahead, ...] = ()  # behind a gap since the last look at it
        self._waiting: set[bytes] = set()  # what was behind a gap at that look
        self._doubt_at: dict[str, float] = {}  # what others say that they lack, and when to look for it in the storages
        self._pending = {
            memory: None for (memory,) in purged
        }  # whose text may be left in the WAL: now, by the last run
        self._rekey_at: float | None = None
        self._truncate_at: float | None = 0.0
        self._compare_at = monotonic() + limits.COMPARE_EVERY_SECONDS
        self._bodies_at: float | None = None  # when to look for texts that no purge takes any more
        self._vectors_at: float | None = None  # when to ask what the others hold: something was lost on the way
        self._must_look = self._must_publish = True
        self._is_planning = True
        self._is_lasting = False  # what was received is on the disk

    # Inputs, from any thread ------------------------------------------------------------------------------------------

    def live(self, key: str, payload: bytes) -> None:
        """A sample of `rec/**` or `vec/*` came. When there is no room for it, its log is looked at again later."""
        if len(key) > _KEY_CHARS_MAX or not key.startswith(self._prefix):
            self.dropped += 1
            return
        is_vector = key.startswith("vec/", len(self._prefix))
        if len(payload) > (_VECTOR_SEALED_MAX if is_vector else _RECORD_SEALED_MAX):
            self.dropped += 1
            return
        if not self._inbox.put_live(key, payload):
            self.dropped += 1
            self._vectors_at = 0.0

    def answered(self, id: int, key: str, payload: bytes, *, replier: str = "", stamp: int | None = None) -> None:
        """An answer to a `Get` came, from the node or zenohd *replier*; *stamp* is when it was put, if it lay in a storage."""
        if len(key) <= _KEY_CHARS_MAX and len(payload) <= max(_RECORD_SEALED_MAX, _VECTOR_SEALED_MAX):
            self._inbox.put_answer(id, key, payload, replier=replier, stamp=stamp or 0)

    def ended(self, id: int, failed: bool) -> None:
        """There are no more answers to a `Get`; *failed* when the device was not reached, or stopped in the middle."""
        self._inbox.end(id, failed)

    def appeared(self, device: bytes, node: str) -> None:
        """A node's liveliness token is there."""
        self._do(lambda: self._appeared(device, node))

    def vanished(self, device: bytes, node: str) -> None:
        """A node's liveliness token is gone."""
        self._do(lambda: self._reconcile.vanished(device, node, self._monotonic()))

    def storage_appeared(self, zid: str, version: str, fingerprint: str) -> None:
        """A zenohd's token is there: its storages answer, under its own Zenoh id *zid*."""
        hub = keys.Hub(self._space.id, version, fingerprint, zid)
        self._do(lambda: self._storages.appeared(hub, self._monotonic()))

    def storage_vanished(self, zid: str) -> None:
        """A zenohd's token is gone."""
        self._do(lambda: self._storage_vanished(zid))

    def store_changed(self) -> None:
        """Somebody may have written to the store."""
        self._is_changed = True

    def ask_all(self) -> None:
        """Compare with every node now, and tell every node what we hold."""
        self._do(self._compare_with_all)

    # The one thread ---------------------------------------------------------------------------------------------------

    def work(self) -> list[Put | Get]:
        """Do a bounded amount of work (about 20 ms); what to send now, in this order.

        Raises:
            StoreError: the store failed, and never because of what others sent. What was being appended is fetched again.
        """
        now = self._monotonic()
        if self._is_changed:
            self._is_changed = False  # before reading: who writes after this is seen next time
            self._must_look = self._must_publish = True
        while self._control:
            self._control.popleft()()
        samples, ended = self._inbox.take(_BATCH)
        try:
            circle = self._look(now)
            self._receive(samples, circle, now)
            self._write_down(now)
            out: list[Put | Get] = [*self._publish(circle, now), *self._announce(circle, now)]
        except StoreError:
            self._vectors_at = now + limits.BACK_OFF_SECONDS_MIN
            raise
        finally:
            for done in ended:
                self._reconcile.ended(done.get, now, failed=done.failed)
                self._storages.ended(done.get, now, failed=done.failed)
                self._is_planning = True
        out += self._plan(now)
        return out

    def farewell(self) -> list[Put | Get]:
        """What to send before the end: a hub may be the only one that others meet from now on, and nobody looks there for
        records that no announcement tells of.

        Raises:
            StoreError: the store failed.
        """
        now = self._monotonic()
        self._must_look = self._must_publish = True
        circle = self._look(now)
        return [*self._publish(circle, now), *self._announce(circle, now, at_once=self._announcer.has_news)]

    @property
    def due(self) -> float | None:
        """The monotonic second at which `work` is to be called though nothing arrives; None: at once."""
        if self._control or self._inbox or self._is_changed:
            return None
        if self._must_look or self._must_publish or self._is_planning:
            return None
        now = self._monotonic()
        times = (
            self._announcer.due(now) if self._is_member() else None,
            self._truncate_at,
            self._announced.write_at,
            self._rekey_at,
            self._compare_at,
            self._vectors_at,
            self._bodies_at,
            self._refusals.due(),
            self._reconcile.due() if self._is_member() else None,
            self._storages.due(now) if self._is_member() else None,
            self._receiver.bodiless.due(),
        )
        soonest = min(time for time in times if time is not None)
        return soonest if soonest > now else None

    def make_lasting(self) -> None:
        """Have what was received be on the disk; from the thread that calls `work`.

        Raises:
            StoreError: the store failed.
        """
        if not self._is_lasting:
            self._log.make_lasting()
            self._is_lasting = True

    def silent(self) -> set[str]:
        """The nodes whose tokens stand, and that answer nothing; from the thread that calls `work`."""
        return self._reconcile.silent()

    def peers(self) -> list[PeerState]:
        """Every node that is there or was heard since this one started; from the thread that calls `work`."""
        now = self._monotonic()
        refused = self._refusals.by_device
        with self._database.reading() as connection:
            holds = store_vectors.holder(connection, self._space)
            seen = {known.device: known.seen_ms for known in store_vectors.known(connection, self._space)}
            return [
                state_of(peer, self._heads, holds, now, seen_ms=seen.get(peer.device), refused=refused[peer.device])
                for _, peer in sorted(self._reconcile.peers.items())
                if not peer.storage
            ]

    def storages(self) -> list[StorageState]:
        """Every storage that is there or was since this node started; from the thread that calls `work`."""
        with self._database.reading() as connection:
            return self._storages.states(connection)

    # Receive ----------------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> Circle:
        """See who is in the space now."""
        circle = self._circle
        if circle is not None and not self._must_look:
            return circle
        with self._database.reading() as connection:
            rows = self._roster_rows(connection)
            if circle is not None and rows == self._roster and not circle.has_revoked:
                self._must_look = False
                return circle
            self._roster = rows
            found = roster.members(connection, self._space)
            members = {member.device.id: member for member in found}
            secrets = roster.secrets(connection, self._space)
            ended = reconcile.ended(connection, self._space, found)
            if circle is None or (members, ended, secrets) != (circle.members, circle.ended, self._secrets):
                self._secrets = secrets
                circle = self._circle = Circle(members, Keyring(secrets, random=self._random), ended)
                self._reconcile.roster_changed(connection, circle.counts)
                self._storages.roster_changed(now)
                self._rekey_at = self._turn_to_rekey(connection, circle, now)
                self._is_planning = True
        self._must_look = False
        return circle

    def _turn_to_rekey(self, connection: Connection, circle: Circle, now: float) -> float | None:
        """When it is this device's turn to change the secret, if a revoked device knows it: one after the other, so that the
        first that is there does it, and the others see that it is done.
        """
        if not circle.counts(self._own.id) or not membership.is_rekey_due(connection, self._space):
            return None
        turn = sorted(filter(circle.counts, circle.members)).index(self._own.id)
        return now + limits.REKEY_QUIET_SECONDS + turn * limits.REKEY_TURN_SECONDS

    def _rekey(self) -> None:
        self._rekey_at = None
        with self._database.write() as connection:
            if membership.is_rekey_due(connection, self._space):
                membership.rekey(self._log, connection, self._space, self._random)
        self._must_look = self._must_publish = True

    def _roster_rows(self, connection: Connection) -> list[tuple[object, ...]]:
        """What tells at little cost that the roster is as it was; a local save makes us look too."""
        return connection.rows(
            "SELECT device, revoked, name, box_key FROM member WHERE space = ?1 "
            "UNION ALL SELECT key_id, epoch, hlc, counts FROM secret WHERE space = ?1",
            (self._space.n,),
        )

    def _receive(self, samples: list[Sample], circle: Circle, now: float) -> None:
        batch: list[Arrived] = []
        for sample in samples:
            try:
                arrived = self._open(sample, circle, now)
            except UnknownKey:
                self._reconcile.unknown_key(self._sender(sample), now)
                self._storages.unknown_key()
                self._refuse(NOBODY, "unknown key")
                self._is_planning = True
                continue
            if arrived is not None:
                batch.append(arrived)
        if batch:
            self._is_lasting = False
            self._note(self._receiver.append(batch, now), now)
        self._receiver.expire(now)

    def _open(self, sample: Sample, circle: Circle, now: float) -> Arrived | None:
        """The record in a sample; None for an announcement, which is heard, and for what is refused."""
        tail = sample.key[len(self._prefix) :]
        if sample.get is None:
            if tail.startswith("vec/"):
                self._hear(sample, circle, now)
                return None
            return self._receiver.open(sample, circle)
        if (about := self._storages.about(sample.get)) is not None:
            return self._open_stored(sample, about, circle, now)
        asked = self._reconcile.asked.get(sample.get)
        if asked is None or not tail.startswith("rec/" if asked.get.storage else f"dev/{asked.get.device.hex()}/"):
            self._refuse(NOBODY, "key")
            return None
        if asked.matter == Matter.VECTOR:
            self._hear(sample, circle, now)
            return None
        arrived = self._receiver.open(sample, circle)
        if arrived is not None and asked.get.storage:
            self._storages.brought(asked.get.storage, tail[len("rec/") :])
        return arrived

    def _open_stored(self, sample: Sample, about: About, circle: Circle, now: float) -> Arrived | None:
        """What lies in a storage: a record of the roster that tells a secret, or something to be noted."""
        self._storages.heard(sample.get)
        if about == About.ROSTER:
            return self._receiver.open(sample, circle)
        if about == About.AUDIT:
            self._storages.saw(sample, circle.keyring)
            return None
        named = keys.parse_vec(sample.key)
        if named is not None:
            self._storages.found(sample, named[1])
            if circle.counts(named[1]):  # that a revoked device's is left there is nobody's fault
                self._hear(sample, circle, now)
        return None

    def _hear(self, sample: Sample, circle: Circle, now: float) -> None:
        """An announcement came, live or as an answer."""
        device = self._sender(sample)
        if device is None or not circle.counts(device):
            self._refuse(device or NOBODY, "device")
            return
        try:
            plain = circle.keyring.open(keys.vec(self._space.id, device), sample.payload)
            heard = vectors.opened(plain, self._space.id, device, circle.members[device].public_key)
        except UnknownKey:
            raise
        except RecordRefused as error:
            self._refuse(device, error.field)
            return
        said = heard.announcement
        if sample.get is not None and self._storages.about(sample.get) == About.LOOK:
            self._heard_in_storage(sample.get, heard, now)
            return
        offset = said.wall - self._wall_clock() if sample.get is None else None
        is_news = self._reconcile.heard(said, now, live_offset_ms=offset)
        if is_news and device != self._own.id:  # a copy of this device speaks for itself
            self._announced.keep(heard, now)
        self._is_planning = True

    def _heard_in_storage(self, get: int, heard: Heard, now: float) -> None:
        said = heard.announcement
        if said.device == self._own.id:
            if said.node == self._node:  # else it is of a copy of this device, and hides ours
                self._storages.found_own(get, said.counter)
            self._announced.go_beyond(said.counter)  # a copy of this store, put back, may have counted further
        if self._reconcile.heard_in_storage(self._storages.zid(get), said, now):
            self._is_planning = True
            if said.device != self._own.id:
                self._announced.keep(heard, now)

    def _sender(self, sample: Sample) -> bytes | None:
        """The device that a sample came from, as far as its name tells."""
        if sample.get is not None:
            asked = self._reconcile.asked.get(sample.get)
            if asked is not None:
                return asked.get.device
        named = keys.parse_vec(sample.key)
        if named is not None:
            return named[1]
        name = keys.parse_tail(sample.key.partition("/rec/")[2])
        row = self._database.row(
            "SELECT device.id FROM log JOIN device ON device.n = log.device WHERE log.id = ? AND log.space = ?",
            (name.log if name is not None else b"", self._space.n),
        )
        return row[0] if row is not None else None

    def _note(self, result: Received, now: float) -> None:
        """What follows from what was appended."""
        for one in result.new:
            if one.record.core.device == self._own.id:
                self._outbox.arrived(one.record.hash)
            self._count(one, new=1)
        for one in result.unadmitted:
            self._count(one, unadmitted=1)
        for record in result.without_body:
            self._reconcile.lacks_body(record)
        for one in result.bodies:
            self._reconcile.brought_body(one.record)
        if result.ahead and self._vectors_at is None:  # unless an announcement tells before that
            self._vectors_at = now + limits.ANNOUNCE_SPACING_SECONDS + limits.ANNOUNCE_QUIET_SECONDS
        if result.roster_changed or (result.new and self._circle is not None and self._circle.has_revoked):
            self._must_look = True  # a record of any kind may complete the chain to a cut-off
        named = {one.record.core.memory for one in result.new if one.record.core.kind == Kind.PURGE}
        self._purged(result.scrubbed | named, now)
        self._note_restores((one.record for one in result.new), now)
        if result.new:
            self._survey(now)
            self._is_planning = True

    def _note_restores(self, new: Iterable[Record], now: float) -> None:
        """A purge may not count any more after a restore, so that the text it took is wanted again; looked for once a second."""
        if self._bodies_at is None and any(record.core.kind == Kind.RESTORE for record in new):
            self._bodies_at = now + limits.BACK_OFF_SECONDS_MIN

    def _count(self, one: Arrived, *, new: int = 0, unadmitted: int = 0) -> None:
        asked = self._reconcile.asked.get(one.get) if one.get is not None else None
        if asked is not None:
            asked.new += new
            asked.unadmitted += unadmitted

    # Publish ----------------------------------------------------------------------------------------------------------

    def _publish(self, circle: Circle, now: float) -> list[Put]:
        """This device's new records, if somebody wrote."""
        if not self._must_publish:
            return []
        with self._database.reading() as connection:
            found = self._outbox.next(connection, self._own.id)
        self._must_publish = self._outbox.has_more
        self._purged({record.core.memory for record in found if record.core.kind == Kind.PURGE}, now)
        self._note_restores(found, now)
        self._survey(now)
        return publisher.puts(found, circle.keyring)

    def _survey(self, now: float) -> None:
        """What we hold may have changed."""
        self._heads = self._log.vector(self._space)
        self._storages.changed()
        self._announcer.look(self._news(), now)

    def _news(self) -> News:
        return tuple(self._heads), tuple(self._pending), self._ahead

    def _announce(self, circle: Circle, now: float, *, at_once: bool = False) -> list[Put]:
        """Our vector, if it is time, after the old bytes of what was purged are gone."""
        self._truncate(now)
        if not self._is_member() or (self._announcer.due(now) > now and not at_once):
            return []
        news = self._news()
        heard = self._announced.next(news, self._name(), now)
        self._storages.counter = heard.announcement.counter
        self._is_lasting |= self._announced.has_written  # that took along all that was committed before
        self.make_lasting()  # nobody is told that we hold what a power cut may take
        self._announcer.told(news, now)
        sealed = vectors.sealed(heard, circle.keyring)
        return [Put(keys.vec(self._space.id, self._own.id), sealed, self._storages.own_stamp)]

    def _name(self) -> str:
        own = self._circle.members.get(self._own.id) if self._circle is not None else None
        return own.device.name if own is not None else self._own.name

    def _write_down(self, now: float) -> None:
        """What is written now and then, when its time has come."""
        self._announced.write_down(now)
        if self._rekey_at is not None and self._rekey_at <= now:
            self._rekey()
        self._storages.write_down(now)
        self._refusals.write(now)

    def _purged(self, memories: Iterable[str], now: float) -> None:
        """The text of these was just removed from the tables; the WAL may still hold it."""
        for memory in memories:
            self._pending[memory] = None
            self._truncate_at = now
            self._storages.purged()
        while len(self._pending) > limits.PENDING_PURGES_MAX:
            del self._pending[next(iter(self._pending))]

    def _truncate(self, now: float) -> None:
        if self._truncate_at is None or self._truncate_at > now:
            return
        if self._database.truncate_wal(wait_ms=_TRUNCATE_WAIT_MS):
            self._pending = dict.fromkeys(self._kept_purges())
            self._truncate_at = None
        else:
            self._truncate_at = now + _TRUNCATE_AGAIN_SECONDS
        self._announcer.look(self._news(), now)

    def _kept_purges(self) -> list[str]:
        """Purged memories whose text this device keeps for its time."""
        with self._database.reading() as connection:
            return index.kept_purges(connection, self._space.n)[: limits.PENDING_PURGES_MAX]

    # Reconcile --------------------------------------------------------------------------------------------------------

    def _look_when_due(self, now: float) -> None:
        """What is looked at by the clock, whatever happens."""
        if self._vectors_at is not None and self._vectors_at <= now:
            self._vectors_at = None
            self._reconcile.ask_for_vectors()
            self._is_planning = True
        if self._compare_at <= now:
            self._compare_at = now + limits.COMPARE_EVERY_SECONDS
            self._reconcile.ask_for_vectors(older_than=now - 1.5 * limits.ANNOUNCE_EVERY_SECONDS)
            self._look_behind_gaps(now)
            self._look_at_what_others_lack(now)
            self._purged(self._log.scrub_due(self._space), now)
            self._storages.purged()  # a text that was kept for its time may be gone since
            self._is_planning = True
        if self._bodies_at is not None and self._bodies_at <= now:
            self._bodies_at = None
            with self._database.reading() as connection:
                self._reconcile.look_for_bodies(connection)
            self._is_planning = True

    def _plan(self, now: float) -> list[Put | Get]:
        """What to ask for, and what a storage lacks, when something happened that may have changed it, or its time has come."""
        self._look_when_due(now)
        for id in (*self._reconcile.overdue(now), *self._storages.overdue(now)):
            if not self._inbox.has_answers(id):
                self._inbox.end(id, failed=True)
        dues = (self._reconcile.due(), self._storages.due(now))
        is_due = self._is_planning or any(due is not None and due <= now for due in dues)
        self._is_planning = False
        if not is_due or not self._is_member():
            return []
        with self._database.reading() as connection:
            out: list[Put | Get] = [*self._reconcile.plan(connection, self._heads, now)]
            if self._circle is not None:
                out += self._storages.plan(connection, self._circle.keyring, now)
        self._is_planning |= self._reconcile.is_following
        for get in out:
            if isinstance(get, Get):
                self._inbox.expect(get.id, get.storage, self._names(get))
        if self._storages.must_announce:
            self._storages.must_announce = False
            self._announcer.hurry()
        return out

    def _names(self, get: Get) -> frozenset[str] | None:
        """What an answer may be called, where that is known: anybody who may put there may invent announcements."""
        if self._circle is None or self._storages.about(get.id) != About.LOOK:
            return None
        return frozenset(keys.vec(self._space.id, device) for device in self._circle.members)

    def _look_behind_gaps(self, now: float) -> None:
        """What waits behind a gap for longer than a minute is told: nobody may have what is missing before it."""
        with self._database.reading() as connection:
            rows = reconcile.waiting(connection, self._space.n)
        before, self._waiting = self._waiting, {head.hash for head, _ in rows}
        self._ahead = vectors.chains((head, prev) for head, prev in rows if head.hash in before)
        self._announcer.look(self._news(), now)

    def _look_at_what_others_lack(self, now: float) -> None:
        """What a device says for a minute that it lacks may lie in the storages so that nobody takes it: without its text."""
        if self._storages.is_empty:
            return
        said = {peer.heard for peer in self._reconcile.peers.values() if peer.heard is not None}
        with self._database.reading() as connection:
            lacked = {tail for one in said for tail in holdings.lacked(connection, self._space, self._heads, one)}
        self._doubt_at = {tail: self._doubt_at.get(tail, now + limits.DOUBT_FIRST_SECONDS) for tail in sorted(lacked)}
        due = [tail for tail, at in self._doubt_at.items() if at <= now]
        self._doubt_at |= dict.fromkeys(due, now + limits.DOUBT_AGAIN_SECONDS)
        self._storages.doubt(due, now)

    def _compare_with_all(self) -> None:
        self._reconcile.ask_for_vectors()
        self._storages.ask_all(self._monotonic())
        self._announcer.hurry(self._monotonic() + limits.ANNOUNCE_AGAIN_SECONDS)
        self._must_publish = self._is_planning = True

    def _appeared(self, device: bytes, node: str) -> None:
        if self._reconcile.appeared(device, node):
            self._announcer.hurry(self._monotonic() + limits.ANNOUNCE_AGAIN_SECONDS)
            self._is_planning = True

    def _storage_vanished(self, zid: str) -> None:
        self._storages.vanished(zid)
        self._reconcile.storage_vanished(zid)

    # Below ------------------------------------------------------------------------------------------------------------

    def _do(self, command: Callable[[], None]) -> None:
        """Have the working thread do something; a flood of tokens is cut off, and seen again by the slow timer."""
        if len(self._control) < _CONTROL_MAX:
            self._control.append(command)

    def _is_member(self) -> bool:
        """Whether this device still belongs to the space; if not, it neither tells nor asks anything."""
        return self._circle is not None and self._circle.counts(self._own.id)

    def _refuse(self, device: bytes, reason: str) -> None:
        self._refusals.count(device, reason, self._circle.members if self._circle is not None else ())
