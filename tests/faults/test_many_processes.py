"""Many processes save into one store at once: none is refused, nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nokosu.store.connection import Database
from tests.faults import stores
from tests.faults.children import children, forked, save_some

LOOKED_UP = 50


@pytest.mark.parametrize(
    ("processes", "saves"),
    [
        (16, 100),
        pytest.param(64, 200, marks=[pytest.mark.system, pytest.mark.timeout(300)]),
    ],
)
def test_processes_that_save_at_once_lose_nothing(processes: int, saves: int, home: Path, rng: random.Random) -> None:
    start = forked().Barrier(processes)
    with children(save_some, processes, home, start, saves) as savers:
        told = [saver.hear() for saver in savers]
    texts = {id: text for saved in told for id, text in saved.items()}
    assert len(texts) == processes * saves, "an id was given twice"
    assert_one_device_and_its_log(home)
    with stores.open_store(home) as memory:
        assert stores.seen(memory) == {id: ("live", text) for id, text in texts.items()}
        stores.assert_found(memory, rng.sample(sorted(texts), LOOKED_UP), stores.seen(memory))
        stores.assert_verified(memory)
    stores.assert_chained(home)


def test_processes_that_make_the_first_save_at_once_make_one_store(home: Path) -> None:
    start = forked().Barrier(64)
    with children(save_some, 64, home, start, 1) as savers:
        texts = {id: text for saver in savers for id, text in saver.hear().items()}
    assert len(texts) == 64
    assert_one_device_and_its_log(home)
    with stores.open_store(home) as memory:
        assert stores.seen(memory) == {id: ("live", text) for id, text in texts.items()}
        stores.assert_verified(memory)
    stores.assert_chained(home)


def assert_one_device_and_its_log(home: Path) -> None:
    assert {path.name for path in home.iterdir()} == {"nokosu.db", "nokosu.db-wal", "nokosu.db-shm"}
    database = Database(stores.config(home).database)
    assert database.rows("SELECT count(*) FROM device") == [(1,)]
    assert database.rows("SELECT name FROM space ORDER BY n") == [("personal",), ("local",)]
    assert database.rows("SELECT count(*) FROM log") == [(1,)]
    database.close()
