"""Publish, receive and reconcile between two to four hosts in one process, fault by fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nokosu import limits
from nokosu.drafts import Change, Draft
from nokosu.errors import Refused
from nokosu.fold import Status
from nokosu.mesh.exchange import Put
from nokosu.mesh.peer_state import PeerState
from nokosu.store import membership, roster
from nokosu.store import vectors as store_vectors
from nokosu.store.verify import verify
from nokosu.testing import DAY_MS, Faults, LoopbackMesh
from nokosu.testing.account import visible
from nokosu.testing.host import Host
from nokosu.testing.loopback import SPACE_NAME

MakeMesh = Callable[..., LoopbackMesh]


@pytest.fixture
def make_mesh(quick_path: Path) -> Iterator[MakeMesh]:
    made: list[LoopbackMesh] = []

    def make(hosts: int = 2, faults: Faults | None = None) -> LoopbackMesh:
        mesh = LoopbackMesh(1, quick_path, hosts=hosts, faults=faults)
        made.append(mesh)
        mesh.advance(1)
        return mesh

    yield make
    for mesh in made:
        mesh.close()


def save(mesh: LoopbackMesh, host: Host, text: str) -> str:
    saved = host.memory.save(Draft(text=text), space=SPACE_NAME)
    mesh.tell(host)
    return saved.id


def texts(host: Host) -> set[str]:
    return {shown[1] for shown in visible(host).values() if shown[0] == Status.LIVE}


def peer_of(host: Host, other: Host) -> PeerState:
    assert host.exchange is not None
    return next(peer for peer in host.exchange.peers() if peer.node == other.node)


# Publish --------------------------------------------------------------------------------------------------------------


def test_a_save_is_on_the_other_host_at_once(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    save(mesh, one, "Deploys run from main only.")
    mesh.advance(0.1)
    assert texts(other) == {"Deploys run from main only."}


def test_a_save_by_another_process_is_put_once_and_nothing_is_put_again_after_a_restart(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    for number in range(5):
        save(mesh, one, f"note {number}")
    mesh.settle()
    mesh.advance(5)
    before = mesh.sent["put"]
    mesh.crash(one)
    mesh.start(one)
    mesh.advance(5)
    announced = mesh.sent["put"] - before
    assert 4 <= announced <= 6  # of the one that started and of the one that sees it; and again, as those may be lost
    assert mesh.is_quiet()
    assert peer_of(other, one).equal


def test_before_it_ends_a_node_puts_what_was_just_saved_and_announces_it(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, _ = mesh.hosts
    mesh.settle()
    one.memory.save(Draft(text="Saved a moment before the end."), space=SPACE_NAME)
    assert one.exchange is not None
    kinds = [put.key.split("/")[3] for put in one.exchange.farewell() if isinstance(put, Put)]
    assert kinds == ["rec", "vec"]
    assert one.exchange.farewell() == [], "there is nothing more to say"


def test_announcements_follow_changes_but_not_each_of_them(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    mesh.advance(10)
    before = mesh.sent["put"]
    for number in range(20):
        save(mesh, mesh.hosts[0], f"note {number}")
        mesh.advance(0.1)
    announced = mesh.sent["put"] - before - 20
    assert 2 <= announced <= 8  # two hosts, two seconds
    mesh.advance(2)
    assert mesh.is_quiet()
    before = mesh.sent["put"]
    mesh.advance(120)
    assert 3 <= mesh.sent["put"] - before <= 6  # once a minute each


# Reconcile ------------------------------------------------------------------------------------------------------------


def test_what_was_saved_apart_is_on_both_soon_after_they_meet(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    mesh.cut(one, other)
    mesh.advance(20)
    for number in range(1200):
        save(mesh, one, f"one {number}")
    for number in range(30):
        save(mesh, other, f"other {number}")
    mesh.advance(5)
    asked = mesh.sent["get"]
    mesh.heal(one, other)
    met = mesh.now
    assert mesh.settle()
    assert mesh.now - met <= 5
    assert len(texts(one)) == len(texts(other)) == 1230
    assert mesh.sent["get"] - asked <= 12
    assert not verify(other.database).problems


def test_a_few_lost_records_are_asked_for_one_by_one(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    for number in range(50):
        if number == 20:
            mesh.network.faults = Faults(lose=1.0)
        save(mesh, one, f"note {number}")
        mesh.advance(0.01)
        mesh.network.faults = Faults()
    answers = mesh.sent["answer"]
    assert mesh.settle()
    assert len(texts(other)) == 50
    assert mesh.sent["answer"] - answers <= 3


def test_nothing_is_lost_when_most_messages_are(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(3, Faults(lose=0.7))
    for host in mesh.hosts:
        for number in range(20):
            save(mesh, host, f"{host.name} {number}")
            mesh.advance(0.2)
    mesh.advance(600)
    assert mesh.is_converged()
    assert all(len(texts(host)) == 60 for host in mesh.hosts)


def test_an_empty_device_gets_all_there_is_from_several(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(4)
    *others, late = mesh.hosts
    mesh.crash(late)
    for host in others:
        host.memory.save_many([Draft(text=f"{host.name} {number}") for number in range(400)], space=SPACE_NAME)
        mesh.tell(host)
    mesh.advance(30)
    mesh.start(late)
    assert mesh.settle()
    assert len(texts(late)) == 1200


def test_ask_all_compares_with_everybody_now(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    mesh.advance(5)
    mesh.network.faults = Faults(lose=1.0)
    save(mesh, one, "lost on the way")
    mesh.advance(3)
    mesh.network.faults = Faults()
    assert not texts(other)
    assert other.exchange is not None
    other.exchange.ask_all()
    mesh.tell(other)
    mesh.advance(1)
    assert texts(other) == {"lost on the way"}


def test_what_is_told_while_the_ways_change_is_told_again(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, _ = mesh.hosts
    mesh.settle()
    mesh.advance(10)
    assert one.exchange is not None
    mesh.network.faults = Faults(lose=1.0)
    one.exchange.ask_all()  # as after a move to another network
    mesh.tell(one)
    mesh.advance(1)
    mesh.network.faults = Faults()
    before = mesh.sent["put"]
    mesh.advance(4)
    assert mesh.sent["put"] - before == 1


# Branches -------------------------------------------------------------------------------------------------------------


def test_a_node_that_is_there_and_answers_nothing_is_told_until_its_device_is_heard(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    mesh.settle()
    assert one.exchange is not None
    assert one.exchange.silent() == set()
    mesh.crash(other)
    mesh.advance(15)
    one.exchange.appeared(other.device, "5a")  # as a token that is left of it
    mesh.tell(one)
    mesh.advance(1)
    assert one.exchange.silent() == set(), "one question may be lost"
    mesh.advance(45)
    assert one.exchange.silent() == {"5a"}
    mesh.start(other)
    mesh.advance(15)
    assert one.exchange.silent() == set()


def test_a_cloned_device_and_its_original_become_the_same_and_go_on_in_logs_of_their_own(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(2)
    one, other = mesh.hosts
    save(mesh, one, "before")
    mesh.settle()
    copy = mesh.clone(one)
    mesh.cut(one, copy)
    for host in (one, copy):
        for number in range(40):
            save(mesh, host, f"{host.name} {number}")
    mesh.advance(2)
    mesh.heal_all()
    assert mesh.settle()
    assert texts(one) == texts(copy) == texts(other)
    assert len(texts(other)) == 81
    ends = [head for head in mesh.vector(other) if len([1 for same in mesh.vector(other) if same.log == head.log]) == 2]
    assert len(ends) == 2
    save(mesh, one, "after")
    save(mesh, copy, "after, too")
    assert mesh.settle()
    assert {"after", "after, too"} <= texts(other)
    assert not verify(other.database).problems


def test_a_long_branch_is_fetched_back_to_where_it_joins_bit_by_bit(
    make_mesh: MakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CHAIN_STEPS_MAX", 50)
    monkeypatch.setattr(limits, "GET_RECORDS_MAX", 100)
    mesh = make_mesh(2)
    one, other = mesh.hosts
    save(mesh, one, "before")
    mesh.advance(5)
    copy = mesh.clone(one)
    for host in (one, other):
        mesh.cut(copy, host)
    mesh.advance(12)
    for host in (one, copy):
        host.memory.save_many([Draft(text=f"{host.name} {number}") for number in range(700)], space=SPACE_NAME)
        mesh.tell(host)
    copy.memory.save_many([Draft(text=f"more {number}") for number in range(300)], space=SPACE_NAME)
    mesh.advance(20)
    asked = mesh.sent["get"]
    mesh.heal_all()
    met = mesh.now
    assert mesh.settle()
    assert mesh.now - met <= 20
    assert len(texts(one)) == len(texts(copy)) == len(texts(other)) == 1701
    assert mesh.sent["get"] - asked <= 120


def test_a_store_put_back_from_yesterday_gets_back_what_it_had_written(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    save(mesh, one, "first")
    mesh.settle()
    copy = mesh.copy_of(one)
    for number in range(30):
        save(mesh, one, f"later {number}")
    mesh.settle()
    mesh.restore(one, copy)
    assert len(texts(one)) == 1
    assert mesh.settle()
    assert texts(one) == texts(other)
    assert len(texts(one)) == 31


def test_what_waits_behind_a_gap_that_nobody_can_fill_spreads_as_well(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(3)
    one, other, third = mesh.hosts
    mesh.settle()
    copy = mesh.copy_of(one)
    mesh.cut(one, third)
    mesh.network.faults = Faults(lose=1.0)
    save(mesh, one, "lost with the disk")
    mesh.advance(0.05)
    mesh.network.faults = Faults()
    save(mesh, one, "seen by one other")
    mesh.advance(0.05)
    mesh.crash(one)
    mesh.restore(one, copy)
    mesh.heal_all()
    assert mesh.settle()
    assert texts(one) == texts(other) == texts(third) == {"seen by one other"}


# The roster and the secret --------------------------------------------------------------------------------------------


def test_a_device_that_slept_through_two_rekeys_reads_on(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(4)
    one, other, third, sleeper = mesh.hosts
    mesh.settle()
    mesh.crash(sleeper)
    mesh.revoke(one, third.device)
    mesh.advance(5)
    with other.database.write() as connection:
        membership.rekey(other.log, connection, other.space, other.random)
    mesh.tell(other)
    save(mesh, other, "under the third secret")
    mesh.advance(5)
    assert texts(one) == {"under the third secret"}
    mesh.start(sleeper)
    assert mesh.settle()
    assert texts(sleeper) == {"under the third secret"}
    with sleeper.database.reading() as connection:
        assert [secret.epoch for secret in roster.secrets(connection, sleeper.space)] == [2, 1, 0]


def test_what_a_revoked_device_writes_later_is_held_by_all_and_counts_nowhere(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(3)
    one, other, ended = mesh.hosts
    save(mesh, ended, "before the cut")
    mesh.settle()
    mesh.cut(one, ended)
    mesh.cut(one, other)
    mesh.advance(12)
    mesh.revoke(one, ended.device)
    save(mesh, ended, "after the cut, where nobody knew")
    mesh.advance(5)
    assert len(texts(other)) == 2
    mesh.heal_all()
    assert mesh.settle()
    save(mesh, one, "after")
    assert mesh.settle()
    assert texts(one) == texts(other) == {"before the cut", "after"}
    assert mesh.vector(one) == mesh.vector(other)
    assert not verify(one.database).problems
    with pytest.raises(Refused):
        save(mesh, ended, "when it has heard of it")


def test_when_two_are_revoked_at_once_the_secret_is_changed_until_neither_has_it(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(4)
    one, other, third, fourth = mesh.hosts
    for host in (one, third):
        for far in (other, fourth):
            mesh.cut(host, far)
    mesh.advance(12)
    mesh.revoke(one, fourth.device)
    mesh.revoke(other, third.device)
    mesh.heal_all()
    mesh.advance(120)
    assert mesh.settle()
    for host in (one, other):
        with host.database.reading() as connection:
            assert not membership.is_rekey_due(connection, host.space)


# Purges ---------------------------------------------------------------------------------------------------------------


def test_a_purge_is_pending_as_long_as_somebody_reads_old_bytes(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    memory = save(mesh, one, "not to be kept")
    mesh.settle()
    mesh.advance(3)
    reader = other.shelf_database
    with reader.reading() as connection:
        connection.rows("SELECT count(*) FROM record")
        one.memory.purge(memory)
        mesh.tell(one)
        mesh.advance(3)
        assert peer_of(one, other).pending == (memory,)
    mesh.advance(5)
    assert peer_of(one, other).pending == ()
    assert b"not to be kept" not in other.path.read_bytes() + Path(f"{other.path}-wal").read_bytes()


@pytest.mark.parametrize("lossy", [False, True])
def test_what_a_revoked_device_purged_beyond_its_cut_comes_back_from_those_who_have_it(
    make_mesh: MakeMesh, lossy: bool
) -> None:
    mesh = make_mesh(3)
    one, other, ended = mesh.hosts
    memory = save(mesh, ended, "not yours to take")
    mesh.advance(5)
    for host in (other, ended):
        mesh.cut(one, host)
    mesh.revoke(one, ended.device)
    ended.memory.purge(memory)
    mesh.tell(ended)
    mesh.advance(5)
    assert visible(other)[memory][0] == Status.PURGED
    mesh.heal_all()
    mesh.network.faults = Faults(lose=0.5 if lossy else 0.0)
    assert mesh.settle()
    assert texts(one) == texts(other) == {"not yours to take"}
    assert not verify(other.database).problems


def test_what_only_times_purged_is_pending_until_thirty_days_after_the_forget_was_seen(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, liar = mesh.hosts
    memory = save(mesh, one, "kept for thirty days")
    mesh.advance(3)
    liar.memory.forget(memory)
    liar.clock.skew_ms = 31 * DAY_MS
    liar.memory.purge(memory)
    liar.clock.skew_ms = 0
    mesh.tell(liar)
    mesh.advance(5)
    assert visible(one)[memory][0] == Status.PURGED
    assert peer_of(liar, one).pending == (memory,)
    assert peer_of(one, liar).pending == ()
    for host in mesh.hosts:
        host.clock.skew_ms = 30 * DAY_MS
    mesh.advance(limits.COMPARE_EVERY_SECONDS + 5)
    assert peer_of(liar, one).pending == ()
    assert b"kept for thirty days" not in one.path.read_bytes() + Path(f"{one.path}-wal").read_bytes()
    assert not verify(one.database).problems


@pytest.mark.parametrize("again", [1, 2])
def test_a_restore_that_comes_late_brings_back_the_text_that_a_purge_took_meanwhile(
    make_mesh: MakeMesh, again: int
) -> None:
    mesh = make_mesh(3)
    one, other, late = mesh.hosts
    memory = save(mesh, one, "wanted after all")
    mesh.advance(3)
    other.memory.forget(memory)
    mesh.tell(other)
    mesh.advance(3)
    for host in (one, other):
        mesh.cut(late, host)
    late.memory.restore(memory)
    mesh.tell(late)
    for host in mesh.hosts:
        host.clock.skew_ms = 31 * DAY_MS
    other.memory.purge(memory)
    mesh.tell(other)
    mesh.advance(limits.COMPARE_EVERY_SECONDS + 5)
    assert b"wanted after all" not in one.path.read_bytes() + Path(f"{one.path}-wal").read_bytes()
    for host in (one, other):
        mesh.heal(late, host)
    mesh.advance(30)
    assert [visible(host)[memory][0] for host in mesh.hosts] == [Status.FORGOTTEN] * 3  # remove wins, and can be undone
    mesh.hosts[again].memory.restore(memory)
    mesh.tell(mesh.hosts[again])
    mesh.advance(30)
    assert [texts(host) for host in mesh.hosts] == [{"wanted after all"}] * 3


def test_a_purged_memory_reaches_a_device_that_joins_later_without_its_text(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(3)
    one, _, late = mesh.hosts
    mesh.crash(late)
    memory = save(mesh, one, "gone before you came")
    mesh.advance(5)
    one.memory.purge(memory)
    mesh.tell(one)
    mesh.advance(5)
    mesh.start(late)
    assert mesh.settle()
    assert visible(late)[memory][0] == Status.PURGED
    assert not verify(late.database).problems


# What is known of the others ------------------------------------------------------------------------------------------


def test_peers_tell_who_is_there_how_far_and_how_wrong_their_clock_is(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    other.clock.skew_ms = 12_000
    mesh.advance(61)
    state = peer_of(one, other)
    assert (state.name, state.version, state.reachable, state.equal, state.missing, state.behind) == (
        "host1", "1", True, True, 0, 0,
    )  # fmt: skip
    assert state.clock_offset_ms is not None
    assert abs(state.clock_offset_ms - 12_000) <= 60
    mesh.cut(one, other)
    for number in range(7):
        save(mesh, one, f"note {number}")
    mesh.advance(20)
    state = peer_of(one, other)
    assert (state.reachable, state.equal, state.missing, state.behind) == (False, False, 0, 7)
    with one.database.reading() as connection:
        known = {known.device: known for known in store_vectors.known(connection, one.space)}
    assert known[other.device].announcement.name == "host1"


def test_an_edit_made_apart_is_a_conflict_on_both_and_settled_on_both(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    memory = save(mesh, one, "first")
    mesh.settle()
    mesh.cut(one, other)
    for host in (one, other):
        host.memory.edit(memory, Change(text=f"as {host.name} sees it"))
        mesh.tell(host)
    mesh.heal(one, other)
    assert mesh.settle()
    assert one.memory.get(memory).in_conflict
    other.memory.edit(memory, Change(text="settled"))
    mesh.tell(other)
    assert mesh.settle()
    assert not one.memory.get(memory).in_conflict
    assert texts(one) == {"settled"}


def test_when_the_inbox_is_full_what_was_dropped_is_fetched(
    make_mesh: MakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INBOX_SAMPLES_MAX", 3)
    mesh = make_mesh()
    one, other = mesh.hosts
    one.memory.save_many([Draft(text=f"note {number}") for number in range(100)], space=SPACE_NAME)
    mesh.tell(one)
    mesh.advance(0.3)
    assert other.exchange is not None
    assert other.exchange.dropped > 0
    assert mesh.settle()
    assert len(texts(other)) == 100
