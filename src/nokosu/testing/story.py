"""`Story`: what people do on the hosts of a `LoopbackMesh`, what befalls them meanwhile, and whether all holds in the end.

    with LoopbackMesh(seed, folder) as mesh:
        Story(mesh).run(steps=300)

raises `AssertionError` with the seed in it when a promise is broken: a save that was acknowledged is lost, something is
there that nobody wrote, a forgotten memory is back, or two hosts differ after all links were mended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from nokosu.drafts import Change, Draft
from nokosu.errors import NotFound, Refused
from nokosu.fold import Status
from nokosu.records import Author, Content
from nokosu.store.log import Entry
from nokosu.testing.account import Account, held
from nokosu.testing.host import Host
from nokosu.testing.loopback import SPACE_NAME, LoopbackMesh
from nokosu.testing.network import Faults
from nokosu.testing.storage import SimulatedStorage, Stored
from nokosu.testing.stored import stored_problems

SKEWS_MS: Final = (500, -500, 12_000, -12_000, 86_400_000, -86_400_000)
_FAULT_SHARE: Final = 0.12  # of the steps
_PAUSES: Final = (0.01, 0.05, 0.2, 1.0)  # seconds between two steps
_HOSTS_MAX: Final = 6
_APART_SHARE: Final = 0.3  # of the stories with storages: hosts meet through these alone
_IN_FLIGHT_SECONDS: Final = 200.0

T = TypeVar("T")


class Story:
    """A random story on one mesh, told by its seed."""

    def __init__(self, mesh: LoopbackMesh, *, verify_all: bool = False) -> None:
        """*verify_all* checks every host to the last byte at the end, where one of them, chosen by the seed, would do."""
        self.mesh = mesh
        self.account = Account()
        self._random = mesh.random
        self._verify_all = verify_all
        self._copies: list[tuple[Host, Path]] = []
        self._storage_copies: list[tuple[SimulatedStorage, dict[str, Stored]]] = []
        self._texts = 0
        self._actions: dict[Callable[[Host], None], int] = {
            self._save: 50,
            self._edit: 18,
            self._forget: 8,
            self._restore: 4,
            self._purge: 3,
            self._write_later_kind: 2,
        }
        self._faults: dict[Callable[[], None], int] = {
            self._cut: 6,
            self._isolate: 4,
            self._heal: 8,
            self._crash_or_start: 8,
            self._skew: 5,
            self._copy: 3,
            self._put_back: 3,
            self._clone: 1,
            self._revoke: 1,
        }
        if mesh.storages:
            self._faults |= {
                self._cut_storage: 3,
                self._restart_storage: 2,
                self._cut_power: 4,
                self._wipe_storage: 1,
                self._copy_storage: 4,
                self._put_storage_back: 3,
            }
            if self._random.random() < _APART_SHARE:
                mesh.keep_apart()
                mesh.fired["hosts kept apart"] += 1

    def run(self, steps: int = 300) -> None:
        """Live through *steps* random events, mend everything, and check what must hold."""
        self.mesh.network.faults = Faults.drawn(self._random)
        for _ in range(steps):
            self._step()
            self.mesh.advance(self._random.choice(_PAUSES))
            problem = self.account.watch(self._random.choice(self.mesh.members))
            if problem is not None:
                self._fail(problem)
        self.mesh.heal_all()
        if self.mesh.storages:
            self.mesh.advance(_IN_FLIGHT_SECONDS)  # a text that is late may lie in a storage again, and has to be found
        if not self.mesh.settle():
            self._fail(f"not the same everywhere after {self.mesh.now:.0f} s: {self.mesh.differences()}")
        members = self.mesh.members
        verified = members if self._verify_all else [self._random.choice(members)]
        problems = self.account.problems(members, verified=verified)
        problems += stored_problems(self.mesh, is_torn=self.account.is_torn)
        if problems:
            self._fail("; ".join(problems[:4]))

    def _step(self) -> None:
        if self._random.random() < _FAULT_SHARE:
            self._drawn(self._faults)()
            return
        host = self._random.choice(self.mesh.hosts)
        try:
            self._drawn(self._actions)(host)
        except (NotFound, Refused):
            return  # somebody forgot it in the meantime, or this device was revoked: it said so, and wrote nothing
        self.mesh.tell(host)

    def _drawn(self, table: dict[T, int]) -> T:
        return self._random.choices(list(table), list(table.values()))[0]

    def _fail(self, what: str) -> None:
        raise AssertionError(f"seed {self.mesh.seed}: {what}")

    # What people do ---------------------------------------------------------------------------------------------------

    def _save(self, host: Host) -> None:
        text = self._text()
        older = self._some_memory(host) if self._random.random() < 0.1 else None
        saved = host.memory.save(Draft(text=text, supersedes=(older,) if older else ()), space=SPACE_NAME)
        self.account.texts[saved.id].add(text)
        self.account.note(host, saved.id, "save")

    def _edit(self, host: Host) -> None:
        memory = self._some_memory(host)
        if memory is None:
            return
        text = self._text()
        self.account.texts[memory].add(text)
        older = self._some_memory(host) if self._random.random() < 0.2 else None
        if not host.memory.edit(memory, Change(text=text, supersedes=(older,) if older else None)).duplicate:
            self.account.note(host, memory, "edit")

    def _forget(self, host: Host) -> None:
        memory = self._some_memory(host)
        if memory is not None and not host.memory.forget(memory).duplicate:
            self.account.note(host, memory, "forget")

    def _restore(self, host: Host) -> None:
        memory = self._some_memory(host, Status.FORGOTTEN)
        if memory is not None:
            self.account.restored.add(memory)
            if not host.memory.restore(memory).duplicate:
                self.account.note(host, memory, "restore")

    def _purge(self, host: Host) -> None:
        memory = self._some_memory(host)
        if memory is not None and not host.memory.purge(memory).duplicate:
            whole = (
                host.memory.get(memory).status == "purged"
            )  # else it is hidden, and what this device wrote is erased
            self.account.note(host, memory, "purge" if whole else "forget")

    def _write_later_kind(self, host: Host) -> None:
        """A record of a kind that no host knows, with a field that none knows, as a later version writes it."""
        memory = self._some_memory(host)
        if memory is None:
            return
        kind: Any = "later"
        later = Entry(
            kind=kind, memory=memory, author=Author(agent="later"), content=Content(text="later"), unknown={"later": 1}
        )
        with host.database.write() as connection:
            host.log.write(connection, host.space, [later])
        self.account.note(host, memory, "later")
        self.mesh.fired["kind of a later version"] += 1

    def _text(self) -> str:
        self._texts += 1
        return f"note {self._texts} word{self._random.randrange(50)}"

    def _some_memory(self, host: Host, status: Status = Status.LIVE) -> str | None:
        rows = host.database.rows(
            "SELECT id FROM memory WHERE space = ? AND status = ? ORDER BY id", (host.space.n, status)
        )
        return str(self._random.choice(rows)[0]) if rows else None

    # What befalls them ------------------------------------------------------------------------------------------------

    def _cut(self) -> None:
        one, other = self._random.sample(self.mesh.hosts, 2)
        both = self._random.random() < 0.6
        self.mesh.cut(one, other, both_ways=both)
        self.mesh.fired["link cut both ways" if both else "link cut one way"] += 1

    def _isolate(self) -> None:
        alone = self._random.choice(self.mesh.hosts)
        for other in self.mesh.hosts:
            if other is not alone:
                self.mesh.cut(alone, other)
        self.mesh.fired["host cut off"] += 1

    def _heal(self) -> None:
        self.mesh.heal_links()
        self.mesh.fired["links mended"] += 1

    def _crash_or_start(self) -> None:
        host = self._random.choice(self.mesh.hosts)
        if host.exchange is None:
            self.mesh.start(host)
        else:
            self.mesh.crash(host)
            self.mesh.fired["node killed"] += 1

    def _skew(self) -> None:
        host, skew = self._random.choice(self.mesh.hosts), self._random.choice(SKEWS_MS)
        self.mesh.fired["clock set back"] += skew < host.clock.skew_ms
        self.mesh.fired[f"clock wrong by {abs(skew) / 1000:g} s"] += 1
        host.clock.skew_ms = skew

    def _cut_storage(self) -> None:
        self.mesh.cut_storage(self._random.choice(self.mesh.hosts), self._random.choice(self.mesh.storages))
        self.mesh.fired["storage cut off"] += 1

    def _stopped_storage(self) -> SimulatedStorage:
        """A storage that is off, and will be on again after a while."""
        storage = self._random.choice(self.mesh.storages)
        self.mesh.stop_storage(storage)
        on_again = self.mesh.now + self._random.uniform(1.0, 15.0)
        self.mesh.timeline.at(on_again, partial(self.mesh.start_storage, storage))
        return storage

    def _restart_storage(self) -> None:
        self._stopped_storage()
        self.mesh.fired["storage stopped"] += 1

    def _cut_power(self) -> None:
        """Each of its two loses the end of what it has written, or not."""
        storage = self._stopped_storage()
        storage.lose_power(*(self._random.choice((0.0, 0.02, 0.3)) for _ in range(2)))
        self.mesh.fired["power of a storage cut"] += 1

    def _wipe_storage(self) -> None:
        self._stopped_storage().restore({})
        self.mesh.fired["storage wiped"] += 1

    def _copy_storage(self) -> None:
        storage = self._random.choice(self.mesh.storages)
        self._storage_copies.append((storage, storage.copy()))

    def _put_storage_back(self) -> None:
        if self._storage_copies:
            storage = self._stopped_storage()
            copies = [copy for of, copy in self._storage_copies if of is storage]
            storage.restore(self._random.choice(copies) if copies else storage.copy())
            self.mesh.fired["older storage put back"] += 1

    def _copy(self) -> None:
        host = self._random.choice(self.mesh.hosts)
        self._copies.append((host, self.mesh.copy_of(host)))

    def _put_back(self) -> None:
        if not self._copies:
            self._copy()
            return
        host, copy = self._copies.pop(self._random.randrange(len(self._copies)))
        before = held(host)
        self.mesh.restore(host, copy)
        account = self.account
        account.excused |= before - self._held_by_members()
        account.set_back.add(host.device)
        account.forget_what_was_seen(host)
        self.mesh.fired["older copy put back"] += 1

    def _clone(self) -> None:
        if len(self.mesh.hosts) < _HOSTS_MAX and self.account.revoked is None:
            self.mesh.clone(self._random.choice(self.mesh.hosts))
            self.mesh.fired["device cloned"] += 1

    def _revoke(self) -> None:
        """End a device while it is cut off from the one that ends it."""
        by, ended = self._random.sample(self.mesh.hosts, 2)
        account = self.account
        if account.revoked is not None or by.device == ended.device:
            return
        self.mesh.cut(by, ended)
        try:
            self.mesh.revoke(by, ended.device)
        except (NotFound, Refused):
            return
        account.revoke(by, ended.device)
        self._copies = [(host, copy) for host, copy in self._copies if host is not by]  # or nobody ever hears of it
        for host in self.mesh.hosts:
            if host.is_removed:
                account.excused |= held(host)  # what nobody else has may be lost with it
        account.excused -= self._held_by_members()
        self.mesh.fired["device revoked while cut off"] += 1

    def _held_by_members(self) -> set[bytes]:
        return set[bytes]().union(*(held(host) for host in self.mesh.members))
