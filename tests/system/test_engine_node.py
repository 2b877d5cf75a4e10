"""Nodes with the real zenohd beside them, on this machine's loopback: found through a hub, switched there and back, killed."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nokosu import Query
from nokosu.clock import system_wall_clock
from nokosu.mesh import certificates, engine_home, hubs
from nokosu.mesh.hubs import BlindHub
from nokosu.records import Hub
from nokosu.store import membership, roster
from tests.homes import Home, eventually, stop, verified
from tests.mesh.sharing import SPACE, free_port, opened, share

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

OFF = {"NOKOSU_NODE": "off"}


class Star:
    """A hub that listens, and two devices that call it and nobody else; no node runs yet."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.hub, self.laptop, self.desktop = (Home(folder, name) for name in ("hub", "laptop", "desktop"))
        self.all = (self.hub, self.laptop, self.desktop)
        for home in self.all:
            home.env |= environ
        self.hub.save("Deploys run from main.")
        self.port = share(self.hub, self.laptop, self.desktop)

    def equal(self, *homes: Home, seconds: float = 60) -> None:
        """Wait until all of these, or of them all, hold the same, record for record, and their nodes say so."""
        found = homes or self.all
        eventually(lambda: len({home.logs(SPACE) for home in found}) == 1, seconds)
        for home in found:
            assert home("sync", "--wait", "20").code == 0
        verified(*found)


@pytest.fixture
def star(tmp_path: Path, engine_environ: dict[str, str]) -> Iterator[Star]:
    made = Star(tmp_path, engine_environ)
    yield made
    stop(made.all)


def save(home: Home, *texts: str) -> None:
    for text in texts:
        home.ok("save", "--space", SPACE, text, env=OFF)


def finds(home: Home, text: str) -> Callable[[], int]:
    def search() -> int:
        with home.open() as memory:
            return memory.search(Query(text=text)).total

    return search


def space_of(home: Home) -> dict[str, Any]:
    """What its node says of the space; empty while it says nothing."""
    spaces = home.node().get("spaces") or [{}]
    return dict(spaces[0])


def zenohd_of(home: Home) -> dict[str, Any]:
    """What its node says of its zenohd; empty while there is none that serves."""
    found = space_of(home).get("zenohd")
    return dict(found) if found and found["ready"] else {}


def has_restarted(home: Home, times: int) -> bool:
    return zenohd_of(home).get("restarts") == times


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def holds(home: Home, text: str, count: int) -> bool:
    return finds(home, text)() == count


def has_everything(home: Home, zid: str) -> Callable[[], bool]:
    """Whether a node has proof that the storage with this id holds all that is here."""

    def proven() -> bool:
        return any(one["zid"] == zid and one["lacking"] == 0 for one in space_of(home).get("storages", ()))

    return proven


# Spoke and hub --------------------------------------------------------------------------------------------------------


def test_what_one_saves_the_other_finds_through_zenohd_on_all_three(star: Star) -> None:
    for home in star.all:
        assert "The engine is zenohd now, and the node runs with it." in home.ok("node", "engine", "zenohd").out
    for home in star.all:
        eventually(partial(zenohd_of, home), 20)
    save(star.laptop, "Slot holds live in Postgres.")
    eventually(finds(star.desktop, "postgres"), 10)
    star.equal()
    zids = {zenohd_of(home)["zid"] for home in star.all}
    assert len(zids) == 3
    for zid in zids:
        eventually(has_everything(star.laptop, zid), 60)
    assert "this device's zenohd has everything" in star.laptop.ok("status").out
    assert "this device's zenohd has everything" in star.laptop.ok("devices").out
    doctor = star.laptop("doctor", "--json").json
    assert {one["name"]: one["level"] for one in doctor if one["level"] != "ok"} == {}
    assert "storages rec and vec answer" in star.laptop("doctor").out


def test_embedded_nodes_and_a_zenohd_hub_mix(star: Star) -> None:
    star.hub.ok("node", "engine", "zenohd")
    for home in (star.laptop, star.desktop):
        home.ok("node", "start")
    save(star.laptop, "Sessions live in Redis.")
    eventually(finds(star.desktop, "redis"), 10)
    star.equal()
    assert space_of(star.laptop)["engine"] == "embedded"
    assert space_of(star.hub)["engine"] == "zenohd"


def test_a_device_switches_there_and_back_without_pairing_or_losing_anything(star: Star) -> None:
    for home in star.all:
        home.ok("node", "start")
    zid = ""
    for number, engine in enumerate(("zenohd", "embedded", "zenohd")):
        save(star.desktop, f"Lapwing {number}, before the switch.")
        for home in (star.hub, star.laptop):
            home.ok("node", "engine", engine)
        save(star.laptop, f"Dotterel {number}, after the switch.")
        star.equal()
        here = space_of(star.hub)
        assert (here["engine"], here["port"], here["error"]) == (engine, star.port, "")
        if engine == "zenohd":
            found = eventually(lambda: zenohd_of(star.hub), 20)
            zid = zid or found["zid"]
            assert found["zid"] == zid
        else:
            assert here["zenohd"] is None
    assert (finds(star.hub, "lapwing")(), finds(star.hub, "dotterel")()) == (3, 3)


# Ends and faults ------------------------------------------------------------------------------------------------------


def test_a_zenohd_that_is_killed_is_started_again_and_nothing_is_lost(star: Star) -> None:
    for home in star.all:
        home.ok("node", "engine", "zenohd")
    for number in range(3):
        pid = eventually(lambda: zenohd_of(star.hub), 20)["pid"]
        os.kill(pid, signal.SIGKILL)
        save(star.laptop, f"Lapwing {number}.")
        eventually(partial(has_restarted, star.hub, number + 1), 30)
    star.equal()
    assert finds(star.desktop, "lapwing")() == 3
    assert "started again 3 times after it ended by itself" in star.hub.ok("node", "status").out


def test_a_node_that_is_killed_leaves_no_zenohd_and_the_next_one_takes_its_rocksdb(star: Star) -> None:
    star.hub.ok("node", "engine", "zenohd")
    star.laptop.ok("node", "start")
    for number in range(3):
        found = eventually(lambda: zenohd_of(star.hub), 20)
        save(star.laptop, f"Lapwing {number}.")
        eventually(partial(holds, star.hub, "lapwing", number + 1), 20)
        star.hub.kill_node()
        eventually(partial(has_ended, found["pid"]), 5)
        star.hub.ok("node", "start")
    eventually(lambda: zenohd_of(star.hub), 20)
    star.equal(star.hub, star.laptop)


def test_a_node_that_is_stopped_ends_its_zenohd_and_what_it_served(star: Star) -> None:
    star.hub.ok("node", "engine", "zenohd")
    found = eventually(lambda: zenohd_of(star.hub), 20)
    star.hub.ok("node", "stop")
    assert has_ended(found["pid"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", star.port))


def test_without_its_engine_a_space_says_so_and_is_not_carried_by_another(star: Star) -> None:
    star.hub.ok("node", "engine", "zenohd")
    eventually(lambda: zenohd_of(star.hub), 20)
    star.hub.ok("node", "stop")
    star.hub.env["NOKOSU_ENGINE"] = str(star.hub.folder)
    star.hub.ok("node", "start")
    error = eventually(lambda: space_of(star.hub).get("error"), 10)
    assert "is no program" in error
    assert space_of(star.hub)["zenohd"] is None
    doctor = {one["name"]: one for one in star.hub("doctor", "--json").json}
    assert doctor["engine"]["level"] == "fail"
    assert doctor["engine"]["hint"]
    star.hub.ok("node", "engine", "embedded")
    star.laptop.ok("node", "start")
    star.equal(star.hub, star.laptop)


def test_a_port_that_somebody_else_has_is_said_and_the_others_are_called_all_the_same(star: Star) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", star.port))
        taken.listen()
        star.hub.ok("node", "engine", "zenohd")
        error = eventually(lambda: space_of(star.hub).get("error"), 10)
        assert f"127.0.0.1:{star.port}" in error
        assert space_of(star.hub)["port"] is None
        assert eventually(lambda: zenohd_of(star.hub), 20)
    eventually(lambda: space_of(star.hub).get("port") == star.port, 60)


def test_two_nodes_never_share_a_rocksdb(star: Star) -> None:
    star.hub.ok("node", "engine", "zenohd")
    found = eventually(lambda: zenohd_of(star.hub), 20)
    done = star.hub("node", "run")
    assert done.code == 0
    assert "runs already" in done.err
    assert zenohd_of(star.hub)["pid"] == found["pid"]


# A blind hub ----------------------------------------------------------------------------------------------------------


class Blind:
    """A blind hub, and two devices that know it and never meet each other; paired by hand here, by `hub add` elsewhere."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.hub, self.laptop, self.desktop = (Home(folder, name) for name in ("hub", "laptop", "desktop"))
        self.all = (self.hub, self.laptop, self.desktop)
        self.hub.env |= environ
        self.laptop.save("Deploys run from main.")
        share(self.laptop, self.desktop)
        self.port, self.zid = free_port(), engine_home.new_zid(os.urandom)
        private, public = certificates.new_key()
        with opened(self.laptop) as (database, log), database.write() as connection:
            space = roster.space_named(connection, SPACE)
            secrets = roster.secrets(connection, space)
            roots, certificate = certificates.issue(secrets, public, self.zid, now_ms=system_wall_clock())
            record = Hub(
                zid=self.zid,
                name="nas",
                addresses=(f"127.0.0.1:{self.port}",),
                blind=True,
                key_id=secrets[0].key_id,
            )
            membership.set_hub(log, connection, space, record)
        (self.hub.home / "config.toml").unlink()
        hubs.save(
            self.hub.home,
            BlindHub(
                v=hubs.VERSION,
                space=space.id,
                zid=self.zid,
                name="nas",
                port=self.port,
                address="127.0.0.1",
                certificate=certificate.decode(),
                key=private.decode(),
                roots=b"".join(roots).decode(),
            ),
        )


@pytest.fixture
def blind(tmp_path: Path, engine_environ: dict[str, str]) -> Iterator[Blind]:
    made = Blind(tmp_path, engine_environ)
    yield made
    stop(made.all)


def test_two_that_never_meet_share_through_a_blind_hub_that_holds_no_word_of_it(blind: Blind) -> None:
    blind.laptop.ok("node", "start")
    blind.desktop.ok("node", "start")
    eventually(lambda: blind.desktop.logs(SPACE) == blind.laptop.logs(SPACE), 20)
    blind.desktop.ok("node", "stop")
    blind.hub.ok("node", "start")
    save(blind.laptop, "The walrus sleeps at noon.")
    eventually(has_everything(blind.laptop, blind.zid), 60)
    assert "hub nas has everything" in blind.laptop.ok("status").out
    blind.laptop.ok("node", "stop")
    blind.desktop.ok("node", "start")
    eventually(finds(blind.desktop, "walrus"), 30)
    verified(blind.laptop, blind.desktop)
    for path in blind.hub.home.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert not [word for word in (b"walrus", b"Deploys", b"laptop", b"desktop") if word in held], path
    assert not (blind.hub.home / "nokosu.db").exists()


def test_a_blind_hub_tells_of_itself_and_outlives_a_kill_of_either_process(blind: Blind) -> None:
    blind.hub.ok("node", "start")
    blind.laptop.ok("node", "start")
    found = eventually(lambda: zenohd_of(blind.hub), 20)
    eventually(lambda: space_of(blind.hub)["devices"], 20)
    said = blind.hub.ok("node", "status").out
    assert f"blind, listens at port {blind.port}" in said
    assert f"process {found['pid']}" in said
    assert "in RocksDB" in said
    os.kill(found["pid"], signal.SIGKILL)
    again = eventually(lambda: (now := zenohd_of(blind.hub)).get("pid") != found["pid"] and now, 20)
    assert again["restarts"] == 1
    blind.hub.kill_node()
    eventually(partial(has_ended, again["pid"]), 5)
    blind.hub.ok("node", "start")
    eventually(lambda: zenohd_of(blind.hub), 20)
    doctor = blind.hub("doctor", "--json").json
    assert {one["name"]: one["level"] for one in doctor if one["level"] != "ok"} == {}
    blind.hub.ok("node", "stop")
    assert "zenohd" in blind.hub.ok("node", "logs").out
    assert not (blind.hub.home / "nokosu.db").exists()


def test_a_blind_hub_does_not_run_beside_somebody_else_on_its_port(blind: Blind) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", blind.port))
        taken.listen()
        blind.hub.ok("node", "start")
        error = eventually(lambda: space_of(blind.hub).get("error"), 10)
        assert f"127.0.0.1:{blind.port}" in error
        assert "taken" in error
        assert space_of(blind.hub)["zenohd"] is None
    eventually(lambda: zenohd_of(blind.hub), 60)
    eventually(lambda: not space_of(blind.hub)["error"], 10)
