"""A device has only so many logs and branches, and of those that begin more all devices come to keep the same ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from nokosu import limits
from nokosu.errors import RecordRefused, Refused
from nokosu.records import Author, Content, Kind, Record
from nokosu.store import rebuilding
from nokosu.store.index import Index
from nokosu.store.log import Appended, Entry, Head
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, Peer, SeededRandom, Store

TEAM = b"team".ljust(16)

NewStore = Callable[..., Store]


@pytest.fixture
def new_store(quick_path: Path, clock: ManualClock) -> Iterator[NewStore]:
    opened: list[Store] = []

    def make(*peers: Peer) -> Store:
        number = len(opened)
        opened.append(Store(quick_path / f"{number}.db", wall_clock=clock, random=SeededRandom(1000 + number)))
        opened[-1].join(TEAM, *peers, name="team")
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many starts that a test can count them."""
    monkeypatch.setattr(limits, "STARTS_MAX", 3)
    return 3


def peer(seed: int = 1) -> Peer:
    return Peer(TEAM, random=SeededRandom(seed), name=f"peer {seed}")


def fresh_log(device: Peer) -> Peer:
    """The same device with a log that begins."""
    other = device.clone()
    other.log, other.nonce = [], device.random(16)
    return other


def heads_of(store: Store, device: Peer) -> list[Head]:
    """The ends of a device's logs, as announced."""
    logs = {
        log
        for (log,) in store.database.rows(
            "SELECT log.id FROM log JOIN device ON device.n = log.device WHERE device.id = ?", (device.device,)
        )
    }
    return [head for head in store.log.vector(store.space("team")) if head.log in logs]


def first(found: Sequence[Record], count: int) -> set[tuple[int, bytes]]:
    """The first of some records that begin logs or branches."""
    return set(sorted((record.place.seq, record.hash) for record in found)[:count])


def texts(store: Store) -> set[str]:
    rows = store.database.rows(
        "SELECT body FROM record JOIN memory ON memory.record = record.n WHERE memory.status = 0"
    )
    return {body.decode(errors="replace")[-6:] for (body,) in rows}


def is_sound(store: Store) -> bool:
    return verify(store.database).problems == ()


def test_logs_beyond_the_bound_are_refused_and_counted_nowhere(new_store: NewStore, few: int) -> None:
    device = peer()
    logs = [fresh_log(device).save(f"log {number:02}") for number in range(8)]
    store = new_store(device)
    told: list[str] = []
    outcomes = store.log.append_many(logs, refused=lambda _record, error: told.append(error.field))
    kept = first(logs, few)
    assert {(head.seq, head.hash) for head in heads_of(store, device)} == kept
    assert texts(store) == {record.content().text for record in logs if (1, record.hash) in kept}  # type: ignore[union-attr]
    assert outcomes.count(Appended.REFUSED) == len(told) > 0
    assert set(told) == {"logs"}
    assert is_sound(store)
    with pytest.raises(RecordRefused, match=r"^log: of one device at most 3"):
        store.log.append(max(logs, key=lambda record: record.hash))


def test_a_device_that_has_begun_enough_goes_on_with_what_it_has(new_store: NewStore, few: int) -> None:
    device = peer()
    writers = [fresh_log(device) for _ in range(few)]
    store = new_store(device)
    store.log.append_many([writer.save(f"log {number:02}") for number, writer in enumerate(writers)])
    following = [writer.save(f"more{number:02}") for number, writer in enumerate(writers)]
    assert store.log.append_many(following) == [Appended.NEW] * few
    ahead = [writers[0].save("gap"), writers[0].save("ahead")]
    told: list[str] = []
    store.log.append_many([ahead[1], *ahead], refused=lambda _record, error: told.append(error.field))
    assert told == ["logs"], "nothing waits behind a gap any more: who knows what it would begin"
    assert len(heads_of(store, device)) == few
    assert is_sound(store)


def test_what_waits_behind_a_gap_goes_when_its_device_has_begun_enough_and_comes_back_in_its_order(
    new_store: NewStore, few: int
) -> None:
    device = peer()
    writers = [fresh_log(device) for _ in range(few)]
    begun = [writer.save(f"log {number:02}") for number, writer in enumerate(writers)]
    gap, ahead = writers[0].save("gap..."), writers[0].save("ahead.")
    store = new_store(device)
    store.log.append_many([begun[0], ahead, *begun[1:]])
    assert texts(store) == {"log 00", "log 01", "log 02"}
    assert is_sound(store)
    assert store.log.append_many([gap, ahead]) == [Appended.NEW, Appended.NEW]
    assert texts(store) == {"log 00", "log 01", "log 02", "gap...", "ahead."}
    assert is_sound(store)


def test_branches_that_a_gap_hid_are_taken_out_when_it_is_filled(new_store: NewStore, few: int) -> None:
    device = peer()
    trunk = device.save("trunk1")
    gap = device.save("gap...")
    branches = [device.clone() for _ in range(6)]
    begun = [branch.save(f"tip {number:02}") for number, branch in enumerate(branches)]
    store = new_store(device)
    store.log.append_many([trunk, *begun])
    assert len(heads_of(store, device)) == 1
    store.log.append(gap)
    goes_on, *others = sorted(begun, key=lambda record: record.hash)
    kept = {goes_on.hash} | {hash for _, hash in first(others, few - 1)}
    assert {head.hash for head in heads_of(store, device)} == kept
    assert len(texts(store)) == 2 + few
    assert is_sound(store)
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())
    assert {head.hash for head in heads_of(store, device)} == kept
    assert is_sound(store)


def test_this_device_begins_no_log_too_many(new_store: NewStore, few: int) -> None:
    store = new_store()
    space = store.space("team")
    entry = Entry(kind=Kind.SAVE, memory="0" * 12, author=Author(), content=Content(text="x"))
    for _ in range(few):
        with store.database.write() as connection:
            store.log.write(connection, space, [entry])
            connection.run("UPDATE log SET current = 0")
    with pytest.raises(Refused, match="this device has begun 3 logs"), store.database.write() as connection:
        store.log.write(connection, space, [entry])
    assert is_sound(store)


def test_what_this_device_has_saved_stays_here_however_many_logs_it_has_begun(quick_path: Path, few: int) -> None:
    device = peer()
    begun = sorted((fresh_log(device).save(f"log {number:02}") for number in range(few + 3)), key=lambda one: one.hash)
    with Store(quick_path / "own.db", random=SeededRandom(1)) as store:  # the same key
        store.join(TEAM, device, name="team")
        store.log.append_many(begun[3:])  # as another machine had them
        store.log.append_many(begun[:3])  # which come before those, by their hashes
        assert len(texts(store)) == few + 3


# The law: whatever each had taken before it knew of the others' records, in the end all hold the same. ----------------


def a_flood(choice: random.Random) -> list[Record]:
    """Logs and branches of one device, one growing out of another, parents first."""
    device = peer()
    writers = [fresh_log(device)]
    found = []
    for number in range(choice.randint(1, 14)):
        act, writer = choice.choice("wwwbbl"), choice.choice(writers)
        if act != "w":
            writer = fresh_log(device) if act == "l" else writer.clone()
            writers.append(writer)
        found.append(writer.save(f"text{number:02}", memory=f"{number % 4}" * 12))
    return found


def below(store: Store, heads: Sequence[Head]) -> list[Record]:
    """What a device serves of what it announces: the chains down from its heads, the lowest first."""
    here = {record.hash: record for record in store.records()}
    found: dict[bytes, Record] = {}
    for head in heads:
        hash = head.hash
        while hash in here and hash not in found:
            found[hash] = here[hash]
            hash = here[hash].place.prev
    return sorted(found.values(), key=lambda record: record.place.seq)


def with_all_below(flood: Sequence[Record], chosen: Sequence[Record]) -> list[Record]:
    """Some records of a flood, and what they stand on: nothing waits behind a gap for ever."""
    found = {record.hash for record in chosen}
    for record in reversed(flood):
        if record.hash in found:
            found.add(record.place.prev)
    return [record for record in flood if record.hash in found]


@pytest.mark.parametrize("seeds", [range(25), range(25, 50)], ids=str)
def test_all_devices_come_to_keep_the_same_logs_and_branches(quick_path: Path, few: int, seeds: range) -> None:
    for seed in seeds:
        choice = random.Random(seed)
        flood = a_flood(choice)
        stores = [Store(quick_path / f"{seed}-{n}.db", random=SeededRandom(10 + n)) for n in range(3)]
        with ExitStack() as opened:
            for store in stores:
                opened.enter_context(store)
                store.join(TEAM, peer(), name="team")
                part = with_all_below(flood, [record for record in flood if choice.random() < 0.3])
                choice.shuffle(part)
                store.log.append_many(part, refused=lambda _record, _error: None)
            heads = exchanged(stores)
            assert heads[0] == heads[1] == heads[2], seed
            assert len(heads[0]) <= few
            assert texts(stores[0]) == texts(stores[1]) == texts(stores[2]), seed
            assert all(map(is_sound, stores)), seed


def exchanged(stores: Sequence[Store]) -> list[list[Head]]:
    """What the stores announce of the device when none has anything to take from another."""
    heads: list[list[Head]] = []
    while heads != (heads := [heads_of(store, peer()) for store in stores]):
        for store in stores:
            here = {record.hash for record in store.records()}
            others = (other for other in stores if other is not store)
            served = [record for other in others for record in below(other, heads_of(other, peer()))]
            missing = {record.hash: record for record in served if record.hash not in here}
            store.log.append_many(missing.values(), refused=lambda _record, _error: None)
    return heads
