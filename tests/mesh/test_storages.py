"""What a storage is made sure to hold, and what is fetched from it, fault by fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from nokosu import limits
from nokosu.drafts import Draft
from nokosu.errors import RecordRefused
from nokosu.fold import Status
from nokosu.mesh import keys, publisher, seal
from nokosu.mesh.exchange import StorageState
from nokosu.mesh.reconcile import Get
from nokosu.mesh.seal import Keyring
from nokosu.mesh.storages import Storages
from nokosu.records import Hub, Kind, Record
from nokosu.store import membership, roster
from nokosu.testing import DAY_MS, Faults, LoopbackMesh, ManualClock, SeededRandom, Store
from nokosu.testing.account import visible
from nokosu.testing.host import Host
from nokosu.testing.loopback import SPACE_NAME
from nokosu.testing.storage import SimulatedStorage, Stored

MakeMesh = Callable[..., LoopbackMesh]


def mesh_maker(folder: Path, made: list[LoopbackMesh]) -> MakeMesh:
    """Makes meshes with storages; whoever calls it closes them."""

    def make(hosts: int = 2, storages: int = 1, *, apart: bool = False) -> LoopbackMesh:
        mesh = LoopbackMesh(1, folder, hosts=hosts, storages=storages)
        made.append(mesh)
        if apart:
            mesh.keep_apart()
        mesh.advance(12)
        return mesh

    return make


@pytest.fixture
def make_mesh(quick_path: Path) -> Iterator[MakeMesh]:
    made: list[LoopbackMesh] = []
    yield mesh_maker(quick_path, made)
    for mesh in made:
        mesh.close()


def save(mesh: LoopbackMesh, host: Host, text: str) -> str:
    saved = host.memory.save(Draft(text=text), space=SPACE_NAME)
    mesh.tell(host)
    return saved.id


def save_many(mesh: LoopbackMesh, host: Host, count: int) -> None:
    host.memory.save_many([Draft(text=f"{host.name} {number}") for number in range(count)], space=SPACE_NAME)
    mesh.tell(host)


def purge(mesh: LoopbackMesh, host: Host, memory: str) -> None:
    host.memory.purge(memory)
    mesh.tell(host)


def texts(host: Host) -> set[str]:
    return {shown[1] for shown in visible(host).values() if shown[0] == Status.LIVE}


def state(host: Host) -> StorageState:
    assert host.exchange is not None
    return host.exchange.storages()[0]


def records_in(storage: SimulatedStorage, host: Host) -> list[Record]:
    """What can be opened there, by whoever knows what a host knows."""
    with host.database.reading() as connection:
        keyring = Keyring(roster.secrets(connection, host.space), random=host.random)
    found = []
    for key, stored in storage.values.items():
        if key.startswith(f"{keys.space(host.space.id)}/rec/"):
            try:
                found.append(seal.unpack(keyring.open(key, stored.payload)))
            except RecordRefused:
                continue
    return found


def lacking(storage: SimulatedStorage, host: Host) -> int:
    """How many of a host's records a storage does not have."""
    there = {record.hash for record in records_in(storage, host)}
    here = host.database.rows(
        "SELECT hash FROM record JOIN log ON log.n = record.log WHERE log.space = ?", (host.space.n,)
    )
    return sum(hash not in there for (hash,) in here)


# Fetching from it -----------------------------------------------------------------------------------------------------


def test_hosts_that_are_never_awake_together_become_the_same_through_a_storage(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    storage = mesh.storages[0]
    mesh.crash(other)
    save_many(mesh, one, 1500)
    mesh.advance(60)
    assert lacking(storage, one) == 0
    mesh.crash(one)
    mesh.start(other)
    mesh.advance(10)
    assert len(texts(other)) == 1500
    save(mesh, other, "seen by nobody")
    mesh.advance(60)
    mesh.crash(other)
    mesh.start(one)
    mesh.advance(10)
    assert len(texts(one)) == 1501
    assert mesh.vector(one) == mesh.vector(other)


def test_live_through_a_storage_that_links_two_hosts_apart(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(apart=True)
    one, other = mesh.hosts
    save(mesh, one, "not heard live")
    mesh.advance(90)  # the other looks each minute
    assert texts(other) == {"not heard live"}


def test_an_empty_device_is_filled_from_a_storage_page_by_page(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(3)
    one, other, late = mesh.hosts
    mesh.crash(late)
    for host in (one, other):
        save_many(mesh, host, 2300)
    mesh.advance(90)
    mesh.crash(one)
    mesh.crash(other)
    asked = mesh.sent["get"]
    mesh.start(late)
    mesh.advance(30)
    assert len(texts(late)) == 4600
    assert mesh.sent["get"] - asked < 60
    given = mesh.sent["answer of a storage"]
    mesh.advance(60)
    assert state(late).lacking == 0
    assert mesh.sent["answer of a storage"] - given < 100  # it has given all of them already


def test_what_others_answer_does_not_count_as_the_storages_answer(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1, 2)
    one = mesh.hosts[0]
    first, second = mesh.storages
    mesh.network.cut(first.number, second.number)
    mesh.cut_storage(one, second)
    mesh.advance(12)
    save_many(mesh, one, 20)
    mesh.advance(5)
    assert lacking(first, one) == 0
    assert lacking(second, one) > 0
    mesh.heal_links()
    mesh.network.cut(first.number, second.number)
    mesh.network.cut(second.number, first.number)
    mesh.advance(5)
    assert lacking(second, one) == 0


# Filling it -----------------------------------------------------------------------------------------------------------


def test_a_storage_that_was_wiped_is_filled_again_by_any_device(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(2)
    one, other = mesh.hosts
    storage = mesh.storages[0]
    save_many(mesh, one, 1200)
    save_many(mesh, other, 50)
    assert mesh.settle()
    mesh.crash(one)
    mesh.stop_storage(storage)
    storage.restore({})
    mesh.advance(20)
    mesh.start_storage(storage)
    mesh.advance(30)
    assert lacking(storage, other) == 0
    assert state(other).lacking == 0


def test_a_storage_that_is_put_back_from_a_copy_is_filled_again(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(2)
    one, other = mesh.hosts
    storage = mesh.storages[0]
    save_many(mesh, one, 300)
    mesh.settle()
    copy = storage.copy()
    for number in range(40):
        save(mesh, one, f"later {number}")
        mesh.advance(1)
    save(mesh, other, "by the other")
    mesh.settle()
    mesh.stop_storage(storage)
    storage.restore(copy)
    mesh.advance(12)
    mesh.start_storage(storage)
    mesh.advance(20)
    assert lacking(storage, one) == 0


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_what_a_power_cut_takes_is_put_again(make_mesh: MakeMesh, share: float) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    storage = mesh.storages[0]
    for number in range(120):
        save(mesh, one, f"note {number}")
        mesh.advance(0.3)
    mesh.settle()
    mesh.stop_storage(storage)
    storage.lose_power(share, 0.0)
    mesh.advance(12)
    assert lacking(storage, one) > 0
    mesh.start_storage(storage)
    mesh.advance(20)
    assert lacking(storage, one) == 0


def test_records_lost_on_their_way_to_a_storage_are_found_in_the_middle_of_a_page(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    storage = mesh.storages[0]
    for number in range(60):
        mesh.network.faults = Faults(lose=1.0 if 20 <= number < 40 else 0.0)
        save(mesh, one, f"note {number}")
        mesh.advance(0.05)
    mesh.crash(one)  # what was proven until now is forgotten, and the last record is there
    assert lacking(storage, one) >= 19
    mesh.start(one)
    mesh.advance(10)
    assert lacking(storage, one) == 0


def test_what_was_proven_is_not_asked_for_again_after_a_restart(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    save_many(mesh, one, 3000)
    mesh.advance(60)
    assert state(one).lacking == 0
    before = mesh.sent["answer of a storage"]
    mesh.crash(one)
    mesh.start(one)
    mesh.advance(30)
    assert state(one).lacking == 0
    assert mesh.sent["answer of a storage"] - before < limits.RECENT_MAX + 50


def test_a_storage_that_takes_nothing_is_lacking_and_is_not_flooded(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    mesh.storages[0].put = lambda *_, **__: None  # type: ignore[method-assign]
    save_many(mesh, one, 200)
    before = mesh.sent["put"]
    mesh.advance(600)
    assert state(one).lacking == 200
    assert mesh.sent["put"] - before < 12_000


@pytest.mark.parametrize("garbage", [b"not what it was", b"\x01" + b"an unknown key, and more" * 4])
def test_a_payload_that_is_not_the_record_of_its_name_is_overwritten(make_mesh: MakeMesh, garbage: bytes) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    storage = mesh.storages[0]
    save_many(mesh, one, 50)
    mesh.settle()
    key = [key for key in storage.values if "/rec/" in key][7]
    storage.values[key] = Stored(storage.values[key].stamp + (3600 << 32), garbage)
    mesh.crash(one)
    with one.database.write() as connection:
        connection.run("DELETE FROM meta WHERE name LIKE 'storage %'")
    mesh.start(one)
    mesh.advance(30)
    assert lacking(storage, one) == 0


def take_text(storage: SimulatedStorage, host: Host, memory: str) -> None:
    """Somebody puts a memory's records there without their text, and no purge."""
    with host.database.reading() as connection:
        keyring = Keyring(roster.secrets(connection, host.space), random=host.random)
    for record in records_in(storage, host):
        if record.core.memory == memory:
            place = record.place
            key = keys.rec(host.space.id, place.log, place.seq, record.hash)
            sealed = publisher.sealed(msgspec.structs.replace(record, body=None), keyring)
            assert sealed is not None
            storage.values[key] = Stored(storage.values[key].stamp + (1 << 32), sealed)


def without_text(storage: SimulatedStorage, host: Host) -> int:
    return sum(record.body is None for record in records_in(storage, host))


def test_a_text_that_nobody_may_take_away_is_put_again_when_a_device_says_what_it_lacks(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(apart=True)
    one, other = mesh.hosts
    storage = mesh.storages[0]
    mesh.crash(other)
    memories = [save(mesh, one, f"note {number}") for number in range(20)]
    mesh.settle()
    take_text(storage, one, memories[7])
    mesh.start(other)
    mesh.advance(45)
    assert len(texts(other)) == 19  # whoever cannot tell why the text is gone does not take it so
    mesh.advance(limits.DOUBT_AGAIN_SECONDS + 120)
    assert without_text(storage, one) == 0
    assert len(texts(other)) == 20


def test_a_text_that_is_gone_from_a_storage_is_found_by_a_probe_and_put_again(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    storage = mesh.storages[0]
    memory = [save(mesh, one, f"note {number}") for number in range(20)][-1]
    mesh.settle()
    mesh.crash(one)
    take_text(storage, one, memory)
    mesh.start(one)
    mesh.advance(60)
    assert without_text(storage, one) == 1  # a purge may be on its way
    mesh.advance(90)
    assert without_text(storage, one) == 0


# Purges ---------------------------------------------------------------------------------------------------------------


def test_a_purged_memory_lies_in_no_storage_with_its_text(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(2)
    one, other = mesh.hosts
    storage = mesh.storages[0]
    memory = save(mesh, one, "not to be kept")
    mesh.settle()
    mesh.crash(other)
    mesh.crash(one)
    mesh.advance(20)
    one.clock.skew_ms = -86_400_000  # what it stamps now is older than what lies there
    mesh.start(one)
    purge(mesh, one, memory)
    mesh.advance(10)
    assert state(one).pending == ()
    bodies = [record.body for record in records_in(storage, one) if record.core.memory == memory]
    assert len(bodies) == 2
    assert bodies.count(None) == 1


def test_a_stale_storage_that_comes_back_with_an_old_text_is_corrected(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    storage = mesh.storages[0]
    memory = save(mesh, one, "not to be kept")
    mesh.settle()
    mesh.stop_storage(storage)
    mesh.advance(12)
    purge(mesh, one, memory)
    mesh.advance(200)
    assert state(one).pending == (memory,)
    mesh.start_storage(storage)
    mesh.advance(10)
    assert state(one).pending == ()
    assert all(
        record.body is None or record.core.kind == "purge"
        for record in records_in(storage, one)
        if record.core.memory == memory
    )


@pytest.mark.parametrize("fresh", [False, True])
def test_a_text_that_is_kept_here_for_its_time_is_put_into_no_storage(make_mesh: MakeMesh, fresh: bool) -> None:
    mesh = make_mesh(apart=True)
    sleeper, other = mesh.hosts
    storage = mesh.storages[0]
    memory = save(mesh, sleeper, "purged after thirty days")
    mesh.settle()
    mesh.crash(sleeper)
    other.memory.forget(memory)
    mesh.tell(other)
    mesh.advance(20)
    for host in mesh.hosts:
        host.clock.skew_ms = 31 * DAY_MS
    purge(mesh, other, memory)
    mesh.advance(300)
    mesh.crash(other)
    if fresh:
        mesh.start(sleeper)
        mesh.advance(60)
        mesh.stop_storage(storage)
        storage.restore({})
        mesh.start_storage(storage)
    else:
        mesh.start(sleeper)
    mesh.advance(400)
    assert visible(sleeper)[memory][0] == Status.PURGED
    assert b"purged after thirty days" in sleeper.path.read_bytes() + Path(f"{sleeper.path}-wal").read_bytes()
    kept = [record for record in records_in(storage, sleeper) if record.core.memory == memory]
    assert [record.core.kind for record in kept if record.body is not None and record.core.kind == Kind.SAVE] == []
    assert state(sleeper).lacking == 0


def test_a_text_that_a_restore_has_saved_from_a_purge_is_put_again(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(apart=True)
    keeper, other = mesh.hosts
    storage = mesh.storages[0]
    memory = save(mesh, keeper, "wanted after all")
    save_many(mesh, keeper, 40)
    mesh.settle()
    other.memory.forget(memory)
    mesh.tell(other)
    mesh.settle()
    mesh.stop_storage(storage)
    keeper.memory.restore(memory)
    mesh.tell(keeper)
    mesh.crash(keeper)
    mesh.start_storage(storage)
    for host in mesh.hosts:
        host.clock.skew_ms = 31 * DAY_MS
    purge(mesh, other, memory)
    mesh.advance(200)
    assert without_text(storage, other) > 0
    mesh.crash(other)
    mesh.start(keeper)
    mesh.advance(90)
    taken = [record for record in records_in(storage, keeper) if record.core.memory == memory and record.body is None]
    assert Kind.SAVE not in [record.core.kind for record in taken]
    mesh.start(other)
    mesh.settle()
    assert visible(other)[memory][:2] == (Status.FORGOTTEN, "wanted after all")


# Announcements and the secret -----------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_does_not_hide_an_announcement(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    mesh.settle()
    mesh.crash(other)
    mesh.crash(one)
    mesh.advance(20)
    one.clock.skew_ms = -86_400_000
    mesh.start(one)
    save(mesh, one, "written yesterday")
    mesh.advance(70)
    mesh.crash(one)
    mesh.start(other)
    mesh.advance(10)
    assert texts(other) == {"written yesterday"}


def test_invented_announcements_in_a_storage_do_not_hide_the_real_ones(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    one, other = mesh.hosts
    storage = mesh.storages[0]
    mesh.crash(other)
    for number in range(limits.ANSWERS_PER_GET_MAX + 100):
        storage.values[keys.vec(one.space.id, number.to_bytes(16, "big"))] = Stored(1, b"of nobody")
    save(mesh, one, "put there all the same")
    mesh.advance(70)
    assert state(one).lacking == 0
    mesh.crash(one)
    mesh.start(other)
    mesh.advance(10)
    assert texts(other) == {"put there all the same"}


def test_a_device_that_slept_through_two_rekeys_reads_on_from_a_storage_alone(make_mesh: MakeMesh) -> None:
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
    mesh.advance(70)
    mesh.crash(one)
    mesh.crash(other)
    mesh.start(sleeper)
    mesh.advance(60)
    assert texts(sleeper) == {"under the third secret"}


def test_a_storage_whose_replication_is_set_otherwise_is_reported(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    assert state(one).problem == ""
    assert one.exchange is not None
    one.exchange.storage_appeared("b1", "1.10.2", "0123")
    mesh.tell(one)
    mesh.advance(1)
    assert "replication" in one.exchange.storages()[1].problem


def test_storages_that_somebody_invents_do_not_push_out_a_hub_of_the_space(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(1)
    one = mesh.hosts[0]
    real = state(one).zid
    with one.database.write() as connection:
        hub = Hub(
            zid=real, name="nas", addresses=("10.0.0.9:1",), blind=True, device=b"", key_id=b"k" * 8, retired=False
        )
        membership.set_hub(one.log, connection, one.space, hub)
    assert one.exchange is not None
    for number in range(2 * limits.STORAGES_MAX):
        one.exchange.storage_appeared(f"c{number:x}", "1.10.2", "0a")
    mesh.tell(one)
    mesh.advance(1)
    assert real in {known.zid for known in one.exchange.storages()}


def test_what_a_storage_was_asked_is_over_when_it_goes_and_is_asked_again_when_it_is_back(store: Store) -> None:
    space = store.personal
    with store.database.reading() as connection:
        own = roster.own_device(connection).id
        keyring = Keyring(roster.secrets(connection, space), random=SeededRandom())
    storages = Storages(
        store.database,
        space,
        own,
        numbers=count(1),
        random=SeededRandom(),
        wall_clock=ManualClock(),
        monotonic=lambda: 1.0,
    )
    hub = keys.Hub(space.id, "1.10.2", "0a", "c1")

    def asked(now: float) -> list[int]:
        with store.database.reading() as connection:
            return [found.id for found in storages.plan(connection, keyring, now) if isinstance(found, Get)]

    storages.appeared(hub, 1.0)
    [look] = asked(1.0)
    storages.vanished(hub.zid)  # and nobody ends the question
    storages.appeared(hub, 2.0)
    assert storages.overdue(2.0) == [look]
    storages.ended(look, 2.0, failed=True)
    assert asked(2.0 + limits.UNREACHED_SECONDS_MAX)


def test_what_is_known_of_a_storage_is_told(make_mesh: MakeMesh) -> None:
    mesh = make_mesh(2)
    one, _ = mesh.hosts
    storage = mesh.storages[0]
    save_many(mesh, one, 10)
    mesh.settle()
    told = state(one)
    assert (told.zid, told.version, told.reachable, told.lacking, told.announcements, told.pending) == (
        storage.zid, "1.10.2", True, 0, 2, (),
    )  # fmt: skip
    mesh.stop_storage(storage)
    mesh.advance(12)
    for number in range(5):
        save(mesh, one, f"while it was away {number}")
    mesh.advance(5)
    told = state(one)
    assert (told.reachable, told.lacking) == (False, 5)
