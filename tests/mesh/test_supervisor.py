"""A zenohd of one space: started with its id and certificates, seen when it ends, and never counted as serving unproven."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from nokosu.clock import system_wall_clock
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from nokosu.mesh import certificates, engine_home
from nokosu.mesh.supervisor import EngineMeans, Supervisor
from nokosu.mesh.transport import Settings
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.store.roster import Secret
from tests import engines
from tests.homes import eventually
from tests.mesh.sharing import free_port

SPACE = bytes(range(16))
Make = Callable[[Engine], Supervisor]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Supervisor] = []

    def supervisor(engine: Engine) -> Supervisor:
        means = EngineMeans(
            home=tmp_path,
            find=lambda: engine,
            open_transport=ZenohTransport,
            wall_clock=system_wall_clock,
            random=os.urandom,
        )
        made.append(Supervisor(SPACE, means))
        return made[-1]

    yield supervisor
    for one in made:
        one.close()


def settings_in(folder: Path, *, listen: tuple[str, ...] = ()) -> Settings:
    secret = Secret(os.urandom(16), 0, os.urandom(32))
    tls = certificates.mint([secret], secret, os.urandom(16), now_ms=system_wall_clock())
    return Settings(tls=tls, listen=listen, connect=(), sockets=folder, name="laptop")


def fault(supervisor: Supervisor) -> str:
    """What is wrong; empty while nothing is."""
    try:
        supervisor.check()
    except MeshError as error:
        return error.message
    return ""


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def test_it_runs_beside_us_with_an_id_that_stays(make: Make, tmp_path: Path, sockets: Path) -> None:
    port = free_port()
    supervisor = make(engines.router(tmp_path / "engine-of-zenoh"))
    transport = supervisor.open(settings_in(sockets, listen=(f"127.0.0.1:{port}",)))
    state = supervisor.state()
    assert state is not None
    assert (state.restarts, state.version, transport.is_alive()) == (0, "1.10.2", True)
    assert state.zid == engine_home.zid(tmp_path, SPACE, os.urandom)
    assert state.listening in ((), (f"127.0.0.1:{port}",))
    supervisor.check()
    assert supervisor.close()
    assert supervisor.state() is None
    with pytest.raises(ProcessLookupError):
        os.kill(state.pid, 0)
    supervisor.open(settings_in(sockets))
    again = supervisor.state()
    assert again is not None
    assert (again.zid, again.pid != state.pid, again.restarts) == (state.zid, True, 0)


def test_that_it_was_killed_is_noticed_and_counted(make: Make, tmp_path: Path, sockets: Path) -> None:
    supervisor = make(engines.router(tmp_path / "e"))
    for restarts in range(2):
        supervisor.open(settings_in(sockets))
        state = supervisor.state()
        assert state is not None
        assert state.restarts == restarts
        os.kill(state.pid, signal.SIGKILL)

        assert "zenohd has ended" in eventually(partial(fault, supervisor), 5)
        supervisor.close()


def test_a_zenohd_without_storages_never_counts_as_serving(make: Make, tmp_path: Path, sockets: Path) -> None:
    supervisor = make(engines.router(tmp_path / "e"))
    transport = supervisor.open(settings_in(sockets))
    tokens: list[str] = []
    transport.watch("nokosu/1/*/hub/**", tokens.append, tokens.remove)
    answered: list[bool] = []
    transport.get("nokosu/1/*/vec/**", lambda answer: None, answered.append, seconds=2, bytes_max=1000)
    eventually(lambda: answered, 5)
    state = supervisor.state()
    assert state is not None
    assert (state.ready, tokens) == (False, [])


def test_one_that_fails_says_why_and_leaves_nothing(make: Make, tmp_path: Path, sockets: Path) -> None:
    supervisor = make(engines.failing(tmp_path / "e", "Library file 'libzenoh_backend_rocksdb.so' not found"))
    with pytest.raises(MeshError, match=r"the plugin libzenoh_backend_rocksdb.so is not there"):
        supervisor.open(settings_in(sockets))
    assert supervisor.state() is None
    supervisor.check()


def test_an_id_that_is_none_is_refused_rather_than_replaced(make: Make, tmp_path: Path, sockets: Path) -> None:
    engine_home.made(tmp_path, SPACE).joinpath("zid").write_text("0123\n")
    with pytest.raises(MeshError, match="is not an id of Zenoh") as refused:
        make(engines.router(tmp_path / "e")).open(settings_in(sockets))
    assert refused.value.hint
