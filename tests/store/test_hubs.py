"""The hubs of a space follow from its records: the latest word that counts, about each Zenoh id."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.errors import Refused
from nokosu.records import Hub, Kind, Record
from nokosu.store import membership, rebuilding, roster, roster_fold
from nokosu.store.index import Index
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, Peer, SeededRandom, Store

TEAM = b"team".ljust(16)
ZID = "c0ffee"


def hub(name: str = "nas", **more: Any) -> Hub:
    fields: dict[str, Any] = {"zid": ZID, "addresses": ("10.0.0.7:28123",), "blind": True, "key_id": b"k" * 8, **more}
    return Hub(name=name, **fields)


def say(peer: Peer, what: Hub, hlc: int | None = None) -> Record:
    return peer.write(Kind.HUB, "", content=what, hlc=hlc)


@pytest.fixture
def peer(clock: ManualClock) -> Peer:
    return Peer(TEAM, wall_clock=clock, random=SeededRandom(7), name="laptop")


def hubs(store: Store) -> list[Hub]:
    with store.database.reading() as connection:
        return roster.hubs(connection, roster.space_named(connection, "shared"))


# The fold, alone ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans()), max_size=12), st.randoms())
def test_any_order_and_any_repetition_of_the_records_gives_the_same_hubs(
    said: list[tuple[int, int, bool]], choice: random.Random
) -> None:
    peers = [Peer(TEAM, random=SeededRandom(seed)) for seed in range(2)]
    made = [
        say(choice.choice(peers), hub(f"hub {n}", zid=f"{zid + 1}", retired=retired), hlc=hlc)
        for n, (zid, hlc, retired) in enumerate(said)
    ]
    expected = roster_fold.hubs(made)
    again = made * 2
    choice.shuffle(again)
    assert roster_fold.hubs(again) == expected
    assert len({one.zid for one in expected}) == len(expected) == len({zid for zid, _, _ in said})


def test_the_latest_word_about_a_hub_holds_whoever_says_it() -> None:
    one, other = (Peer(TEAM, random=SeededRandom(seed)) for seed in range(2))
    late = say(other, hub("late"), hlc=9)
    early = say(one, hub("early"), hlc=3)
    assert [found.name for found in roster_fold.hubs([late, early])] == ["late"]


def test_a_hubs_name_is_one_short_plain_line() -> None:
    assert roster_fold.hubs([say(Peer(TEAM), hub("my\x1b[2J\n nas"))])[0].name == "my [2J nas"


@pytest.mark.parametrize(
    "broken",
    [
        {"zid": ""}, {"zid": "0c"}, {"zid": "XYZ"}, {"zid": "a" * 33}, {"name": ""}, {"name": "x" * 65},
        {"addresses": ("a:1",) * (limits.ADDRESSES_MAX + 1)}, {"addresses": ("",)}, {"addresses": ("x" * 261,)},
        {"key_id": b""}, {"key_id": b"k" * 9}, {"device": b"d" * 16}, {"blind": False}, {"blind": False, "device": b"d" * 15},
        {"blind": False, "device": b"d" * 16},
    ],
)  # fmt: skip
def test_a_record_of_a_hub_that_breaks_a_bound_says_nothing(broken: dict[str, Any]) -> None:
    record = say(Peer(TEAM), msgspec.structs.replace(hub(), **broken))
    assert record.roster() is None
    assert roster_fold.hubs([record]) == ()


def test_a_reading_hub_names_its_device_and_a_blind_one_the_secret_of_its_certificate() -> None:
    for whole in (hub(), hub(blind=False, device=b"d" * 16, key_id=b"")):
        assert say(Peer(TEAM), whole).roster() == whole


# In a store -----------------------------------------------------------------------------------------------------------


def test_what_a_member_says_of_a_hub_is_known_and_a_retired_one_is_gone(store: Store, peer: Peer) -> None:
    store.join(TEAM, peer)
    store.log.append_many([say(peer, hub()), say(peer, hub("vps", zid="beef"))])
    assert [one.name for one in hubs(store)] == ["nas", "vps"]
    store.log.append(say(peer, hub(retired=True)))
    assert [one.name for one in hubs(store)] == ["vps"]


def test_a_hub_that_this_device_notes_is_known_and_can_be_noted_anew(store: Store, peer: Peer) -> None:
    shared = store.join(TEAM, peer)
    for name in ("nas", "attic"):
        with store.database.write() as connection:
            record = membership.set_hub(store.log, connection, shared, hub(name))
        assert record.roster() == hub(name)
    assert hubs(store) == [hub("attic")]


def test_the_space_that_never_leaves_this_device_has_no_hub(store: Store) -> None:
    with store.database.write() as connection, pytest.raises(Refused, match="local never leaves"):
        membership.set_hub(store.log, connection, roster.space_named(connection, "local"), hub())


def test_what_a_revoked_device_says_of_hubs_counts_up_to_its_cut(store: Store, clock: ManualClock) -> None:
    ours, gone = (
        Peer(TEAM, wall_clock=clock, random=SeededRandom(seed), name=name) for seed, name in ((1, "a"), (2, "b"))
    )
    store.join(TEAM, ours, gone)
    before = say(gone, hub())
    after = say(gone, hub("thief", addresses=("6.6.6.6:1",)), hlc=2**62)
    store.log.append_many([before, after])
    assert [one.name for one in hubs(store)] == ["thief"]
    store.log.append(ours.revoke(gone.device, before))
    assert [one.name for one in hubs(store)] == ["nas"]
    assert verify(store.database).problems == ()
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())
    assert [one.name for one in hubs(store)] == ["nas"]


def test_a_reading_hub_is_none_any_more_once_its_device_is_revoked(store: Store, clock: ManualClock) -> None:
    ours, nas = (
        Peer(TEAM, wall_clock=clock, random=SeededRandom(seed), name=name) for seed, name in ((1, "a"), (2, "nas"))
    )
    store.join(TEAM, ours, nas)
    said = say(nas, hub(blind=False, device=nas.device, key_id=b""))
    store.log.append(said)
    assert [one.name for one in hubs(store)] == ["nas"]
    store.log.append(ours.revoke(nas.device, said))
    assert hubs(store) == []


def test_a_stranger_says_nothing_of_hubs(store: Store, peer: Peer) -> None:
    store.join(TEAM, peer)
    stranger = Peer(TEAM, random=SeededRandom(99))
    with pytest.raises(Refused):
        store.log.append(say(stranger, hub()))
    assert hubs(store) == []
