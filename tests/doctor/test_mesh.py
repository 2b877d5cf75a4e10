"""doctor on the mesh: green when all is well, and each fault by its name, with what to type next."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import limits
from nokosu.config import DATABASE_NAME, Config
from nokosu.doctor import Result, examine, reach
from nokosu.doctor.mesh import Outside
from nokosu.doctor.node import Node, asked
from nokosu.store import membership, moving, roster
from nokosu.testing import DAY_MS, HOUR_MS, NEW_YEAR_MS, Peer, SeededRandom, Store
from tests.announcing import announce
from tests.doctor.outside import VERSION, answers, nobody, node_of, outside_of
from tests.promises import promise

CHECKS = {
    "node",
    "roster",
    "key",
    "clocks",
    "versions",
    "vectors",
    "gaps",
    "begun",
    "refused",
    "purges",
    "addresses",
    "listener",
}


class Mesh:
    """A home whose personal space is shared with desk and nas, which hold everything and are connected."""

    def __init__(self, folder: Path, config: Config) -> None:
        folder.chmod(0o700)
        self.config = msgspec.structs.replace(config, home=folder)
        self.store = Store(folder / DATABASE_NAME, random=SeededRandom(1))
        self.space = self.store.personal
        self.desk, self.nas = (
            Peer(self.space.id, random=SeededRandom(seed), name=name) for seed, name in ((2, "desk"), (3, "nas"))
        )
        self.store.admit(self.desk, self.nas)
        self.told(self.desk, self.nas)

    def told(self, *peers: Peer, **more: Any) -> None:
        """Have *peers* announce all that is here now."""
        more = {"version": VERSION, "addresses": (f"192.168.1.{len(peers)}:4000",), **more}
        for peer in peers:
            announce(self.store.database, peer, self.store.log.vector(self.space), **more)

    @property
    def outside(self) -> Outside:
        return outside_of(self.store, self.desk, self.nas)

    def results(self, **changed: Any) -> dict[str, Result]:
        """What is found, by name without the space, where the world is as `outside` but for *changed*."""
        outside = msgspec.structs.replace(self.outside, **changed)
        found = examine(self.config, outside=outside)
        return {result.name.removesuffix(" (personal)"): result for result in found}

    def faults(self, **changed: Any) -> dict[str, tuple[str, str]]:
        """The level and the hint of all that is not ok."""
        found = {name: result for name, result in self.results(**changed).items() if result.level != "ok"}
        for result in found.values():
            assert result.hint
            assert "\n" not in f"{result.summary}{result.hint}"
        return {name: (result.level, result.hint) for name, result in found.items()}


@pytest.fixture
def mesh(tmp_path: Path, config: Config) -> Iterator[Mesh]:
    made = Mesh(tmp_path, config)
    yield made
    made.store.close()


SYNC = ("warn", "nokosu sync --wait")


# Healthy ----------------------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
def test_a_healthy_mesh_is_green(mesh: Mesh) -> None:
    assert mesh.faults() == {}
    found = mesh.results()
    assert set(found) >= CHECKS
    assert found["vectors"].summary == "2 of 2 other devices hold the same, hash for hash"
    assert found["versions"].summary == f"2 of 2 heard of, all {VERSION}"


def test_a_store_that_is_not_shared_needs_no_mesh(store: Store, config: Config) -> None:
    folder = store.database.path.parent
    folder.chmod(0o700)
    names = [result.name for result in examine(msgspec.structs.replace(config, home=folder))]
    assert names[-1] == "wal"


def test_examining_a_mesh_writes_nothing(mesh: Mesh) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in mesh.config.home.iterdir() if not path.name.endswith("-shm")}

    before = files()
    mesh.faults()
    assert files() == before


# The node ---------------------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
def test_a_node_that_does_not_run_is_told_with_the_reason(mesh: Mesh) -> None:
    stopped = Node(running=False, wanted=VERSION, why="it was stopped", hint="nokosu node start")
    assert mesh.faults(node=stopped) == {"node": ("warn", "nokosu node start")}
    assert "it was stopped" in mesh.results(node=stopped)["node"].summary


@promise("doctor-names-the-fault")
@pytest.mark.parametrize(
    ("changed", "level", "word"),
    [
        ({"answers": False}, "fail", "does not answer"),
        ({"version": "0.9"}, "warn", "it is nokosu 0.9, and this is 1.0"),
    ],
)
def test_a_node_that_is_silent_or_old_is_named(mesh: Mesh, changed: dict[str, Any], level: str, word: str) -> None:
    node = msgspec.structs.replace(node_of(mesh.store, mesh.desk, mesh.nas), **changed)
    found = mesh.results(node=node)["node"]
    assert found.level == level
    assert word in found.summary
    assert found.hint.startswith("nokosu node")


def test_a_space_that_the_node_could_not_connect_is_named_with_the_reason(mesh: Mesh) -> None:
    node = node_of(mesh.store, mesh.desk, mesh.nas)
    node = msgspec.structs.replace(node, errors={mesh.space.id: "the port is taken"})
    found = mesh.results(node=node)["node"]
    assert (found.level, found.details) == ("fail", ("personal: the port is taken",))


def test_where_no_node_runs_it_is_said_why(mesh: Mesh) -> None:
    assert asked(mesh.config).hint == "nokosu node start"
    off = asked(msgspec.structs.replace(mesh.config, starts_node=False))
    assert (off.running, off.why) == (False, "NOKOSU_NODE is off")
    (mesh.config.home / "node.stopped").touch()
    assert asked(mesh.config).why == "it was stopped"


# Who belongs ------------------------------------------------------------------------------------------------------------


def revoke(mesh: Mesh, peer: Peer) -> None:
    with mesh.store.database.write() as connection:
        membership.revoke(mesh.store.log, connection, mesh.space, peer.device, SeededRandom(9))
    mesh.store.log.settle()


@promise("doctor-names-the-fault")
def test_a_new_key_that_a_device_has_not_heard_of_is_told(mesh: Mesh) -> None:
    revoke(mesh, mesh.desk)
    outside = outside_of(mesh.store)
    found = mesh.results(node=outside.node)["key"]
    assert found.level == "warn"
    assert "by nas" in found.summary
    assert found.hint.startswith("nokosu sync --wait")
    mesh.told(mesh.nas)
    assert mesh.results()["key"].level == "ok"


@promise("doctor-names-the-fault")
def test_a_revoked_device_that_still_calls_is_named(mesh: Mesh) -> None:
    revoke(mesh, mesh.desk)
    mesh.told(mesh.nas)
    refuse(mesh, mesh.desk.device, "device", NEW_YEAR_MS)
    assert mesh.faults() == {"revoked": SYNC}
    assert "desk" in mesh.results()["revoked"].summary
    assert mesh.faults(wall_clock=lambda: NEW_YEAR_MS + 2 * DAY_MS) == {}


@promise("doctor-names-the-fault")
def test_a_device_that_was_revoked_itself_is_told(mesh: Mesh) -> None:
    with mesh.store.database.reading() as connection:
        own = roster.own_device(connection).id
    mesh.store.log.append(mesh.nas.revoke(own, mesh.store.records(with_roster=True)[0]))
    mesh.store.log.settle()
    assert mesh.faults() == {"roster": ("fail", "nokosu export FILE, to keep what is here")}
    assert "this device was revoked" in mesh.results()["roster"].summary


def test_of_a_device_that_is_alone_no_one_is_missed(mesh: Mesh) -> None:
    revoke(mesh, mesh.desk)
    revoke(mesh, mesh.nas)
    listen(mesh, "0.0.0.0")
    found = {name: result.summary for name, result in mesh.results().items() if name in CHECKS}
    assert found == {
        "node": "running, nokosu 1.0",
        "roster": "this device alone, and 2 revoked",
        "listener": "port 4100, on all interfaces",
    }


@promise("doctor-names-the-fault")
def test_a_move_that_was_not_finished_is_told(mesh: Mesh) -> None:
    with mesh.store.database.write() as connection:
        made = membership.create_space(connection, "team", SeededRandom(8))
        moving.begin_move(connection, made, roster.space_named(connection, roster.LOCAL))
    assert mesh.faults()["move"] == ("warn", "nokosu sync")


# What they say and hold -------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
@pytest.mark.parametrize(
    ("offset_ms", "level"), [(4_000, "ok"), (-12_000, "warn"), (12_000, "warn"), (HOUR_MS, "fail"), (-DAY_MS, "fail")]
)
def test_a_wrong_clock_is_named(mesh: Mesh, offset_ms: int, level: str) -> None:
    found = mesh.results(node=node_of(mesh.store, mesh.desk, offset_ms=offset_ms))["clocks"]
    assert found.level == level
    if level != "ok":
        assert f"desk is {'12 s' if level == 'warn' else '60 min' if offset_ms > 0 else '24 h'}" in found.summary
        assert ("ahead" if offset_ms > 0 else "behind") in found.summary


def test_without_a_node_a_clock_is_wrong_only_where_an_announcement_came_before_it_was_made(mesh: Mesh) -> None:
    stopped = Node(running=False, wanted=VERSION, why="x", hint="y")
    mesh.told(mesh.nas, wall=NEW_YEAR_MS - HOUR_MS)  # it may have lain somewhere
    assert mesh.results(node=stopped)["clocks"].level == "ok"
    mesh.told(mesh.desk, wall=NEW_YEAR_MS + HOUR_MS)
    assert "desk is 60 min ahead" in mesh.results(node=stopped)["clocks"].summary


@promise("doctor-names-the-fault")
def test_another_version_is_named(mesh: Mesh) -> None:
    mesh.told(mesh.desk, version="0.9")
    assert set(mesh.faults()) == {"versions"}
    assert "desk has 0.9" in mesh.results()["versions"].summary


@promise("doctor-names-the-fault")
def test_vectors_that_differ_though_connected_are_told(mesh: Mesh) -> None:
    mesh.store.log.append(mesh.nas.save("new"))
    assert mesh.faults() == {"vectors": SYNC}
    assert mesh.results()["vectors"].details[0].startswith("desk lacks 1 of our records, and has 0 that are not here")
    assert mesh.faults(node=node_of(mesh.store)) == {}  # who is away catches up when it comes back
    mesh.told(mesh.desk, mesh.nas)
    assert mesh.faults() == {}


@promise("doctor-names-the-fault")
def test_records_behind_a_gap_are_told_with_their_device(mesh: Mesh) -> None:
    mesh.desk.save("did not come")
    mesh.store.log.append(mesh.desk.save("came"))
    assert mesh.faults() == {"gaps": SYNC}
    assert "1 of desk" in mesh.results()["gaps"].summary
    mesh.store.log.append(mesh.desk.log[0])
    mesh.told(mesh.desk, mesh.nas)
    assert mesh.faults() == {}


def test_what_a_revoked_device_left_behind_a_gap_is_not_waited_for(mesh: Mesh) -> None:
    mesh.desk.save("did not come")
    mesh.store.log.append(mesh.desk.save("came"))
    revoke(mesh, mesh.desk)
    mesh.told(mesh.nas)
    assert mesh.faults() == {}


def refuse(mesh: Mesh, device: bytes, reason: str, last_ms: int) -> None:
    with mesh.store.database.write() as connection:
        connection.run(
            "INSERT INTO refusal (space, device, reason, count, last_ms) VALUES (?, ?, ?, 3, ?)",
            (mesh.space.n, device, reason, last_ms),
        )


@promise("doctor-names-the-fault")
def test_what_a_member_sent_and_was_refused_is_named_for_a_week(mesh: Mesh) -> None:
    refuse(mesh, mesh.desk.device, "signature", NEW_YEAR_MS - 6 * DAY_MS)
    refuse(mesh, b"", "device", NEW_YEAR_MS)
    found = mesh.results()["refused"]
    assert (found.level, found.hint) == ("warn", "nokosu revoke desk, unless you know why")
    assert [line.partition(",")[0] for line in found.details] == [
        "no member: 3 refused (device)",
        "desk: 3 refused (signature)",
    ]
    assert mesh.faults(wall_clock=lambda: NEW_YEAR_MS + 2 * DAY_MS) == {}


def test_a_device_that_has_begun_many_logs_is_told(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STARTS_MAX", 4)
    assert mesh.results()["begun"].level == "ok"
    fresh = mesh.desk.clone()
    fresh.log, fresh.nonce = [], bytes(16)
    mesh.store.log.append_many([mesh.desk.save("one log"), fresh.save("another")])
    assert mesh.results()["begun"].level == "warn"
    assert "2 of desk" in mesh.results()["begun"].summary


@promise("doctor-names-the-fault")
def test_a_purge_that_a_device_has_not_carried_out_is_told(mesh: Mesh) -> None:
    saved = mesh.desk.save("secret")
    mesh.store.log.append_many([saved, mesh.desk.purge(saved)])
    mesh.told(mesh.nas)
    mesh.told(mesh.desk, pending=(saved.core.memory,))
    assert mesh.faults()["purges"][0] == "warn"
    assert mesh.results()["purges"].summary.endswith("1 on desk")
    mesh.told(mesh.desk)
    assert mesh.faults() == {}
    kept = mesh.desk.save("another")
    mesh.store.log.append(kept)
    mesh.told(mesh.desk, mesh.nas)
    mesh.store.log.append(mesh.desk.purge(kept))
    assert mesh.results()["purges"].summary.endswith("1 on desk, 1 on nas")
    mesh.told(mesh.desk)
    mesh.told(mesh.nas, pending=(saved.core.memory, kept.core.memory))
    mesh.store.log.append(mesh.desk.save("later"))  # nobody has this one, which changes nothing
    assert mesh.results()["purges"].summary.endswith(": 2 on nas")


# Who can be reached -----------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
def test_a_device_that_answers_nowhere_is_named(mesh: Mesh) -> None:
    away = node_of(mesh.store, mesh.nas)
    found = mesh.results(node=away, connect=nobody)["addresses"]
    assert (found.level, found.hint) == ("warn", "nokosu devices set-address desk HOST:PORT, if it is on")
    assert found.details == (
        "desk: 192.168.1.2:4000 connection refused",
        "nas: connected; 192.168.1.2:4000 connection refused",
    )
    assert found.summary.startswith("not reached: desk (")
    assert mesh.results(node=away)["addresses"].level == "ok"


def test_an_address_that_the_user_set_is_tried_too(mesh: Mesh) -> None:
    with mesh.store.database.write() as connection:
        roster.set_address(connection, mesh.space, mesh.desk.device, "desk.local:4001", "set")
    assert "desk.local:4001 answers, 192.168.1.2:4000 answers" in mesh.results()["addresses"].details[0]


def listen(mesh: Mesh, address: str) -> None:
    with mesh.store.database.write() as connection:
        roster.set_listening(connection, mesh.space, 4100, address)


@promise("doctor-names-the-fault")
@pytest.mark.parametrize(
    ("address", "hosts", "level"),
    [
        ("0.0.0.0", ["192.168.1.5", "fd00::5"], "ok"),
        ("0.0.0.0", ["192.168.1.5", "93.184.216.34"], "warn"),
        ("::", ["2606:2800:220:1::1"], "warn"),
        ("93.184.216.34", [], "warn"),
        ("192.168.1.5", ["93.184.216.34"], "ok"),
    ],
)
def test_a_port_that_the_internet_may_reach_is_told(mesh: Mesh, address: str, hosts: list[str], level: str) -> None:
    listen(mesh, address)
    found = mesh.results(own_hosts=hosts)["listener"]
    assert found.level == level
    assert (found.hint == "nokosu invite --space personal --listen ADDRESS") == (level == "warn")


@promise("doctor-names-the-fault")
def test_a_port_at_which_the_node_does_not_answer_is_told(mesh: Mesh) -> None:
    listen(mesh, "0.0.0.0")
    assert mesh.faults(connect=nobody)["listener"] == ("fail", "nokosu node logs")
    stopped = Node(running=False, wanted=VERSION, why="x", hint="y")
    assert "listener" not in mesh.faults(connect=nobody, node=stopped)


def test_addresses_are_tried_for_real() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        there, not_there = (f"127.0.0.1:{one.getsockname()[1]}" for one in (server, bound))
        found = reach.answering([there, not_there, "nonsense"])
    assert found == {there: "", not_there: "connection refused", "nonsense": "not an address"}


def test_addresses_that_never_answer_hold_nobody_up() -> None:
    over = threading.Event()
    started = time.monotonic()

    def silent(host: str, port: int, seconds: float) -> None:
        over.wait(30)

    found = reach.answering([f"192.0.2.{n}:1" for n in range(40)], silent, seconds=0.1)
    over.set()
    assert time.monotonic() - started < 5
    assert set(found.values()) == {"no answer"}
    assert reach.answering([]) == {}
    assert reach.answering(["192.0.2.1:1"], answers) == {"192.0.2.1:1": ""}
