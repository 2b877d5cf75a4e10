"""The node of a blind hub as a process: no store, one zenohd, and all that a node answers to; what it keeps, in tests/system."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import ids
from nokosu.clock import system_wall_clock
from nokosu.mesh import certificates, engine_home, hubs, keys
from nokosu.mesh.hubs import BlindHub
from nokosu.mesh.transport import Settings
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.store.roster import Secret
from tests import engines
from tests.homes import Home, eventually, stop
from tests.mesh.sharing import free_port

SPACE = bytes(range(16))


class Hub(Home):
    """A home that was paired as a blind hub; its node does not run yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "nas")
        self.env["NOKOSU_ENGINE"] = str(engines.router(folder / "engine").plugins)
        self.secret = Secret(os.urandom(16), 0, os.urandom(32))
        private, public = certificates.new_key()
        self.zid = engine_home.new_zid(os.urandom)
        roots, certificate = certificates.issue([self.secret], public, self.zid, now_ms=system_wall_clock())
        self.keeps(
            BlindHub(
                v=hubs.VERSION,
                space=SPACE,
                zid=self.zid,
                name="nas",
                port=free_port(),
                address="127.0.0.1",
                certificate=certificate.decode(),
                key=private.decode(),
                roots=b"".join(roots).decode(),
            )
        )

    def keeps(self, hub: BlindHub) -> None:
        self.paired = hub
        hubs.save(self.home, hub)

    def space(self) -> dict[str, Any]:
        """What its node says of its space, once its zenohd runs; empty before."""
        found = (self.node().get("spaces") or [{}])[0]
        return dict(found) if found.get("zenohd") else {}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    stop([made])


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_it_runs_its_zenohd_tells_of_it_and_takes_it_along(hub: Hub) -> None:
    assert "The node runs" in hub.ok("node", "start").out
    space = eventually(hub.space, 10)
    assert (space["zenohd"]["zid"], space["port"], space["error"]) == (hub.zid, hub.paired.port, "")
    eventually(lambda: accepts(hub.paired.port), 10)
    said = hub.ok("node", "status").out
    assert "hub nas" in said
    assert f"blind, listens at port {hub.paired.port}" in said
    assert "its storages do not answer yet" in said
    assert hub.node()["blind"] is True
    hub.ok("node", "stop")
    assert not accepts(hub.paired.port)
    with pytest.raises(ProcessLookupError):
        os.kill(space["zenohd"]["pid"], 0)
    assert "node ended" in hub.ok("node", "logs").out
    assert not (hub.home / "nokosu.db").exists()


def test_a_zenohd_that_is_killed_is_said_and_started_again(hub: Hub) -> None:
    hub.ok("node", "start")
    first = eventually(hub.space, 10)["zenohd"]["pid"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: hub.space().get("zenohd", {}).get("restarts") == 1, 15)
    assert "zenohd has ended" in hub.ok("node", "logs").out
    eventually(lambda: accepts(hub.paired.port), 10)


def test_what_it_was_paired_with_again_is_used_at_once(hub: Hub) -> None:
    hub.ok("node", "start")
    eventually(hub.space, 10)
    hub.keeps(msgspec.structs.replace(hub.paired, port=free_port(), name="shed"))
    eventually(lambda: hub.space().get("port") == hub.paired.port, 15)
    assert hub.space()["name"] == "shed"
    eventually(lambda: accepts(hub.paired.port), 10)


def test_a_home_that_is_no_hub_any_more_has_no_node(hub: Hub) -> None:
    hub.ok("node", "start")
    eventually(hub.space, 10)
    (hub.home / "hub.json").unlink()
    eventually(lambda: not hub.node_pid(), 10)
    assert not accepts(hub.paired.port)


def test_without_an_engine_it_says_so_and_works_once_there_is_one(hub: Hub) -> None:
    program = Path(hub.env["NOKOSU_ENGINE"]) / "zenohd"
    program.rename(program.with_name("aside"))
    hub.ok("node", "start")
    error = eventually(lambda: hub.node().get("spaces", [{}])[0].get("error"), 10)
    assert "is no program" in error
    doctor = {one["name"]: one for one in hub("doctor", "--json").json}
    assert (doctor["engine"]["level"], doctor["node"]["level"]) == ("fail", "fail")
    program.with_name("aside").rename(program)
    eventually(hub.space, 20)


def test_its_engine_is_not_to_be_changed(hub: Hub) -> None:
    done = hub("node", "engine", "embedded")
    assert (done.code, done.out) == (3, "")
    assert "blind hub" in done.err


def test_it_knows_devices_by_their_ids_alone(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> None:
    hub.ok("node", "start")
    assert eventually(hub.space, 10)["devices"] == []
    device = os.urandom(16)
    member = ZenohTransport(
        Settings(
            tls=certificates.mint([hub.secret], hub.secret, device, now_ms=system_wall_clock()),
            listen=(),
            connect=(f"127.0.0.1:{hub.paired.port}",),
            sockets=tmp_path_factory.mktemp("s"),
            name="laptop",
        )
    )
    try:
        member.declare(keys.here(SPACE, device, member.node, member.router))
        eventually(lambda: hub.space()["devices"] == [ids.grouped(device)], 10)
        assert ids.grouped(device) in hub.ok("node", "status").out
    finally:
        member.close()
    eventually(lambda: hub.space()["devices"] == [], 10)
