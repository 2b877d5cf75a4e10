"""Delivery: what is said of where things are, against devices whose announcements are made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta, timezone

import pytest

from nokosu import Nokosu, delivery, times
from nokosu.config import Config
from nokosu.drafts import Draft
from nokosu.memory import Delivery, DeviceStatus, Lagging, SpaceStatus
from nokosu.records import Record
from nokosu.store import roster
from nokosu.store.log import Head
from nokosu.testing import DAY_MS, HOUR_MS, NEW_YEAR_MS, ManualClock, Peer, SeededRandom, Store
from tests.announcing import announce, heads_of
from tests.promises import promise

NOW = NEW_YEAR_MS + 90 * DAY_MS  # a Wednesday, at midnight
TOKYO = timezone(timedelta(hours=9))


@pytest.fixture
def shared(memory: Nokosu, config: Config, clock: ManualClock) -> Shared:
    return Shared(memory, config, clock)


class Shared:
    """A personal space with two more devices, desk and nas."""

    def __init__(self, memory: Nokosu, config: Config, clock: ManualClock) -> None:
        self.memory = memory
        self.first = memory.save(Draft(text="before anybody joined")).id
        self.store = Store(config.database, wall_clock=clock, random=SeededRandom(5))
        space = self.store.personal.id
        self.desk = Peer(space, random=SeededRandom(6), name="desk", wall_clock=clock)
        self.nas = Peer(space, random=SeededRandom(7), name="nas", wall_clock=clock)
        self.store.admit(self.desk, self.nas)

    def heads(self) -> list[Head]:
        return self.store.log.vector(self.store.personal)

    def announce(self, peer: Peer, heads: Iterable[Head], **more: object) -> None:
        announce(self.store.database, peer, heads, **more)  # type: ignore[arg-type]

    def everything(self, *peers: Peer, **more: object) -> None:
        """Have *peers* announce what is here now."""
        for peer in peers or (self.desk, self.nas):
            self.announce(peer, self.heads(), **more)

    def own(self) -> list[Record]:
        own = self.store.database.row("SELECT id FROM device WHERE private_key IS NOT NULL")
        assert own is not None
        return [record for record in self.store.records(with_roster=True) if record.core.device == own[0]]

    @property
    def space(self) -> SpaceStatus:
        return next(space for space in self.memory.status().spaces if space.name == roster.PERSONAL)

    def told(self) -> tuple[int, int, dict[str, int]]:
        found = self.space.delivery
        assert found is not None
        return found.on, found.devices, {one.device: one.behind for one in found.pending}

    def of(self, id: str) -> tuple[int, int, dict[str, int]]:
        found = self.memory.get(id).delivery
        assert found is not None
        return found.on, found.devices, {one.device: one.behind for one in found.pending}


# A space ----------------------------------------------------------------------------------------------------------------


def test_a_space_that_is_not_shared_has_no_delivery(memory: Nokosu) -> None:
    id = memory.save(Draft(text="mine alone")).id
    assert [(space.shared, space.devices, space.delivery) for space in memory.status().spaces] == [
        (False, (), None)
    ] * 2
    assert memory.get(id).delivery is None
    assert memory.forget(id).delivery is None


def test_a_device_that_was_never_heard_of_lacks_everything(shared: Shared) -> None:
    held = len(shared.own())
    assert held == 4  # the memory, this device's own admission and two more
    assert shared.told() == (1, 3, {"desk": held, "nas": held})
    assert {one.name: one.last_seen for one in shared.space.devices} == {"laptop": None, "desk": None, "nas": None}


def test_devices_that_announce_our_heads_have_everything(shared: Shared) -> None:
    shared.everything(seen_ms=NOW, version="9.9")
    assert shared.told() == (3, 3, {})
    desk = next(one for one in shared.space.devices if one.name == "desk")
    assert (desk.behind, desk.last_seen, desk.version, desk.this) == (0, times.format_ms(NOW), "9.9", False)
    this = next(one for one in shared.space.devices if one.this)
    assert (this.name, this.version) == ("laptop", shared.memory.status().version)


@promise("delivery-is-true")
def test_what_is_saved_after_an_announcement_is_counted_until_the_next_one(shared: Shared) -> None:
    shared.everything()
    for number in range(3):
        shared.memory.save(Draft(text=f"later {number}"))
    assert shared.told() == (1, 3, {"desk": 3, "nas": 3})
    shared.everything(shared.desk)
    assert shared.told() == (2, 3, {"nas": 3})


def test_a_device_that_went_on_in_its_own_log_lacks_nothing_of_what_lies_before(shared: Shared) -> None:
    saved = shared.desk.save("from desk")
    shared.store.log.append(saved)
    shared.desk.save("not here yet")
    theirs = [*(head for head in shared.heads() if head.log != saved.place.log), *heads_of(shared.desk.log)]
    shared.announce(shared.desk, theirs)
    assert shared.told()[2] == {"nas": len(shared.own()) + 1}
    assert shared.of(saved.core.memory) == (2, 3, {"nas": 1})


def test_a_branch_that_a_device_lacks_is_counted(shared: Shared) -> None:
    shared.store.log.append(shared.desk.save("before"))
    clone = shared.desk.clone()
    shared.store.log.append(shared.desk.save("here"))
    shared.everything()
    shared.store.log.append(clone.save("there"))
    assert shared.told() == (1, 3, {"desk": 1, "nas": 1})
    shared.everything()
    assert shared.told() == (3, 3, {})


def test_a_revoked_device_does_not_count_and_says_so(shared: Shared) -> None:
    shared.everything(shared.nas)
    shared.store.log.append(shared.nas.revoke(shared.desk.device))
    shared.store.log.settle()
    devices = {one.name: one for one in shared.space.devices}
    assert devices["desk"].revoked
    assert shared.told()[:2] == (1, 2)
    assert "desk" not in shared.told()[2]


def test_on_a_revoked_device_nothing_is_said_to_be_delivered(shared: Shared) -> None:
    with shared.store.database.reading() as connection:
        own = roster.own_device(connection).id
    shared.store.log.append(shared.nas.revoke(own, *shared.own()))
    shared.store.log.settle()
    assert shared.space.delivery is None
    assert "revoked" in delivery.told_of_space(shared.space, NOW)
    assert shared.memory.get(shared.first).delivery is None


# A memory ---------------------------------------------------------------------------------------------------------------


@promise("delivery-is-true")
def test_a_memory_is_on_the_devices_whose_vectors_cover_its_records(shared: Shared) -> None:
    shared.everything(shared.desk)
    assert shared.of(shared.first) == (2, 3, {"nas": 1})
    later = shared.memory.save(Draft(text="later")).id
    assert shared.of(later) == (1, 3, {"desk": 1, "nas": 1})
    assert shared.of(shared.first) == (2, 3, {"nas": 1})


def test_a_record_that_lies_in_two_logs_is_there_where_either_copy_is(shared: Shared) -> None:
    saved = shared.desk.save("twice")
    other = shared.desk.clone()
    other.log, other.nonce = [], bytes(16)  # the log that it began after a restored backup
    copy = other.copy(saved)
    shared.store.log.append_many([saved, copy])
    assert (copy.id, copy.place.log) != (saved.id, saved.place.log)
    shared.announce(shared.desk, heads_of(shared.desk.log))
    shared.announce(shared.nas, heads_of(other.log))
    assert shared.of(saved.core.memory) == (3, 3, {})


@promise("delivery-is-true")
def test_a_forget_has_taken_effect_where_its_record_is(shared: Shared) -> None:
    shared.everything()
    done = shared.memory.forget(shared.first)
    assert done.delivery is not None
    assert (done.delivery.on, [one.device for one in done.delivery.pending]) == (1, ["desk", "nas"])
    shared.everything(shared.desk)
    assert shared.of(shared.first) == (2, 3, {"nas": 1})
    again = shared.memory.forget(shared.first)
    assert again.duplicate
    assert again.delivery is not None
    assert again.delivery.on == 2


def test_a_forget_holds_where_only_a_later_edit_is_missing(shared: Shared) -> None:
    save = next(record for record in shared.own() if record.core.memory == shared.first)
    edit = shared.desk.edit(save, text="changed meanwhile")
    shared.memory.forget(shared.first)
    shared.everything()
    shared.store.log.append(edit)
    assert shared.memory.get(shared.first).status == "forgotten"
    assert shared.of(shared.first) == (3, 3, {})


@promise("delivery-is-true")
def test_that_a_memory_is_forgotten_elsewhere_is_said_only_where_the_chain_shows_it(shared: Shared) -> None:
    """A log that goes on beyond what is here may be another branch: one restored from before the forget."""
    saved = shared.desk.save("from desk")
    shared.store.log.append_many([saved, shared.desk.forget(saved)])
    shared.desk.save("not here yet")
    shared.announce(shared.nas, heads_of(shared.desk.log))
    assert shared.of(saved.core.memory)[2] == {"desk": 2, "nas": 2}


@promise("delivery-is-true")
def test_a_purge_has_taken_effect_where_nothing_of_it_is_pending_any_more(shared: Shared) -> None:
    shared.everything()
    done = shared.memory.purge(shared.first)
    assert done.delivery is not None
    assert (done.delivery.on, done.delivery.devices) == (1, 3)
    shared.everything(shared.desk)
    shared.everything(shared.nas, pending=(shared.first,))
    assert shared.memory.get(shared.first).status == "purged"
    assert shared.of(shared.first) == (2, 3, {"nas": 0})
    shared.everything(shared.nas)
    assert shared.of(shared.first) == (3, 3, {})


def test_a_memory_that_was_forgotten_elsewhere_is_not_purged_there(shared: Shared) -> None:
    shared.memory.forget(shared.first)
    shared.everything()
    assert shared.of(shared.first) == (3, 3, {})
    shared.memory.purge(shared.first)
    assert shared.of(shared.first) == (1, 3, {"desk": 1, "nas": 1})


# In words ---------------------------------------------------------------------------------------------------------------


def lagging(name: str, behind: int, seen_ms: int | None) -> Lagging:
    seen = None if seen_ms is None else times.format_ms(seen_ms)
    return Lagging(device=name, device_id="", behind=behind, last_seen=seen)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Delivery(on=1, devices=1), "on this device, the only one so far"),
        (Delivery(on=4, devices=4), "on 4 of 4 devices"),
        (
            Delivery(on=3, devices=4, pending=(lagging("desk", 12, NOW - 8 * DAY_MS),)),
            "on 3 of 4 devices; 12 records not yet on desk, last seen 2026-03-24",
        ),
        (
            Delivery(
                on=1,
                devices=4,
                pending=(
                    lagging("desk", 1, NOW - DAY_MS),
                    lagging("nas", 1204, NOW - 2 * HOUR_MS),
                    lagging("phone", 3, None),
                ),
            ),
            (
                "on 1 of 4 devices; 1 record not yet on desk, last seen Tuesday; 1,204 not yet on nas, last seen today 07:00"
                "; 3 not yet on phone, never seen"
            ),
        ),
    ],
)
def test_a_delivery_is_told_on_one_line(told: Delivery, expected: str) -> None:
    assert delivery.sentence(told, NOW, zone=TOKYO) == expected


def test_five_devices_are_named_and_the_others_counted() -> None:
    told = Delivery(on=1, devices=9, pending=tuple(lagging(f"d{number}", 2, None) for number in range(8)))
    said = delivery.sentence(told, NOW)
    assert "d4" in said
    assert "d5" not in said
    assert said.endswith("; and 3 more")


@pytest.mark.parametrize(("status", "verb"), [("live", "on"), ("forgotten", "forgotten on"), ("purged", "purged on")])
def test_of_one_memory_no_records_are_counted(status: str, verb: str) -> None:
    told = Delivery(on=2, devices=3, pending=(lagging("desk", 2, None),))
    assert delivery.sentence(told, NOW, status=status) == f"{verb} 2 of 3 devices; not yet on desk, never seen"


def test_right_after_a_forget_it_is_said_who_will_follow() -> None:
    two = Delivery(on=1, devices=3, pending=(lagging("desk", 1, None), lagging("nas", 1, None)))
    assert delivery.after(two, "4k2m", NOW, status="forgotten") == (
        "in effect here; 2 devices will follow: nokosu show 4k2m tells"
    )
    one = Delivery(on=1, devices=2, pending=(lagging("desk", 1, None),))
    assert (
        delivery.after(one, "4k2m", NOW, status="purged") == "in effect here; desk will follow: nokosu show 4k2m tells"
    )
    assert delivery.after(None, "4k2m", NOW, status="forgotten") == ""
    later = Delivery(on=2, devices=3, pending=(lagging("desk", 1, None),))
    assert delivery.after(later, "4k2m", NOW, status="forgotten").startswith("forgotten on 2 of 3 devices")


@pytest.mark.parametrize("version", ["", "1.0"])
def test_a_device_that_was_revoked_is_in_no_delivery(version: str) -> None:
    def device(name: str, **more: bool) -> DeviceStatus:
        flags = {"this": False, "revoked": False, **more}
        return DeviceStatus(name=name, id=name, last_seen=None, behind=1, version=version, **flags)

    found = delivery.of_devices([device("a", this=True, revoked=True), device("b")])
    assert found is None
