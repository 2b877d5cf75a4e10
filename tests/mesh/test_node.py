"""Two real nodes, two homes, on loopback: what one saves the other finds, whatever happens to nodes, ports and addresses."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from nokosu import Query, config, limits, node_process
from nokosu.clock import system_wall_clock
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from nokosu.mesh import node
from nokosu.mesh.runner import SpaceRunner
from nokosu.mesh.session import Means
from nokosu.mesh.supervisor import EngineMeans
from nokosu.mesh.transport import Settings
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.store import membership, roster
from tests import engines
from tests.homes import Home, eventually, stop, verified
from tests.mesh.sharing import SPACE, free_port, opened, share

Start = Callable[..., SpaceRunner]


class Two:
    """A laptop that listens, and a desktop that calls it; their nodes do not run yet."""

    def __init__(self, folder: Path) -> None:
        self.laptop, self.desktop = Home(folder, "laptop"), Home(folder, "desktop")
        self.laptop.save("Deploys run from main.")
        self.port = share(self.laptop, self.desktop)

    def start(self) -> None:
        for home in (self.laptop, self.desktop):
            home.ok("node", "start")
        self.connected()

    def connected(self) -> None:
        eventually(lambda: self.sees(self.laptop, self.desktop) and self.sees(self.desktop, self.laptop), 15)

    def sees(self, home: Home, other: Home) -> bool:
        return bool(home.peers(SPACE).get(other.name, {}).get("reachable"))

    def save(self, home: Home, *texts: str) -> None:
        for text in texts:
            home.ok("save", "--space", SPACE, text, env={"NOKOSU_NODE": "off"})

    def equal(self, seconds: float = 15) -> None:
        """Wait until both hold the same, record for record, and their nodes say so."""
        eventually(lambda: self.laptop.logs(SPACE) == self.desktop.logs(SPACE), seconds)
        assert self.laptop("sync", "--wait", "10").code == 0


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    stop([made.laptop, made.desktop])


def finds(home: Home, text: str) -> Callable[[], int]:
    def search() -> int:
        with home.open() as memory:
            return memory.search(Query(text=text)).total

    return search


def test_what_one_saves_the_other_finds_and_what_was_saved_apart_follows(two: Two) -> None:
    two.save(two.desktop, "Slot holds live in Postgres.")
    two.start()
    eventually(finds(two.laptop, "postgres"), 10)
    two.save(two.laptop, "Sessions live in Redis.")
    eventually(finds(two.desktop, "redis"), 5)
    two.desktop.ok("node", "stop")
    two.save(two.laptop, "Written while the desktop was away.")
    two.save(two.desktop, "Written by the desktop meanwhile.")
    two.desktop.ok("node", "start")
    two.equal()
    verified(two.laptop, two.desktop)


def test_a_node_that_is_killed_and_started_again_loses_nothing(two: Two) -> None:
    two.start()
    for number in range(2):
        two.save(two.laptop, f"Lapwing {number}.")
        two.laptop.kill_node()
        two.save(two.desktop, f"Dotterel {number}.")
        two.laptop.ok("node", "start")
    two.equal()
    assert (finds(two.desktop, "lapwing")(), finds(two.laptop, "dotterel")()) == (2, 2)


def test_beside_a_frozen_peer_a_node_goes_on_answers_and_ends_in_time(two: Two) -> None:
    two.start()
    frozen = two.desktop.node_pid()
    os.kill(frozen, signal.SIGSTOP)
    two.save(two.laptop, "Written beside a frozen desktop.")
    assert two.laptop.node()["pid"]
    began = monotonic()
    two.laptop.ok("node", "stop")
    assert monotonic() - began < 4
    os.kill(frozen, signal.SIGCONT)
    two.laptop.ok("node", "start")
    two.equal()


def test_a_port_that_somebody_else_has_is_said_and_the_node_calls_all_the_same(two: Two) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", two.port))
        taken.listen()
        two.laptop.ok("node", "start")
        space = eventually(lambda: two.laptop.node()["spaces"], 10)[0]
        error = eventually(lambda: two.laptop.node()["spaces"][0]["error"], 10)
        assert f"127.0.0.1:{two.port}" in error
        assert space["port"] is None


# In this process, so that a test need not wait as long as a person would ----------------------------------------------


@pytest.fixture
def runner(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the runner of a home's space inside this process."""
    monkeypatch.setattr(limits, "REOPEN_SECONDS_MIN", 0.5)  # seconds that a person has, and a test has not
    folder = tmp_path_factory.mktemp("s")
    made: list[SpaceRunner] = []

    def start(home: Home, *, before: Callable[[], object] = lambda: None, **more: Any) -> SpaceRunner:
        settings: dict[str, Any] = {"open_transport": ZenohTransport, **more}
        means = Means(
            database=home.home / "nokosu.db",
            sockets=folder,
            name=home.name,
            version="1.0",
            wall_clock=system_wall_clock,
            monotonic=monotonic,
            random=os.urandom,
            **settings,
        )
        with opened(home) as (database, _), database.reading() as connection:
            space = roster.space_named(connection, SPACE)
        made.append(SpaceRunner(space, means))
        before()
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
    assert all(one.ended(5) for one in made)


def reaches(runner: SpaceRunner) -> bool:
    return any(peer.reachable and peer.equal for peer in runner.report(2).peers)


def change(home: Home, runner: SpaceRunner, what: Callable[[Any, Any], object]) -> None:
    """Write to a home's store, and let its runner know, as the watch of a node does."""
    with opened(home) as (database, _), database.write() as connection:
        what(connection, roster.space_named(connection, SPACE))
    runner.store_changed()


def test_two_that_have_both_moved_find_each_other_by_the_address_that_a_person_sets(two: Two, runner: Start) -> None:
    laptop, desktop = runner(two.laptop), runner(two.desktop)
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)
    port = free_port()
    change(two.laptop, laptop, lambda connection, space: roster.set_listening(connection, space, port, "127.0.0.1"))
    eventually(lambda: laptop.listening is not None and laptop.listening.port == port, 10)
    with opened(two.laptop) as (database, _), database.reading() as connection:
        device = roster.own_device(connection).id
    change(
        two.desktop,
        desktop,
        lambda connection, space: roster.set_address(connection, space, device, f"127.0.0.1:{port}", "set"),
    )
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)


def test_a_new_secret_reaches_the_others_and_both_then_show_it(two: Two, runner: Start) -> None:
    laptop, desktop = runner(two.laptop), runner(two.desktop)
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)
    with opened(two.laptop) as (database, log), database.write() as connection:
        space = roster.space_named(connection, SPACE)
        membership.rekey(log, connection, space, os.urandom)
    laptop.store_changed()

    def current(home: Home) -> bytes:
        with opened(home) as (database, _), database.reading() as connection:
            return roster.secrets(connection, roster.space_named(connection, SPACE))[0].key_id

    eventually(lambda: current(two.laptop) == current(two.desktop), 10)
    desktop.store_changed()
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)


def test_a_fault_is_said_once_and_over_when_it_is_over(
    two: Two, runner: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAULT_SECONDS_MIN", 0.01)
    attempts: list[Settings] = []

    def open_transport(settings: Settings) -> ZenohTransport:
        attempts.append(settings)
        if len(attempts) < 8:
            raise MeshError("mesh: no network today")
        return ZenohTransport(settings)

    laptop, desktop = runner(two.laptop, open_transport=open_transport), runner(two.desktop)
    eventually(lambda: len(attempts) >= 4, 5)
    assert laptop.error == "mesh: no network today"
    assert laptop.report(2).peers == ()
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)
    assert not laptop.error
    assert len([one for one in caplog.records if "no network today" in one.getMessage()]) == 1


class Split(ZenohTransport):
    """Says that somebody is connected whose tokens are not here."""

    def split(self) -> set[str]:
        return {"5a"}


def test_a_connection_that_shows_nobody_is_given_up_and_not_again_and_again(
    two: Two, runner: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nokosu")
    monkeypatch.setattr(limits, "SPLIT_SECONDS", 0.5)
    monkeypatch.setattr(limits, "SPLIT_AGAIN_SECONDS_MIN", 1.0)
    monkeypatch.setattr(limits, "SPLIT_AGAIN_SECONDS_MAX", 100.0)
    made: list[float] = []

    def open_transport(settings: Settings) -> ZenohTransport:
        made.append(monotonic())
        return Split(settings) if len(made) < 3 else ZenohTransport(settings)

    laptop, desktop = runner(two.laptop, open_transport=open_transport), runner(two.desktop)
    eventually(lambda: len(made) == 3, 40)
    assert made[1] - made[0] >= 1.0
    assert made[2] - made[1] >= 2.0, "each time it is given longer"
    assert "somebody is connected and not seen" in caplog.text
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)
    assert len(made) == 3


def test_a_store_that_cannot_be_opened_is_tried_again(two: Two, runner: Start) -> None:
    store, aside = two.laptop.home / "nokosu.db", two.laptop.home / "aside.db"
    laptop = runner(two.laptop, before=lambda: store.rename(aside))
    eventually(lambda: "cannot open" in laptop.error, 5)
    aside.rename(store)
    desktop = runner(two.desktop)
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)


# With a zenohd beside it: here a router without storages, for which the real one stands in tests/system -----------------


def engine_of(home: Home, find: Callable[[], Engine]) -> EngineMeans:
    return EngineMeans(
        home=home.home, find=find, open_transport=ZenohTransport, wall_clock=system_wall_clock, random=os.urandom
    )


def test_through_a_zenohd_the_same_is_carried_and_one_that_is_killed_is_started_again(
    two: Two, runner: Start, tmp_path: Path
) -> None:
    engine = engine_of(two.laptop, lambda: engines.router(tmp_path / "engine"))
    laptop, desktop = runner(two.laptop, engine=engine), runner(two.desktop)
    eventually(lambda: reaches(laptop) and reaches(desktop), 15)
    first = laptop.engine()
    assert first is not None
    assert laptop.listening is not None
    assert laptop.listening.port == two.port
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: "zenohd has ended" in laptop.error, 10)
    two.save(two.desktop, "Written while it was down.")
    desktop.store_changed()
    eventually(lambda: reaches(laptop) and reaches(desktop), 20)
    again = laptop.engine()
    assert again is not None
    assert (again.zid, again.restarts, laptop.error) == (first.zid, 1, "")
    assert finds(two.laptop, "written")() == 1


def test_where_the_engine_is_missing_the_space_says_so_and_nothing_else_carries_it(two: Two, runner: Start) -> None:
    def missing() -> Engine:
        raise MeshError("there is no zenohd here")

    laptop = runner(two.laptop, engine=engine_of(two.laptop, missing))
    eventually(lambda: laptop.error == "there is no zenohd here", 5)
    assert (laptop.engine(), laptop.listening, laptop.report(2).peers) == (None, None, ())
    with socket.socket() as free:
        free.bind(("127.0.0.1", two.port))


# May it at all? -------------------------------------------------------------------------------------------------------


def test_where_sockets_are_refused_the_node_says_so_and_leaves_the_lock_to_another(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(socket.socket):
        def __init__(self, *_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

    settings = config.load(two.laptop.env, cwd=None)
    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(MeshError, match="may not use the network"):
        node.run(settings)
    monkeypatch.undo()
    assert not node_process.is_running(settings)
    assert not node_process.start_if_needed(settings), "nor does every command try it again at once"
    assert node_process.start(settings).pid
