"""The power fails: what was acknowledged is there, what was under way is there wholly or not at all, and nothing else is."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path

import pytest
from msgspec import Struct

from nokosu.config import DATABASE_NAME
from nokosu.drafts import Change, Draft
from nokosu.mesh.exchange import Put
from nokosu.nokosu import Nokosu
from nokosu.store import connection
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Head, Log, heads
from nokosu.testing import LoopbackMesh
from nokosu.testing.loopback import SPACE_NAME
from tests.faults import stores
from tests.faults.power import Disk, Kept, as_with_synchronous_normal
from tests.faults.stores import Seen
from tests.faults.vfs import Does, Operation, watched

RUNS = 8
CUTS_A_RUN = 115
CUTS_AROUND_A_CHECKPOINT = 80  # with those of the runs: 1,000
STEPS_A_RUN = 24
LOOKED_UP = 4  # memories looked up in each image, by id and by words; all are read and verified


class Call(Struct, frozen=True):
    """A call of the product: where in the trace it began and was acknowledged, and what the store shows after it."""

    began: int
    acknowledged: int
    after: Seen


class Run(Struct, frozen=True):
    """What a run asked of the disk, the calls that made it do so, and the store that it began with."""

    start: Path
    trace: list[Operation]
    calls: list[Call]

    def allowed(self, cut: int) -> list[Seen]:
        """What the store may show after a cut: all that was acknowledged, and perhaps the call that was under way."""
        acknowledged = [call for call in self.calls if call.acknowledged <= cut]
        under_way = [call for call in self.calls if call.began < cut < call.acknowledged]
        return [acknowledged[-1].after, *(call.after for call in under_way)]


class Recorder:
    """Calls the product in random ways, and keeps a model of what it must show."""

    def __init__(self, memory: Nokosu, trace: list[Operation], rng: random.Random) -> None:
        self._memory = memory
        self._trace = trace
        self._rng = rng
        self._names = count()
        self._now = stores.seen(memory)
        self.calls = [Call(0, 0, dict(self._now))]

    def save(self) -> None:
        self._save(1)

    def save_batch(self) -> None:
        self._save(self._rng.randint(2, 6))

    def edit(self) -> None:
        id = self._any("live")
        text = stores.note(f"edit-{next(self._names)}", self._rng).text
        self._memory.edit(id, Change(text=text))
        self._now[id] = ("live", text)

    def forget(self) -> None:
        id = self._any("live")
        self._memory.forget(id)
        self._now[id] = ("forgotten", self._now[id][1])

    def purge(self) -> None:
        id = self._any("live", "forgotten")
        self._memory.purge(id)
        del self._now[id]

    def steps(self, number: int) -> None:
        choices = (self.save, self.save, self.save_batch, self.edit, self.forget, self.purge)
        for _ in range(number):
            self._call(self._rng.choice(choices) if len(self._now) > 3 else self.save_batch)

    def save_until_a_checkpoint(self) -> None:
        """Edit what is there until SQLite moves the full WAL into the database file, and go on a little."""
        while not any(one.file == DATABASE_NAME for one in self._trace):
            self._call(self.edit)
        self.steps(3)

    def _call(self, act: Callable[[], None]) -> None:
        began = len(self._trace)
        act()
        self.calls.append(Call(began, len(self._trace), dict(self._now)))

    def _save(self, number: int) -> None:
        drafts = [stores.note(f"save-{next(self._names)}", self._rng, words=60) for _ in range(number)]
        for saved, draft in zip(self._memory.save_many(drafts), drafts, strict=True):
            self._now[saved.id] = ("live", draft.text)

    def _any(self, *statuses: str) -> str:
        of_them = [id for id, (status, _) in self._now.items() if status in statuses]
        return self._rng.choice(of_them or list(self._now))


def recorded(start: Path, home: Path, rng: random.Random, act: Callable[[Recorder], None]) -> Run:
    """What *act* makes the product ask of the disk in *home*, a copy of the store *start*; closing it included."""
    stores.copy_home(start, home)
    trace: list[Operation] = []

    def watch(operation: Operation) -> None:
        if operation.does != Does.READ:
            trace.append(operation)

    with watched(watch) as vfs, Nokosu(stores.config(home), vfs=vfs) as memory:
        recorder = Recorder(memory, trace, rng)
        act(recorder)
    return Run(start, trace, recorder.calls)


def images(
    run: Run, trace: Sequence[Operation], cuts: Iterable[int], rng: random.Random, folder: Path
) -> Iterator[tuple[str, list[Seen], Path]]:
    """For each of *cuts*, places in the run: words that name it, what the store may show, and the home as the disk has it."""
    disk = Disk(run.start)
    for before, cut in pairwise([0, *sorted(cuts)]):
        for operation in trace[before:cut]:
            disk.take(operation)
        kept = rng.choice(list(Kept))
        home = folder / "image"
        disk.cut(home, kept, rng)
        yield f"cut after operation {cut} of {len(trace)}; of what was not synced, {kept.value}", run.allowed(cut), home
        shutil.rmtree(home)


def assert_survived(home: Path, allowed: list[Seen], rng: random.Random) -> None:
    with stores.open_store(home) as memory:
        now = stores.seen(memory)
        assert now in allowed
        stores.assert_found(memory, rng.sample(sorted(now), min(LOOKED_UP, len(now))), now)
        stores.assert_verified(memory)
        assert not memory.save(stores.note("after the cut")).duplicate


@pytest.mark.parametrize("number", range(RUNS))
def test_no_acknowledged_memory_is_lost_to_a_power_cut(
    number: int, small_home: Path, scratch: Path, rng: random.Random
) -> None:
    run = recorded(small_home, scratch / "recorded", rng, lambda recorder: recorder.steps(STEPS_A_RUN))
    cuts = rng.choices(range(len(run.trace) + 1), k=CUTS_A_RUN)
    for name, allowed, home in images(run, run.trace, cuts, rng, scratch):
        with stores.naming(name):
            assert_survived(home, allowed, rng)


def test_no_acknowledged_memory_is_lost_when_the_power_fails_during_a_checkpoint(
    small_home: Path, scratch: Path, rng: random.Random
) -> None:
    run = recorded(small_home, scratch / "recorded", rng, Recorder.save_until_a_checkpoint)
    moved = [place for place, one in enumerate(run.trace) if one.file == DATABASE_NAME]
    cuts = rng.choices(range(moved[0], len(run.trace) + 1), k=CUTS_AROUND_A_CHECKPOINT)
    for name, allowed, home in images(run, run.trace, cuts, rng, scratch):
        with stores.naming(name):
            assert_survived(home, allowed, rng)


def test_this_harness_sees_what_a_commit_that_does_not_wait_for_the_disk_loses(
    small_home: Path, scratch: Path, rng: random.Random
) -> None:
    run = recorded(small_home, scratch / "recorded", rng, lambda recorder: recorder.steps(STEPS_A_RUN))
    cuts = rng.choices(range(len(run.trace) + 1), k=CUTS_A_RUN)
    trace = as_with_synchronous_normal(run.trace)
    lost = 0
    for _, allowed, home in images(run, trace, cuts, rng, scratch):
        with stores.open_store(home) as memory:
            lost += stores.seen(memory) not in allowed
    assert lost > CUTS_A_RUN / 10


def test_a_node_announces_only_what_a_power_cut_cannot_take_from_it(scratch: Path, rng: random.Random) -> None:
    trace: list[Operation] = []
    with LoopbackMesh(1, scratch / "mesh", hosts=2) as mesh, watched(trace.append) as vfs:
        mesh.settle()
        one, two = mesh.hosts
        mesh.cut(one, two)
        mesh.advance(10)
        mesh.crash(two)
        disk = Disk(two.path.parent)
        two.database.close()
        two.database = Database(two.path, vfs=vfs)
        two.log = Log(two.database, Index(), wall_clock=two.clock, random=two.random)
        mesh.start(two)
        mesh.advance(10)
        assert one.exchange is not None
        assert two.exchange is not None

        def held_after_a_cut() -> list[Head]:
            for operation in trace:
                disk.take(operation)
            trace.clear()
            disk.cut(scratch / "image", Kept.NOTHING, rng)
            database = Database(scratch / "image" / two.path.name)
            try:
                with database.reading() as connection:
                    return heads(connection, two.space)
            finally:
                database.close()
                shutil.rmtree(scratch / "image")

        for number in range(3):
            before = held_after_a_cut()
            assert before == two.log.vector(two.space), "all of it was announced"
            one.memory.save(Draft(text=f"Note {number}."), space=SPACE_NAME)
            one.exchange.store_changed()
            for put in one.exchange.work():
                assert isinstance(put, Put)
                two.exchange.live(put.key, put.payload)
            assert [put for put in two.exchange.work() if isinstance(put, Put)] == []
            assert two.log.vector(two.space) != before
            assert held_after_a_cut() == before, "it is fetched again, and nobody was told of it"
            mesh.tell(two)
            mesh.advance(2)
        assert held_after_a_cut() == two.log.vector(two.space)
        two.database.close()


def test_a_new_store_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    trace: list[Operation] = []
    disk = Disk(tmp_path)
    with watched(trace.append) as vfs:
        connection.create(tmp_path / DATABASE_NAME, lambda fresh: None, vfs=vfs)
    for operation in trace:
        disk.take(operation)
    assert any(one.does == Does.WRITE for one in trace)
    assert disk.waiting() == set()
