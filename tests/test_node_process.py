"""The node as a process: one for a home, started by whoever comes first, apart from whoever that was, and ended for sure."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from nokosu import __version__, config, limits, node_process
from nokosu.config import Config
from nokosu.errors import ConfigError, MeshError
from tests.homes import NOKOSU, Home, eventually, stop
from tests.mesh.sharing import opened, share

OLD_NODE = """
import os, sys
from nokosu import config
from nokosu.mesh import node
from nokosu.mesh.world import World
node.run(config.load(os.environ, cwd=None), world=World(version="0.0.9"))
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A device that shares a space with one that is never there; its node does not run."""
    made = Home(tmp_path, "laptop")
    made.save("Deploys run from main.")
    share(made, Home(tmp_path, "desktop"))
    yield made
    stop([made])


@pytest.fixture
def settings(home: Home) -> Config:
    return config.load(home.env, cwd=None)


def node_of(home: Home) -> int:
    """The process that holds the lock and works; waits for it."""
    return int(eventually(home.node_pid, 10))


def has_ended(home: Home) -> bool:
    return node_process.running(home.home) is None


# Starting -------------------------------------------------------------------------------------------------------------


def test_whoever_saves_starts_the_node_of_a_shared_space_after_the_answer_was_given(home: Home) -> None:
    home.ok("save", "Slot holds live in Postgres.")
    pid = node_of(home)
    home.ok("search", "postgres")
    assert node_of(home) == pid
    assert home.node()["pid"] == pid


def test_nothing_starts_a_node_where_nothing_is_shared_or_the_environment_says_no(tmp_path: Path, home: Home) -> None:
    alone = Home(tmp_path, "alone")
    alone.ok("save", "Only here.")
    assert not (alone.home / "node.lock").exists()
    assert alone("node", "start").code == 1
    home.ok("save", "Slot holds live in Postgres.", env={"NOKOSU_NODE": "off"})
    assert not (home.home / "node.lock").exists()
    assert home("save", "Another.", env={"NOKOSU_NODE": "perhaps"}).code == 2
    with pytest.raises(ConfigError, match="NOKOSU_NODE"):
        config.load({"NOKOSU_NODE": "perhaps"}, cwd=None)


def test_a_blind_hub_has_something_to_carry_without_any_store(tmp_path: Path) -> None:
    hub = Home(tmp_path, "hub")
    settings = config.load(hub.env, cwd=None)
    assert not node_process.is_shared(settings)
    (hub.home / "hub.json").touch()
    assert node_process.is_shared(settings)
    assert settings.is_blind_hub
    (hub.home / "nokosu.db").touch()
    assert not settings.is_blind_hub, "where there are memories, this is a device"


def test_a_node_looks_for_its_engine_where_whoever_starts_it_does(home: Home) -> None:
    settings = config.load({**home.env, "NOKOSU_ENGINE": "/opt/engine"}, cwd=None)
    assert node_process.environment(settings)["NOKOSU_ENGINE"] == "/opt/engine"


def test_many_that_start_it_at_once_start_one(home: Home, settings: Config) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: node_process.start_if_needed(settings), range(32)))
    assert started.count(True) == 1
    assert node_process.is_running(settings), "from the moment that it was started"
    pid = node_of(home)
    assert not node_process.start_if_needed(settings)
    assert node_process.start(settings).pid == pid


def test_a_look_whether_it_runs_does_not_keep_it_from_starting(
    home: Home, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, attempts = fcntl.flock, []

    def taken_at_first(descriptor: int, operation: int) -> None:
        attempts.append(operation)
        if len(attempts) == 1:
            raise BlockingIOError
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", taken_at_first)
    lock = node_process.acquire(home.home)
    assert lock is not None
    assert node_process.acquire(home.home) is None
    lock.release()
    assert not node_process.is_running(settings)


def test_it_is_apart_from_whoever_started_it(home: Home) -> None:
    agent = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "secret", "NOKOSU_AGENT": "x", "VIRTUAL_ENV": "/x"}
    with home.started(*NOKOSU, "save", "From an agent.", env={**home.env, **agent}, start_new_session=True) as process:
        assert process.wait(20) == 0
        group = process.pid
    pid = node_of(home)
    assert os.getsid(pid) not in (group, os.getsid(0))
    assert os.getpgid(pid) not in (group, os.getpgid(0))
    if Path("/proc/self/environ").exists():
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        environ = dict(
            entry.split("=", 1) for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in entry
        )
        assert not agent.keys() & environ.keys()
        assert environ["NOKOSU_HOME"] == str(home.home)
        files = {number: Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)}
        assert files == {0: Path("/dev/null"), 1: home.home / "node.log", 2: home.home / "node.log"}
    assert (home.home / "node.log").stat().st_mode & 0o777 == 0o600


def test_a_long_log_is_put_aside_when_a_node_starts(home: Home, settings: Config) -> None:
    log = home.home / "node.log"
    log.write_bytes(b"x" * (limits.NODE_LOG_BYTES_MAX + 1))
    node_process.start(settings)
    assert log.with_name("node.log.1").stat().st_size == limits.NODE_LOG_BYTES_MAX + 1
    assert "started" in home.ok("node", "logs").out


def test_a_second_one_says_that_one_runs_and_is_content(home: Home, settings: Config) -> None:
    pid = node_process.start(settings).pid
    second = home.ok("node", "run")
    assert "runs already" in second.err
    assert node_of(home) == pid


def test_a_node_that_is_older_than_its_caller_makes_way_in_place(home: Home, settings: Config) -> None:
    with home.started(sys.executable, "-c", OLD_NODE, stderr=subprocess.DEVNULL) as old:
        eventually(lambda: (node_process.running(home.home) or node_process.Running()).version == "0.0.9", 10)
        eventually(lambda: home.node().get("pid"), 10)
        assert node_process.start_if_needed(settings)
        eventually(lambda: (node_process.running(home.home) or node_process.Running()).version == __version__, 10)
        assert node_of(home) == old.pid, "the lock was never free"
        assert eventually(lambda: home.node().get("version"), 10) == __version__
        assert not node_process.start_if_needed(settings)


def test_nobody_who_reaches_the_socket_says_what_is_run_instead(home: Home, settings: Config, tmp_path: Path) -> None:
    found = node_process.start(settings)
    mark = tmp_path / "mark"
    command = ["/bin/sh", "-c", f"touch {mark}"]
    node_process.ask(found, {"do": "restart", "command": command, "environment": {"PATH": "/usr/bin:/bin"}})
    eventually(lambda: has_ended(home), 10)
    assert not mark.exists()
    assert node_process.start_if_needed(settings), "it made way, and the next to look starts one"


# Ending ---------------------------------------------------------------------------------------------------------------


def test_stopped_on_purpose_it_stays_down_until_a_person_starts_it(home: Home, settings: Config) -> None:
    node_process.start(settings)
    began = monotonic()
    assert "has ended" in home.ok("node", "stop").out
    assert monotonic() - began < 4
    assert has_ended(home)
    home.ok("save", "Written while it is down.")
    assert home("node", "status").code == 1
    assert has_ended(home)
    assert "does not run" in home.ok("node", "stop").out
    home.ok("node", "start")
    home.kill_node()
    home.ok("search", "down")  # it was started by a person, so whoever needs it starts it again
    assert node_of(home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_within_two_seconds(home: Home, number: signal.Signals) -> None:
    with home.started(*NOKOSU, "node", "run", stderr=subprocess.DEVNULL) as process:
        eventually(lambda: home.node().get("pid"), 10)
        process.send_signal(number)
        began = monotonic()
        assert process.wait(10) == 0
        assert monotonic() - began < 2
    assert has_ended(home)


def test_what_a_killed_node_leaves_behind_stops_neither_the_next_one_nor_a_question(
    home: Home, settings: Config
) -> None:
    socket = Path(node_process.start(settings).socket)
    home.kill_node()
    assert socket.exists()
    assert not node_process.is_running(settings)
    assert home("node", "status").code == 1
    assert Path(node_process.start(settings).socket) == socket
    assert home.node()["pid"] == node_of(home)


def test_a_frozen_node_is_ended_by_force(home: Home, settings: Config) -> None:
    pid = node_process.start(settings).pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(MeshError, match="does not answer"):
        node_process.ask(node_process.Running(pid=pid, socket=node_process.start(settings).socket), {"do": "status"})
    ended = node_process.end(settings)
    assert ended is not None
    assert ended.pid == pid
    assert has_ended(home)


def test_a_node_whose_home_is_gone_ends(home: Home, settings: Config) -> None:
    pid = node_process.start(settings).pid
    with opened(home) as (database, _), database.write() as connection:  # something to notice
        connection.run("UPDATE space SET port = port")
        (home.home / "node.lock").rename(home.home / "node.old")
    eventually(lambda: not _lives(pid), 10)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z" if Path("/proc").is_dir() else True


# Where ----------------------------------------------------------------------------------------------------------------


def test_sockets_lie_where_nobody_else_may_enter_under_a_short_name(settings: Config, tmp_path: Path) -> None:
    folder = node_process.socket_folder(settings)
    assert folder.stat().st_mode & 0o777 == 0o700
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    short = node_process.socket_folder(msgspec.structs.replace(settings, runtime=deep))
    assert short == Path(f"/tmp/nokosu-{os.getuid()}")
    open_to_all = tmp_path / "run"
    (open_to_all / "nokosu").mkdir(parents=True)
    (open_to_all / "nokosu").chmod(0o755)
    if len(str(open_to_all)) < 50:
        with pytest.raises(MeshError, match="only its owner"):
            node_process.socket_folder(msgspec.structs.replace(settings, runtime=open_to_all))
    found = node_process.start(settings)
    assert Path(found.socket).stat().st_mode & 0o777 == 0o600
    assert len(os.fsencode(found.socket)) <= 100


def test_an_answer_is_json_and_a_wrong_question_is_no_fault_of_the_node(home: Home, settings: Config) -> None:
    found = node_process.start(settings)
    assert node_process.ask(found, {"do": "status"}, seconds=5)["pid"] == found.pid
    for question in ({"do": "dance"}, {}, {"do": ["status"]}):
        with pytest.raises(MeshError, match="not a request"):
            node_process.ask(found, question, seconds=5)
    with pytest.raises(MeshError, match="the node says"):
        node_process.ask(found, {"do": "sync", "seconds": "soon"}, seconds=5)
    assert json.loads(home.ok("node", "status", "--json").out)["pid"] == found.pid
