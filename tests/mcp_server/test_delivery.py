"""What an agent is told of other devices: in the status, of one memory, and after a forget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nokosu import limits
from nokosu.clock import system_wall_clock
from nokosu.testing import Peer, SeededRandom, Store
from tests.announcing import announce
from tests.mcp_server.agents import Visit, text_of


class Shared:
    """A memory in a personal space that is shared with desk and nas."""

    def __init__(self, agent: Visit, home: Path) -> None:
        self.id = agent.data("save_memory", text="Deploys run from main", project="p")["id"]
        self.store = Store(home / "nokosu.db", wall_clock=system_wall_clock, random=SeededRandom(5))
        self.space = self.store.personal
        self.desk, self.nas = (self.peer(name, seed) for name, seed in (("desk", 6), ("nas", 7)))
        self.store.admit(self.desk, self.nas)

    def peer(self, name: str, seed: int) -> Peer:
        return Peer(self.space.id, random=SeededRandom(seed), name=name, wall_clock=system_wall_clock)

    def told(self, *peers: Peer) -> None:
        """Have *peers* announce all that is here now."""
        for peer in peers:
            announce(self.store.database, peer, self.store.log.vector(self.space), seen_ms=system_wall_clock())


@pytest.fixture
def shared(agent: Visit, home: Path) -> Iterator[Shared]:
    made = Shared(agent, home)
    yield made
    made.store.close()


def test_the_status_tells_what_other_devices_lack_and_that_no_node_runs(agent: Visit, shared: Shared) -> None:
    shared.told(shared.desk)
    told = agent.call("memory_status")
    text = text_of(told)
    assert "space personal: on 2 of 3 devices; 4 records not yet on nas, never seen" in text
    assert "node: not running" in text
    data = told.structured_content
    assert data is not None
    assert data["node"]["running"] is False
    personal, local = data["spaces"]
    assert [one["device"] for one in personal["delivery"]["pending"]] == ["nas"]
    assert [one["behind"] for one in personal["devices"]] == [0, 0, 4]
    assert (local["shared"], local["delivery"]) == (False, None)


def test_a_memory_tells_where_it_is(agent: Visit, shared: Shared) -> None:
    shared.told(shared.desk)
    told = agent.call("get_memory", id=shared.id)
    assert "\ndelivery: on 2 of 3 devices; not yet on nas, never seen\n" in text_of(told)
    assert told.structured_content is not None
    assert told.structured_content["delivery"]["on"] == 2


def test_a_forget_tells_who_will_follow(agent: Visit, shared: Shared) -> None:
    shared.told(shared.desk, shared.nas)
    told = agent.call("forget_memory", id=shared.id)
    assert f"in effect here; 2 devices will follow: nokosu show {shared.id} tells" in text_of(told)
    assert told.structured_content is not None
    assert told.structured_content["delivery"]["devices"] == 3
    shared.told(shared.desk)
    assert "delivery: forgotten on 2 of 3 devices" in text_of(agent.call("get_memory", id=shared.id))


def test_what_is_not_shared_says_nothing_of_devices(agent: Visit) -> None:
    id = agent.data("save_memory", text="mine alone", project="p")["id"]
    for told in (agent.call("memory_status"), agent.call("get_memory", id=id), agent.call("forget_memory", id=id)):
        assert "devices" not in text_of(told)
        assert "node" not in text_of(told)


def test_many_devices_do_not_make_a_reply_too_long(agent: Visit, shared: Shared) -> None:
    shared.store.admit(*(shared.peer(f"device {number} " + "x" * 40, 100 + number) for number in range(150)))
    for tool, arguments in (
        ("memory_status", {}),
        ("get_memory", {"id": shared.id}),
        ("forget_memory", {"id": shared.id}),
    ):
        told = agent.call(tool, **arguments)
        assert not told.is_error
        assert len(json.dumps([told.structured_content, text_of(told)])) <= 1.1 * limits.MCP_REPLY_CHARS_MAX
        delivery = (told.structured_content or {}).get("delivery") or told.structured_content["spaces"][0]["delivery"]
        assert (delivery["on"], delivery["devices"], len(delivery["pending"])) == (1, 153, 5)
        if tool != "forget_memory":
            assert "and 147 more" in text_of(told)
