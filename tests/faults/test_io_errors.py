"""The disk fails or is full, at every place where it can: the caller is told the truth, and the same process goes on after it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import apsw
import pytest
from msgspec import Struct

from nokosu import limits, times
from nokosu.clock import system_wall_clock
from nokosu.config import DATABASE_NAME
from nokosu.drafts import Change, Filters, Query
from nokosu.errors import OutcomeUnknown, StoreError, StoreFull
from nokosu.nokosu import Nokosu
from nokosu.store import connection
from tests.faults import stores
from tests.faults.vfs import Does, Operation, watched

# SQLite says nothing of what fails while a connection is closed; apsw tells Python of it, as exceptions that nobody can catch.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NOT_SAVED = re.compile(r"not saved: .+")
UNKNOWN = re.compile(r"unknown: .+: save it again, it will not be doubled")
NOT_SCRUBBED = re.compile(r"the WAL still holds old bytes: .+")  # the purge itself is on the disk

Shown = frozenset[tuple[str, str]]
"""Status and text of every memory that is not purged; no two texts are alike."""


class Fault:
    """A watcher that makes one operation of some kinds fail, or that one and all after it."""

    def __init__(self, error: type[apsw.Error], *kinds: Does, lasting: bool = False) -> None:
        self._error = error
        self._kinds = kinds
        self._lasting = lasting
        self._left: int | None = None
        self.has_struck = False

    def __call__(self, operation: Operation) -> None:
        if self._left is None or operation.does not in self._kinds:
            return
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._lasting):
            self.has_struck = True
            raise self._error("injected")

    def strike(self, at: int) -> None:
        """Fail at the *at*-th operation from now."""
        self._left = at
        self.has_struck = False

    def end(self) -> None:
        self._left = None


class Act(Struct, frozen=True):
    """A call of the product, and what it changes in what a store shows."""

    call: Callable[[], object]
    gone: Shown
    come: Shown

    def after(self, shown: Shown) -> Shown:
        return (shown - self.gone) | self.come


def acts(memory: Nokosu, start: stores.Seen) -> list[Act]:
    """A little of everything that writes."""
    one, two, three, four = (stores.note(name) for name in ("one", "two", "three", "four"))
    edited = stores.note("edited").text
    (first, first_text), (second, second_text), (third, third_text) = ((id, text) for id, (_, text) in start.items())
    return [
        Act(lambda: memory.save(one), gone=live(), come=live(one.text)),
        Act(lambda: memory.save_many([two, three]), gone=live(), come=live(two.text, three.text)),
        Act(lambda: memory.edit(first, Change(text=edited)), gone=live(first_text), come=live(edited)),
        Act(lambda: memory.purge(second), gone=live(second_text), come=live()),
        Act(lambda: memory.forget(third), gone=live(third_text), come=frozenset({("forgotten", third_text)})),
        Act(lambda: memory.save(four), gone=live(), come=live(four.text)),
    ]


def live(*texts: str) -> Shown:
    return frozenset(("live", text) for text in texts)


def shown_to_another(home: Path) -> Shown:
    """What a process sees that opens the store now."""
    with stores.open_store(home) as other:
        found = list(stores.seen(other).values())
    assert len(found) == len(set(found)), "a memory is there twice"
    return frozenset(found)


def failure(call: Callable[[], object]) -> StoreError | None:
    try:
        call()
    except StoreError as error:
        return error
    return None


def every_place(fault: Fault) -> Iterator[int]:
    """Strike at the first operation, at the second, and so on, until a run has fewer than that."""
    for at in count(1):
        fault.strike(at)
        yield at
        if not fault.has_struck:
            return


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (StoreFull, Fault(apsw.FullError, Does.WRITE)),
        (StoreFull, Fault(apsw.FullError, Does.WRITE, lasting=True)),
        (StoreError, Fault(apsw.IOError, Does.WRITE, Does.TRUNCATE, Does.SYNC)),
        (StoreError, Fault(apsw.IOError, Does.WRITE, Does.TRUNCATE, Does.SYNC, lasting=True)),
        (StoreError, Fault(apsw.IOError, Does.READ)),
        (StoreError, Fault(apsw.IOError, Does.READ, lasting=True)),
    ],
    ids=["full once", "full", "broken once", "broken", "unreadable once", "unreadable"],
)
def test_a_call_that_the_disk_fails_says_what_became_of_it_and_can_be_made_again(
    kind: type[StoreError], fault: Fault, small_home: Path, scratch: Path
) -> None:
    with stores.open_store(small_home) as memory:
        start = stores.seen(memory)
    for at in every_place(fault):
        home = stores.copy_home(small_home, scratch / f"home-{at}")
        shown = frozenset(start.values())
        with watched(fault) as vfs, Nokosu(stores.config(home), vfs=vfs) as memory:
            failed = []
            for act in acts(memory, start):
                error = failure(act.call)
                now = shown_to_another(home)
                if error is None or NOT_SCRUBBED.fullmatch(error.message):
                    assert now == act.after(shown), at
                elif isinstance(error, OutcomeUnknown):
                    assert UNKNOWN.fullmatch(error.message), at
                    assert now in (shown, act.after(shown)), at
                else:
                    assert NOT_SAVED.fullmatch(error.message), at
                    assert now == shown, at
                if error is not None:
                    assert isinstance(error, kind), at
                    failed.append(act)
                shown = now
            fault.end()
            for act in failed:
                assert failure(act.call) is None, at
                shown = act.after(shown)
            assert shown_to_another(home) == shown, at
            stores.assert_verified(memory)
        stores.assert_chained(home)
        shutil.rmtree(home)


def test_a_save_is_acknowledged_though_the_disk_fails_while_old_memories_are_purged(
    small_home: Path, tmp_path: Path
) -> None:
    month_later = system_wall_clock() + (limits.RESTORE_DAYS + 1) * times.DAY_MS
    draft = stores.note("saved")
    fault = Fault(apsw.IOError, Does.TRUNCATE)
    home = stores.copy_home(small_home, tmp_path / "home")
    with stores.open_store(home) as memory:
        memory.forget(next(iter(stores.seen(memory))))
    with watched(fault) as vfs, Nokosu(stores.config(home), vfs=vfs, wall_clock=lambda: month_later) as memory:
        fault.strike(1)
        saved = memory.save(draft)
        fault.end()
        assert fault.has_struck
        assert memory.get(saved.id).text == draft.text
        assert len(stores.seen(memory)) == 3


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_disk_that_cannot_be_read_is_an_error_and_never_no_results(
    lasting: bool, small_home: Path, scratch: Path
) -> None:
    home = stores.copy_home(small_home, scratch / "home")
    with stores.open_store(home) as memory:
        id, (_, text) = next(iter(stores.seen(memory).items()))
    fault = Fault(apsw.IOError, Does.READ, lasting=lasting)
    questions: list[Callable[[Nokosu], object]] = [
        lambda memory: [hit.text for hit in memory.search(Query(text="staging")).hits],
        lambda memory: [hit.id for hit in memory.search(Query(text=text.split()[0])).hits],
        lambda memory: memory.get(id),
        lambda memory: memory.list(Filters()),
        stores.seen,
    ]
    for question in questions:
        with stores.open_store(home) as memory:
            answer = question(memory)
        failed = 0
        for at in every_place(fault):
            with watched(fault) as vfs, Nokosu(stores.config(home), vfs=vfs) as memory:
                given = answer_or_error(question, memory)
                fault.end()
                assert given == answer or isinstance(given, StoreError), at
                failed += given != answer
                assert question(memory) == answer, at
        assert failed > 3


def answer_or_error(question: Callable[[Nokosu], object], memory: Nokosu) -> object:
    try:
        return question(memory)
    except StoreError as error:
        return error


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (StoreFull, Fault(apsw.FullError, Does.WRITE)),
        (StoreError, Fault(apsw.IOError, Does.WRITE, Does.TRUNCATE, Does.SYNC, Does.DELETE)),
    ],
    ids=["full", "broken"],
)
def test_a_store_that_cannot_be_made_leaves_nothing_behind(kind: type[StoreError], fault: Fault, scratch: Path) -> None:
    path = scratch / DATABASE_NAME
    for at in every_place(fault):
        with watched(fault) as vfs:
            make = partial(connection.create, path, lambda fresh: None, vfs=vfs)
            error = failure(make)
            fault.end()
        if error is None:
            assert path.read_bytes()[18:20] == b"\2\2", "it uses no WAL"  # SQLite's file format, section 1.3.3
            path.unlink()
        else:
            assert isinstance(error, kind), at
            assert NOT_SAVED.fullmatch(error.message), at
        assert list(scratch.iterdir()) == [], at
