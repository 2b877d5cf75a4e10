"""status, show, forget and sync in a shared space: the other devices' announcements are made by hand, and so is the node."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import __version__, memory, node_process, times
from nokosu.clock import system_wall_clock
from nokosu.mesh import control
from nokosu.node_process import Running
from nokosu.store import moving, roster
from nokosu.testing import DAY_MS, Peer, SeededRandom, Store
from tests.announcing import announce
from tests.cli.processes import Inside

OFF = {"NOKOSU_NODE": "off"}


class Shared:
    """A home whose personal space is shared with desk and nas; no node is started."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.id = self("save", "Deploys run from main.").id
        self.store = Store(inside.home / "nokosu.db", wall_clock=system_wall_clock, random=SeededRandom(5))
        self.space = self.store.personal
        self.desk, self.nas = (
            Peer(self.space.id, random=SeededRandom(seed), name=name, wall_clock=system_wall_clock)
            for seed, name in ((6, "desk"), (7, "nas"))
        )
        self.store.admit(self.desk, self.nas)
        self.now = system_wall_clock()

    def __call__(self, *words: str, **more: Any) -> Any:
        return self.inside(*words, env=OFF, **more)

    def told(self, *peers: Peer, **more: Any) -> None:
        """Have *peers* announce all that is here now."""
        for peer in peers:
            announce(self.store.database, peer, self.store.log.vector(self.space), **{"seen_ms": self.now, **more})

    def row(self, command: str, label: str, *words: str) -> str:
        """What stands beside *label*."""
        lines = [line.strip() for line in self(command, *words).out.splitlines()]
        return next((line[len(label) :].strip() for line in lines if line.startswith(f"{label} ")), "")


@pytest.fixture
def shared(inside: Inside) -> Iterator[Shared]:
    made = Shared(inside)
    yield made
    made.store.close()


def today(moment: int) -> str:
    return times.day(moment, moment)


# status -----------------------------------------------------------------------------------------------------------------


def test_status_says_where_everything_is_and_that_no_node_runs(shared: Shared) -> None:
    shared.told(shared.nas)
    shared.told(shared.desk, seen_ms=shared.now - 30 * DAY_MS)
    shared("save", "one more")
    behind = f"1 record not yet on desk, last seen {times.day(shared.now - 30 * DAY_MS, shared.now)}"
    told = shared.row("status", "delivery")
    assert told.startswith("on 1 of 3 devices; ")
    assert behind in told
    assert shared.row("status", "node") == "not running, NOKOSU_NODE is off: nokosu node start"
    status = msgspec.convert(shared("status", "--json").json, memory.Status)
    personal = status.spaces[0]
    assert personal.shared
    assert personal.delivery is not None
    assert (personal.delivery.on, {one.device for one in personal.delivery.pending}) == (1, {"desk", "nas"})
    assert [one.name for one in personal.devices if one.this] == [status.device]
    assert status.node is not None
    assert (status.node.running, status.node.hint) == (False, "nokosu node start")


def test_status_of_a_store_that_is_not_shared_says_nothing_of_a_mesh(inside: Inside) -> None:
    inside("save", "mine alone")
    assert "delivery" not in inside("status").out
    assert "\nnode" not in inside("status").out
    assert inside("status", "--json").json["node"] is None


def test_status_says_that_the_node_was_stopped_or_runs(shared: Shared) -> None:
    (shared.inside.home / "node.stopped").touch()
    assert shared.row("status", "node") == "not running, it was stopped: nokosu node start"
    with running_node(shared.inside.home, {}):
        assert shared.row("status", "node") == f"running, nokosu {__version__}, process {os.getpid()}"


def test_a_devices_name_cannot_command_the_terminal(shared: Shared) -> None:
    rogue = Peer(shared.space.id, random=SeededRandom(8), name="x\u202ey")
    shared.store.admit(rogue)
    assert "\u202e" not in shared("status").out + shared("show", shared.id).out


# show and forget --------------------------------------------------------------------------------------------------------


def test_show_says_on_how_many_devices_a_memory_is(shared: Shared) -> None:
    shared.told(shared.desk)
    assert shared.row("show", "delivery", shared.id) == "on 2 of 3 devices; not yet on nas, never seen"
    shown = msgspec.convert(shared("show", shared.id, "--json").json, memory.Memory)
    assert shown.delivery is not None
    assert (shown.delivery.on, shown.delivery.devices) == (2, 3)


def test_a_forget_says_who_will_follow_and_show_who_has(shared: Shared) -> None:
    shared.told(shared.desk, shared.nas)
    done = shared("forget", shared.id)
    assert f"Note: in effect here; 2 devices will follow: nokosu show {shared.id} tells\n" in done.err
    shared.told(shared.desk)
    assert (
        shared.row("show", "delivery", shared.id)
        == f"forgotten on 2 of 3 devices; not yet on nas, last seen {today(shared.now)}"
    )
    again = shared("forget", shared.id)
    assert "Note: forgotten on 2 of 3 devices" in again.err
    assert shared("forget", shared.id, "--json").json["delivery"]["on"] == 2


def test_a_purge_says_who_will_follow_and_show_who_has(shared: Shared) -> None:
    shared.told(shared.desk, shared.nas)
    done = shared("forget", shared.id, "--purge", "--yes")
    assert "in effect here; 2 devices will follow" in done.err
    shared.told(shared.desk)
    shared.told(shared.nas, pending=(shared.id,))
    told = shared.row("show", "delivery", shared.id)
    assert told == f"purged on 2 of 3 devices; not yet on nas, last seen {today(shared.now)}"


def test_an_export_tells_of_memories_and_not_of_devices(shared: Shared) -> None:
    assert "delivery" not in shared("export").json


# sync -------------------------------------------------------------------------------------------------------------------


@contextmanager
def running_node(home: Path, answer: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """A node that answers every request to sync with *answer*; what it was asked."""
    asked: list[Mapping[str, Any]] = []

    def sync(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return answer

    with tempfile.TemporaryDirectory(prefix="nokosu-test-") as folder:
        lock = node_process.acquire(home)
        assert lock is not None
        path = Path(folder) / "node"
        server = control.Server(path, {"sync": sync})
        lock.describe(Running(pid=os.getpid(), version=__version__, started=1, socket=str(path)))
        try:
            yield asked
        finally:
            server.close()
            lock.release()


def seen(peer: Peer, **more: Any) -> dict[str, Any]:
    nothing = {"reachable": True, "equal": True, "missing": 0, "behind": 0, "seen_ms": 1}
    return {"device": peer.device.hex(), "name": peer.name, **nothing, **more}


def hub(**more: Any) -> dict[str, Any]:
    nothing = {"lacking": 0, "pending": 0, "problem": "", "own": False, "reachable": True, "seen_ms": 1}
    return {"zid": "4f00", "name": "shed", **nothing, **more}


def answer(*devices: dict[str, Any], error: str = "", hubs: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    space = {"name": "personal", "error": error, "devices": list(devices), "hubs": list(hubs)}
    return {"done": True, "spaces": [space]}


@pytest.mark.parametrize("words", [(), ("--wait",), ("--json",)])
def test_where_nothing_is_shared_sync_says_so(inside: Inside, words: tuple[str, ...]) -> None:
    for _ in range(2):
        done = inside("sync", *words)
        assert (done.code, done.err) == (0, "")
        if words == ("--json",):
            assert done.json == {"done": False, "spaces": []}
        else:
            assert done.out == "No space is shared: all is on this device. To share it: nokosu invite\n"
        inside("save", "now there is a store")


def test_sync_says_who_holds_the_same_and_who_was_not_reached(shared: Shared) -> None:
    shared.told(shared.nas)
    reply = answer(seen(shared.desk), seen(shared.nas, reachable=False, equal=False))
    with running_node(shared.inside.home, reply) as asked:
        done = shared("sync", "--wait")
    assert done.code == 0
    assert done.out == (
        f"equal with desk (vectors equal hash for hash: 4 records, 1 log); nas not reachable, last seen {today(shared.now)}\n"
    )
    assert asked == [{"do": "sync", "seconds": 30, "space": ""}]
    with running_node(shared.inside.home, answer(seen(shared.desk), seen(shared.nas))) as asked:
        done = shared("sync", "--wait", "7", "--json")
    assert asked[0]["seconds"] == 7
    assert done.json["done"] is True
    (space,) = done.json["spaces"]
    assert (space["name"], space["records"], space["logs"]) == ("personal", 4, 1)
    assert [(one["name"], one["equal"]) for one in space["devices"]] == [("desk", True), ("nas", True)]


def test_sync_is_not_done_while_a_device_that_was_reached_lacks_something(shared: Shared) -> None:
    reply = answer(seen(shared.desk), seen(shared.nas, equal=False, behind=12, missing=1))
    with running_node(shared.inside.home, reply):
        done = shared("sync", "--wait")
        asked_only = shared("sync")
    assert done.code == 5
    assert done.out.endswith("; nas lacks 12 records and has 1 record more than this one\n")
    assert (asked_only.code, asked_only.out) == (0, done.out)


def test_sync_is_not_done_when_nobody_was_reached(shared: Shared) -> None:
    nobody = [seen(peer, reachable=False, equal=False) for peer in (shared.desk, shared.nas)]
    with running_node(shared.inside.home, answer(*nobody, error="the port is taken")):
        done = shared("sync", "--wait")
    assert done.code == 5
    assert (
        done.out == "desk not reachable, never seen; nas not reachable, never seen; not connected: the port is taken\n"
    )


def test_sync_is_done_when_a_hub_has_everything_though_every_device_is_away(shared: Shared) -> None:
    away = [seen(peer, reachable=False, equal=False) for peer in (shared.desk, shared.nas)]
    with running_node(shared.inside.home, answer(*away, hubs=[hub()])):
        done = shared("sync", "--wait")
        told = shared("sync", "--json").json
    assert done.code == 0
    assert done.out.endswith("; hub shed has everything\n")
    assert [(one["name"], one["lacking"]) for one in told["spaces"][0]["hubs"]] == [("shed", 0)]


@pytest.mark.parametrize(
    ("lacking", "said"), [(3, "3 not yet on hub shed"), (None, "hub shed is connected, and being compared")]
)
def test_sync_is_not_done_while_a_hub_that_was_reached_has_not_given_all_back(
    shared: Shared, lacking: int | None, said: str
) -> None:
    with running_node(shared.inside.home, answer(seen(shared.desk), hubs=[hub(lacking=lacking)])):
        done = shared("sync", "--wait")
    assert done.code == 5
    assert said in done.out


def test_sync_without_a_node_says_what_to_type(shared: Shared) -> None:
    done = shared("sync", "--wait")
    assert (done.code, done.out) == (5, "")
    assert (
        done.err == "Error: nothing was compared: the node does not run, NOKOSU_NODE is off\nTry: nokosu node start\n"
    )
    (shared.inside.home / "node.stopped").touch()
    assert "it was stopped" in shared.inside("sync").err


@pytest.mark.parametrize("seconds", ["0", "3601", "x", "1.5"])
def test_a_wait_out_of_bounds_is_refused(inside: Inside, seconds: str) -> None:
    done = inside("sync", f"--wait={seconds}")
    assert done.code == 2
    assert done.err.startswith("Error: wait: ")


def test_a_move_that_was_broken_off_is_finished_before_devices_are_compared(shared: Shared) -> None:
    shared("space", "create", "team")
    saved = shared("save", "for the team", "--space", "team").id
    with shared.store.database.write() as connection:
        team, local = (roster.space_named(connection, name) for name in ("team", roster.LOCAL))
        moving.begin_move(connection, team, local)
    with running_node(shared.inside.home, answer(seen(shared.desk), seen(shared.nas))):
        assert shared("sync").code == 0
    assert shared("show", saved, "--json").json["space"] == "local"
    assert "team" not in shared("status").out


def test_sync_on_a_device_that_was_revoked_or_is_alone_says_so(shared: Shared) -> None:
    with shared.store.database.reading() as connection:
        own = roster.own_device(connection).id
    for peer in (shared.desk, shared.nas):
        shared("revoke", peer.name, "--yes")
    alone = shared("sync", "--wait")
    assert (alone.code, alone.out) == (0, "no other device is in it: nokosu invite\n")
    shared.store.log.append(shared.nas.revoke(own))
    shared.store.log.settle()
    assert shared("sync", "--wait").out == "this device was revoked here: what it saves reaches nobody\n"
