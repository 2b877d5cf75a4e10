"""Whom a device calls: the others, and the hubs."""

from __future__ import annotations

from typing import Any

import pytest

from nokosu.mesh import plan
from nokosu.mesh.plan import Plan
from nokosu.mesh.trust import Trust, Truster
from nokosu.records import Hub
from nokosu.store import membership, roster
from nokosu.store.roster import Secret
from nokosu.testing import Peer, SeededRandom, Store

TEAM = b"team".ljust(16)


@pytest.fixture
def peer() -> Peer:
    return Peer(TEAM, random=SeededRandom(7), name="nas")


def read(store: Store, peer: Peer) -> Plan:
    store.join(TEAM, peer)
    return again(store)


def again(store: Store) -> Plan:
    return plan.read(store.database, store.space("shared"), Truster(lambda: 0.0), 0)


def note(store: Store, **fields: Any) -> None:
    said: dict[str, Any] = {"zid": "c0ffee", "name": "hub", "addresses": ("10.0.0.7:1",), "blind": True, **fields}
    with store.database.write() as connection:
        membership.set_hub(store.log, connection, roster.space_named(connection, "shared"), Hub(**said))


def test_a_blind_hub_is_called_where_its_record_says(store: Store, peer: Peer) -> None:
    before = read(store, peer)
    note(store, key_id=bytes(8), addresses=("nas.local:28123", "no address", "[fd00::7]:28123"))
    after = again(store)
    assert (before.hubs, before.dialled()) == ({}, ())
    assert after.hubs == {"c0ffee": ("nas.local:28123", "[fd00::7]:28123")}
    assert after.dialled() == ("nas.local:28123", "[fd00::7]:28123")
    assert (after.hubs_moved(before), before.hubs_moved(after)) == ({"c0ffee"}, set())
    assert after.endpoints == before.endpoints


def test_a_hub_that_reads_is_called_as_the_device_that_it_is(store: Store, peer: Peer) -> None:
    read(store, peer)
    note(store, blind=False, device=peer.device)
    with store.database.write() as connection:
        space = roster.space_named(connection, "shared")
        roster.set_address(connection, space, peer.device, "10.0.0.9:1", "heard")
    found = again(store)
    assert found.hubs == {}
    assert found.endpoints[peer.device] == ("10.0.0.9:1", "10.0.0.7:1")


def test_a_hub_that_was_retired_is_not_called(store: Store, peer: Peer) -> None:
    read(store, peer)
    note(store, key_id=bytes(8))
    note(store, key_id=bytes(8), retired=True)
    assert again(store).dialled() == ()


def test_this_device_does_not_call_itself_though_it_is_a_hub(store: Store, peer: Peer) -> None:
    read(store, peer)
    with store.database.reading() as connection:
        own = roster.own_device(connection).id
    note(store, blind=False, device=own)
    assert again(store).dialled() == ()


def test_one_address_of_everybody_is_called_before_a_second_of_any() -> None:
    secret = Secret(bytes(8), 0, bytes(32))
    made = Plan(
        own=b"o" * 16,
        listening=None,
        endpoints={b"a" * 16: ("a:1", "a:2"), b"b" * 16: ("b:1",)},
        hubs={"c": ("c:1", "c:2", "c:3")},
        trust=Trust((secret,), secret),
        is_revoked=False,
    )
    assert made.dialled() == ("c:1", "a:1", "b:1", "c:2", "a:2", "c:3")


def test_a_space_that_a_hub_keeps_is_shared_though_no_other_device_is_in_it(store: Store) -> None:
    def shared() -> list[str]:
        with store.database.reading() as connection:
            return [space.name for space in roster.shared_spaces(connection)]

    assert shared() == []
    with store.database.write() as connection:
        hub = Hub(zid="c0ffee", name="nas", addresses=(), blind=True, key_id=bytes(8))
        membership.set_hub(store.log, connection, roster.space_named(connection, "personal"), hub)
    assert shared() == ["personal"]
