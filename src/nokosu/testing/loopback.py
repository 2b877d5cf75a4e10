"""`LoopbackMesh`: several hosts in one process and one thread, with the real publish, receive, reconcile and fold between
real stores, and a network and clocks that a test can spoil.

    mesh = LoopbackMesh(1, tmp_path, hosts=2)
    one, other = mesh.hosts
    one.write(lambda memory: memory.save(Draft(text="Deploys run from main only."), space=mesh.space_name))
    mesh.settle()
    assert mesh.is_converged()

One seed, one run: time is virtual, and everything random is drawn from the seed.
"""

from __future__ import annotations

import itertools
import math
import random as standard_random
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nokosu.engine import replication
from nokosu.mesh import keys, reconcile
from nokosu.mesh.exchange import Get, Put
from nokosu.store import membership, roster
from nokosu.store.log import Head
from nokosu.testing.host import Host
from nokosu.testing.network import Faults, Network, Timeline
from nokosu.testing.storage import SimulatedStorage, Stored

SPACE_NAME: Final = "mesh"
_WORKS_MAX: Final = 2_000  # calls of `work` in one go: more is a loop that never ends
WAKES_PER_SECOND: Final = 20
_ALIGN_SECONDS: Final = 10.0  # how often two storages compare
_STORAGE_NUMBER: Final = 100  # places of storages in the network begin here
_LEASE_SECONDS: Final = 10.0  # how long a link may be down before its ends notice


class _Question:
    """A question on its way to some nodes, and how many of them have yet to end."""

    def __init__(self, host: Host, get: Get, asked: int) -> None:
        self.host = host
        self.exchange = host.exchange  # after a restart, another one: nobody waits for the answers any more
        self.get = get
        self.asked = self.left = asked
        self.failed = 0


class LoopbackMesh:
    """Hosts that share one space, and what is between them."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        hosts: int = 5,
        storages: int = 0,
        faults: Faults | None = None,
        wakes_per_second: int = WAKES_PER_SECOND,
    ) -> None:
        """Make *hosts* stores below *folder*, one space that all belong to, and start their nodes; and *storages* beside
        them, that replicate with each other. What arrives at a host between two of its *wakes_per_second* is looked at
        together.
        """
        self.seed = seed
        self.random = standard_random.Random(seed)  # noqa: S311 - for tests
        self.fired: Counter[str] = Counter()
        self.timeline = Timeline()
        self.network = Network(self.timeline, self.random, self.fired)
        self.network.faults = faults or Faults()
        self.hosts: list[Host] = []
        self.storages: list[SimulatedStorage] = []
        self.are_apart = False  # hosts never meet but through a storage
        self.sent: Counter[str] = Counter()
        self._folder = folder
        self._wakes_per_second = wakes_per_second
        self._nodes = 0
        self._seen: set[tuple[str, str]] = set()  # which node sees which
        self._seen_storages: dict[tuple[str, str], int | None] = {}  # by node and Zenoh id, in which of its runs
        self._waking: dict[int, float] = {}
        for _ in range(hosts):
            self._new_host().create()
        self._found()
        for number in range(storages):
            zid = f"{number + 1:x}{'a' * 31}"
            self.storages.append(SimulatedStorage(_STORAGE_NUMBER + number, zid, keys.space(self.space)))
        if storages > 1:
            self.timeline.at(_ALIGN_SECONDS, self._align)
        for host in self.hosts:
            self.start(host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all stores."""
        for host in self.hosts:
            host.close()

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.timeline.now

    @property
    def members(self) -> list[Host]:
        """The hosts of which equal stores are expected."""
        return [host for host in self.hosts if not host.is_removed]

    # Time -------------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything that happens in it."""
        self.timeline.run_until(self.now + seconds)

    def settle(self, seconds_max: float = 1_500.0) -> bool:
        """Let time pass until every member holds the same and nothing is on its way; whether that came to be."""
        until = self.now + seconds_max
        step = 1.0
        while not self.is_quiet():
            if self.now >= until:
                return False
            self.advance(step)
            step = min(step * 1.5, 30.0)
        return True

    def is_converged(self) -> bool:
        """Whether every member's vector is the same, hash for hash, and so is what waits and what was scrubbed."""
        held = [(self.vector(host), self.waiting(host), self.scrubbed(host)) for host in self.members]
        return all(one == held[0] for one in held)

    def is_quiet(self) -> bool:
        """Whether every member has told the others so, and they agree."""
        if not self.is_converged():
            return False
        running = [host for host in self.members if host.exchange is not None]
        return all(
            peer.equal
            for host in running
            if host.exchange is not None
            for peer in host.exchange.peers()
            if peer.reachable and not self._is_gone(peer.node)
        ) and all(
            storage.lacking == 0 and not storage.pending
            for host in running
            if host.exchange is not None
            for storage in host.exchange.storages()
        )

    def differences(self) -> dict[str, list[str]]:
        """What each member holds that not all others do, for a person to read."""
        ends = {
            host.name: {
                f"{head.log.hex()[:6]} {head.seq} {head.hash.hex()[:6]}"
                for head in (*self.vector(host), *self.waiting(host))
            }
            for host in self.members
        }
        common = set.intersection(*ends.values())
        return {name: sorted(found - common) for name, found in ends.items()}

    def vector(self, host: Host) -> list[Head]:
        """What a host holds."""
        return host.log.vector(host.space)

    def waiting(self, host: Host) -> list[Head]:
        """What a host holds behind a gap."""
        with host.database.reading() as connection:
            return [head for head, _ in reconcile.waiting(connection, host.space.n)]

    def scrubbed(self, host: Host) -> list[bytes]:
        """The hashes of the records that a host holds without their bodies."""
        rows = host.database.rows(
            "SELECT hash FROM record JOIN log ON log.n = record.log WHERE log.space = ? AND body IS NULL ORDER BY 1",
            (host.space.n,),
        )
        return [hash for (hash,) in rows]

    # Faults -----------------------------------------------------------------------------------------------------------

    def cut(self, one: Host, other: Host, *, both_ways: bool = True) -> None:
        """Let nothing through from *one* to *other*, and back."""
        self.network.cut(one.number, other.number)
        if both_ways:
            self.network.cut(other.number, one.number)
        self._notice_later(one, other)

    def heal(self, one: Host, other: Host) -> None:
        """Let everything through between two hosts."""
        self.network.mend(one.number, other.number)
        self.network.mend(other.number, one.number)
        self._notice_later(one, other)

    def cut_storage(self, host: Host, storage: SimulatedStorage) -> None:
        """Let nothing through between a host and a storage."""
        self.network.cut(host.number, storage.number)
        self.network.cut(storage.number, host.number)
        self._notice_storage_later(host, storage)

    def start_storage(self, storage: SimulatedStorage) -> None:
        """Start a storage that was stopped."""
        storage.is_running = True
        storage.runs += 1
        for host in self.hosts:
            self._notice_storage_later(host, storage)

    def stop_storage(self, storage: SimulatedStorage) -> None:
        """Stop a storage: what it has written is there when it starts."""
        storage.is_running = False
        for host in self.hosts:
            self._notice_storage_later(host, storage)

    def keep_apart(self) -> None:
        """From now on, no host reaches another but through a storage."""
        self.are_apart = True
        for host in self.hosts:
            for other in self.hosts[: host.number]:
                self.cut(host, other)

    def heal_links(self) -> None:
        """Mend every link."""
        for host in self.hosts:
            for storage in self.storages:
                self.network.mend(host.number, storage.number)
                self.network.mend(storage.number, host.number)
                self._notice_storage_later(host, storage)
            for other in self.hosts[: host.number] if not self.are_apart else ():
                self.heal(host, other)
        for here, there in itertools.permutations(self.storages, 2):
            self.network.mend(here.number, there.number)

    def heal_all(self) -> None:
        """Mend every link, lose nothing more, and start every node."""
        self.network.faults = Faults()
        self.heal_links()
        for host in self.members:
            if host.exchange is None:
                self.start(host)
        for storage in self.storages:
            if not storage.is_running:
                self.start_storage(storage)

    def start(self, host: Host) -> None:
        """Start a host's node."""
        self._nodes += 1
        host.start(self.space, f"{self._nodes:032x}")
        self._wake(host)
        for other in self.hosts:
            if other is not host:
                self._notice_later(host, other)
        for storage in self.storages:
            self._notice_storage_later(host, storage)

    def crash(self, host: Host) -> None:
        """End a host's node: all that is not committed is gone."""
        host.stop()
        for other in self.hosts:
            if other is not host:
                self._notice_later(host, other)

    def clone(self, host: Host) -> Host:
        """Copy a host's disk to a new one, and start it: two nodes of one device."""
        copy = self._new_host()
        copy.config.home.mkdir()
        host.database.copy_to(copy.path)
        copy.open()
        for other in self.hosts[: copy.number] if self.are_apart else ():
            self.network.cut(copy.number, other.number)
            self.network.cut(other.number, copy.number)
        self.start(copy)
        return copy

    def copy_of(self, host: Host) -> Path:
        """A copy of a host's store as it is now, to put back later with `restore`."""
        self._nodes += 1
        target = self._folder / f"copy{self._nodes}"
        host.database.copy_to(target)
        return target

    def restore(self, host: Host, copy: Path) -> None:
        """Put an older copy of its store in place, and start the node again."""
        self.crash(host)
        host.replace(copy)
        self.start(host)

    def revoke(self, by: Host, device: bytes) -> None:
        """Have a host revoke a device; its hosts are no members any more."""
        with by.database.write() as connection:
            membership.revoke(by.log, connection, by.space, device, by.random)
        by.log.settle()
        self.tell(by)
        for host in self.hosts:
            host.is_removed |= host.device == device

    def tell(self, host: Host) -> None:
        """Let a host's node see that somebody wrote to its store."""
        if host.exchange is not None:
            host.exchange.store_changed()
            self._wake(host)

    # Below ------------------------------------------------------------------------------------------------------------

    def _new_host(self) -> Host:
        number = len(self.hosts)
        host = Host(number, self._folder / f"host{number}", self.timeline, self.random)
        self.hosts.append(host)
        return host

    def _found(self) -> None:
        """One space, founded by the first host, that admits all others."""
        founder = self.hosts[0]
        with founder.database.write() as connection:
            made = membership.create_space(connection, SPACE_NAME, founder.random)
            for host in self.hosts[1:]:
                public, box = host.public_keys()
                membership.admit(founder.log, connection, made, public_key=public, box_key=box, name=host.name)
            key, secrets = roster.founder(connection, made), roster.secrets(connection, made)
            welcome = membership.roster_records(connection, made)
        self.space = made.id
        for host in self.hosts[1:]:
            with host.database.write() as connection:
                membership.enter(
                    host.log, connection, id=made.id, name=SPACE_NAME, founder=key, secrets=secrets, records=welcome
                )

    def _is_gone(self, node: str) -> bool:
        return all(host.exchange is None or host.node != node for host in self.hosts)

    # Driving the exchanges --------------------------------------------------------------------------------------------

    def _wake(self, host: Host, time: float | None = None) -> None:
        """Have a host's exchange work at that moment, or now, unless it does so sooner anyway."""
        time = math.ceil((self.now if time is None else time) * self._wakes_per_second) / self._wakes_per_second
        planned = self._waking.get(host.number)
        if planned is not None and planned <= time:
            return
        self._waking[host.number] = time
        self.timeline.at(time, partial(self._work, host, time))

    def _work(self, host: Host, time: float) -> None:
        if self._waking.get(host.number) != time:
            return  # it was woken sooner, and has planned anew
        del self._waking[host.number]
        for _ in range(_WORKS_MAX):
            exchange = host.exchange
            if exchange is None:
                return
            for message in exchange.work():
                self._send(host, message)
            due = exchange.due
            if due is not None:
                self._wake(host, max(due, self.now + 0.5 / self._wakes_per_second))
                return
        raise AssertionError(f"seed {self.seed}: {host.name} works without end")

    def _send(self, host: Host, message: Put | Get) -> None:
        if isinstance(message, Get):
            self.sent["get"] += 1
            self._ask(host, message)
            return
        self.sent["put"] += 1
        for other in self.hosts:
            if other is not host:
                self.network.send(host.number, other.number, partial(self._arrive, other, message))
        for storage in self.storages:
            stored = Stored(host.stamp(message.later_than), message.payload)
            self.network.send(host.number, storage.number, partial(self._store, storage, message.key, stored))

    def _store(self, storage: SimulatedStorage, key: str, stored: Stored) -> None:
        if storage.is_running:
            storage.put(key, stored, now=self.now)

    def _align(self) -> None:
        """Storages that are linked replicate; subscribers hear nothing of it."""
        for one, other in itertools.combinations(self.storages, 2):
            is_linked = self.network.is_open(one.number, other.number)
            if one.is_running and other.is_running and is_linked:
                one.align(other)
        self.timeline.at(self.now + _ALIGN_SECONDS, self._align)

    def _arrive(self, host: Host, message: Put) -> None:
        if host.exchange is not None:
            host.exchange.live(message.key, message.payload)
            self._wake(host)

    def _ask(self, host: Host, get: Get) -> None:
        """Ask every node of the device, or every storage; the question has ended when all of them have."""
        if get.storage:
            self._ask_storages(host, get)
            return
        asked = [other for other in self.hosts if other.device == get.device and other is not host]
        question = _Question(host, get, max(len(asked), 1))
        if not asked:
            self._end(question, failed=True)
        for other in asked:
            self.network.ask(
                host.number, other.number, partial(self._answer, question, other), partial(self._give_up, question)
            )

    def _ask_storages(self, host: Host, get: Get) -> None:
        """All of them are asked, as Zenoh does; that others answer must not pass for an answer of the one it is for."""
        there = [one for one in self.storages if one.zid == get.storage or self._sees_storage(host, one)]
        question = _Question(host, get, len(there))
        for storage in there:
            self.network.ask(
                host.number,
                storage.number,
                partial(self._answer_stored, question, storage),
                partial(self._give_up, question),
            )

    def _answer_stored(self, question: _Question, storage: SimulatedStorage) -> None:
        if not storage.is_running:
            self._give_up(question)
            return
        answers = storage.serve(question.get.selector)
        self.sent["answer of a storage"] += len(answers)
        broken = self.network.broken_off_after(len(answers))

        def take() -> None:
            if not self.network.is_open(storage.number, question.host.number):
                self._give_up(question)
                return
            exchange = question.host.exchange
            if exchange is question.exchange and exchange is not None:
                for key, stored in answers[:broken]:
                    exchange.answered(question.get.id, key, stored.payload, replier=storage.zid, stamp=stored.stamp)
            self._end(question, failed=broken is not None)

        self.timeline.at(self.now + self.network.delay(), take)

    def _sees_storage(self, host: Host, storage: SimulatedStorage) -> bool:
        forth, back = (host.number, storage.number), (storage.number, host.number)
        running = host.exchange is not None and storage.is_running
        return running and self.network.is_open(*forth) and self.network.is_open(*back)

    def _notice_storage_later(self, host: Host, storage: SimulatedStorage) -> None:
        delay = self.random.uniform(0.0, _LEASE_SECONDS) * (0.02 if self._sees_storage(host, storage) else 1.0)
        self.timeline.at(self.now + delay, partial(self._notice_storage, host, storage))

    def _notice_storage(self, host: Host, storage: SimulatedStorage) -> None:
        exchange = host.exchange
        if exchange is None:
            return
        seen = self._seen_storages.get((host.node, storage.zid))
        here = storage.runs if self._sees_storage(host, storage) else None
        if here != seen and seen is not None:
            exchange.storage_vanished(storage.zid)
        if here != seen and here is not None:
            exchange.storage_appeared(storage.zid, "1.10.2", replication.FINGERPRINT)
        self._seen_storages[host.node, storage.zid] = here
        self._wake(host)

    def _give_up(self, question: _Question) -> None:
        """Nobody answers: the asker notices after a while."""
        self.timeline.at(self.now + _LEASE_SECONDS, partial(self._end, question, failed=True))

    def _answer(self, question: _Question, other: Host) -> None:
        if other.exchange is None:
            self._give_up(question)
            return
        answers = list(other.shelf.serve(question.get.selector))
        self.sent["answer"] += len(answers)
        broken = self.network.broken_off_after(len(answers))
        take = partial(self._take, question, other, answers[:broken], failed=broken is not None)
        self.timeline.at(self.now + self.network.delay(), take)

    def _take(self, question: _Question, other: Host, answers: list[tuple[str, bytes]], *, failed: bool) -> None:
        if not self.network.is_open(other.number, question.host.number):
            self._give_up(question)
            return
        exchange = question.host.exchange
        if exchange is question.exchange and exchange is not None:
            for key, payload in answers:
                exchange.answered(question.get.id, key, payload)
        self._end(question, failed=failed)

    def _end(self, question: _Question, *, failed: bool) -> None:
        question.left -= 1
        question.failed += failed
        exchange = question.host.exchange
        if question.left == 0 and exchange is question.exchange and exchange is not None:
            all_failed = question.failed == question.asked
            exchange.ended(question.get.id, failed=question.failed > 0 if question.get.storage else all_failed)
            self._wake(question.host)

    def _notice_later(self, one: Host, other: Host) -> None:
        """Each of two hosts sees, after a while, whether the other's node is there."""
        for watcher, watched in ((one, other), (other, one)):
            delay = self.random.uniform(0.0, _LEASE_SECONDS)
            is_up = self._is_visible(watcher, watched)
            self.timeline.at(self.now + (delay * 0.02 if is_up else delay), partial(self._notice, watcher, watched))

    def _is_visible(self, watcher: Host, watched: Host) -> bool:
        forth, back = (watcher.number, watched.number), (watched.number, watcher.number)
        running = watcher.exchange is not None and watched.exchange is not None
        return running and self.network.is_open(*forth) and self.network.is_open(*back)

    def _notice(self, watcher: Host, watched: Host) -> None:
        exchange = watcher.exchange
        if exchange is None:
            return
        visible = self._is_visible(watcher, watched)
        for node, device in list(watched.names.items()):
            seen = (watcher.node, node)
            here = visible and node == watched.node
            if here and seen not in self._seen:
                self._seen.add(seen)
                exchange.appeared(device, node)
            elif not here and seen in self._seen:
                self._seen.discard(seen)
                exchange.vanished(device, node)
        self._wake(watcher)
