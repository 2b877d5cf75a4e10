"""A process is stopped (Ctrl-Z) while it holds the store: others say which one, and go on when it is gone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nokosu.drafts import Query
from nokosu.errors import StoreLocked
from nokosu.nokosu import Nokosu
from tests.faults import stores
from tests.faults.children import Child, children, save_in_two_steps

WAIT_MS = 300


@pytest.fixture
def store(small_home: Path, tmp_path: Path) -> Path:
    return stores.copy_home(small_home, tmp_path / "home")


def stop_inside_its_save(child: Child) -> None:
    assert child.hear() == "inside"
    child.signal(signal.SIGSTOP)


def assert_names(child: Child, memory: Nokosu) -> None:
    with pytest.raises(StoreLocked) as raised:
        memory.save(stores.note("refused"))
    assert raised.value.message == f"not saved: process {child.pid} holds the store (waited 0.3 s)"
    assert raised.value.hint == f"ps -p {child.pid}"


def test_a_save_names_the_stopped_process_and_works_when_that_goes_on(store: Path) -> None:
    with children(save_in_two_steps, 1, store) as (stopped,), Nokosu(stores.config(store), wait_ms=WAIT_MS) as memory:
        stop_inside_its_save(stopped)
        assert_names(stopped, memory)
        assert len(memory.search(Query(text="deploy")).hits) == 3, "reading does not wait"
        stopped.signal(signal.SIGCONT)
        stopped.tell("go on")
        id = stopped.hear()
        saved = memory.save(stores.note("refused"))
        assert {id, saved.id} <= stores.seen(memory).keys()
        stores.assert_verified(memory)


def test_a_save_names_the_stopped_process_and_works_when_that_is_killed(store: Path) -> None:
    with children(save_in_two_steps, 1, store) as (stopped,), Nokosu(stores.config(store), wait_ms=WAIT_MS) as memory:
        before = stores.seen(memory)
        stop_inside_its_save(stopped)
        assert_names(stopped, memory)
        stopped.kill()
        saved = memory.save(stores.note("refused"))
        assert stores.seen(memory).keys() == {*before, saved.id}
        stores.assert_verified(memory)
