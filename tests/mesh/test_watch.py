from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nokosu.mesh import watch
from nokosu.mesh.watch import Watch
from nokosu.testing import Peer, Store

LIMIT_SECONDS = 10.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "nokosu.db")


@pytest.fixture(
    params=[watch.watch, lambda path: watch.Polling(path.with_name(f"{path.name}-wal"))], ids=["system", "polling"]
)
def watched(request: pytest.FixtureRequest, store: Store) -> Iterator[Watch]:
    make: Callable[[Path], Watch] = request.param
    made = make(store.database.path)
    while made.wait(0.0):
        pass
    yield made
    made.close()


def save(store: Store) -> None:
    peer = Peer(store.personal.id)
    store.admit(peer)
    store.log.append(peer.save("x"))


def test_a_write_of_anybody_is_noticed(store: Store, watched: Watch) -> None:
    writer = threading.Thread(target=save, args=(store,))
    writer.start()
    assert watched.wait(LIMIT_SECONDS)
    writer.join()


def test_a_write_before_the_wait_is_noticed(store: Store, watched: Watch) -> None:
    save(store)
    assert watched.wait(LIMIT_SECONDS)


def test_nothing_is_noticed_while_nobody_writes(store: Store, watched: Watch) -> None:
    assert store.database.rows("SELECT count(*) FROM record") == [(0,)]  # reading is no writing
    assert not watched.wait(0.05)
