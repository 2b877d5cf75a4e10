"""The log: one door for every record, whatever order they come in, and nobody else's records through it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nokosu import clock as hybrid
from nokosu import limits, records
from nokosu.errors import RecordRefused
from nokosu.fold import Status
from nokosu.records import Author, Content, Kind, Position, Record
from nokosu.store import reading, rebuilding, roster
from nokosu.store.index import Index
from nokosu.store.log import Appended, Entry, Head
from nokosu.store.sqlite import Connection
from nokosu.store.verify import verify
from nokosu.testing import DAY_MS, NEW_YEAR_MS, ManualClock, Peer, SeededRandom, Store
from tests.promises import promise

TEAM = b"team".ljust(16)
MEMORY = "0123456789ab"

NewStore = Callable[..., Store]


@pytest.fixture
def new_store(quick_path: Path, clock: ManualClock) -> Iterator[NewStore]:
    """Makes a store of its own that has joined the team: `new_store(peer, another)`."""
    opened: list[Store] = []

    def make(*peers: Peer) -> Store:
        number = len(opened)
        opened.append(Store(quick_path / f"{number}.db", wall_clock=clock, random=SeededRandom(1000 + number)))
        opened[-1].join(TEAM, *peers, name="team")
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def peer(seed: int = 1, *, skew_ms: int = 0) -> Peer:
    return Peer(TEAM, wall_clock=ManualClock(NEW_YEAR_MS + skew_ms), random=SeededRandom(seed), name=f"peer {seed}")


def vector(store: Store) -> list[Head]:
    """The vector of the team, without the log of its founder, who only admits."""
    founder = store.founders[TEAM].log[0].place.log
    return [head for head in store.log.vector(store.space("team")) if head.log != founder]


def head_of(record: Record) -> Head:
    return Head(record.place.log, record.place.seq, record.hash)


def shown(store: Store, memory: str, space: str = "team") -> str | None:
    """The text that a memory shows; its status in words when it shows none."""
    number = store.space(space).n
    with store.database.reading() as connection:
        rows = reading.rows_by_prefix(connection, memory, 6)
        row = next((row for row in rows if row.space == number), None)
        if row is None:
            return None
        if row.status != Status.LIVE:
            return Status(row.status).name
        return reading.shown_by(connection, row).content.text


def found(store: Store, word: str) -> int:
    """How many memories the full-text table finds by a word."""
    (row,) = store.database.rows("SELECT count(*) FROM word WHERE word MATCH ?", (f'"{word}"',))
    return int(row[0])


def write(store: Store, text: str, *, memory: str = MEMORY, space: str = "team") -> Record:
    """Save a text with the store's own key."""
    return write_many(store, [text], memory=memory, space=space)[0]


def write_many(store: Store, texts: list[str], *, memory: str = MEMORY, space: str = "team") -> list[Record]:
    target = store.space(space)
    entries = [Entry(kind=Kind.SAVE, memory=memory, author=Author(), content=Content(text=text)) for text in texts]
    with store.database.write() as connection:
        return store.log.write(connection, target, entries)


def as_in(device: Peer, space: bytes) -> Peer:
    """The same device in another space."""
    there = Peer(space, random=SeededRandom(900), name=device.name)
    there.key, there.box_key, there.device = device.key, device.box_key, device.device
    return there


def assert_sound(store: Store) -> None:
    assert verify(store.database).problems == ()


# Our own log ----------------------------------------------------------------------------------------------------------


def test_our_own_log_is_a_chain_that_begins_with_a_proof_of_who_we_are(store: Store) -> None:
    made = [write(store, f"text {number}", space="personal") for number in range(3)]
    first, *others = made
    with store.database.reading() as connection:
        (device, public) = connection.rows("SELECT id, public_key FROM device")[0]
    assert [record.place.seq for record in made] == [1, 2, 3]
    assert (first.place.key, first.place.prev) == (public, b"")
    assert records.log_id(device, first.place.nonce) == first.place.log
    assert all(later.place.prev == earlier.hash for earlier, later in pairwise(made))
    assert all((record.place.nonce, record.place.key) == (b"", b"") for record in others)
    assert [records.parse(record.header, record.signature, record.body) for record in made] == made
    assert store.log.vector(store.personal) == [head_of(made[-1])]
    assert_sound(store)


def test_each_space_has_a_log_of_its_own(store: Store) -> None:
    here, there = write(store, "a", space="personal"), write(store, "b", space="local")
    assert here.place.log != there.place.log
    assert (here.place.seq, there.place.seq) == (1, 1)
    assert store.log.vector(store.personal) == [head_of(here)]
    assert store.log.vector(store.space("local")) == [head_of(there)]


def test_our_time_never_repeats_when_the_clock_goes_back_or_the_process_restarts(
    store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    made = [write(store, "a", space="personal")]
    clock.advance(days=-400)
    made += write_many(store, ["b", "c"], space="personal")
    store.close()
    path = store.database.path
    with Store(path, wall_clock=clock, random=SeededRandom(77)) as again:
        made.append(write(again, "d", space="personal"))
        clock.advance(days=800)
        made.append(write(again, "e", space="personal"))
    times = [record.core.hlc for record in made]
    assert times == sorted(set(times))
    assert [record.core.wall - NEW_YEAR_MS for record in made] == [days * DAY_MS for days in (0, -400, -400, -400, 400)]


def test_nothing_of_a_write_stays_when_its_transaction_is_undone(store: Store) -> None:
    space = store.personal
    entry = Entry(kind=Kind.SAVE, memory=MEMORY, author=Author(), content=Content(text="undone"))

    def write_and_fail() -> None:
        with store.database.write() as connection:
            store.log.write(connection, space, [entry])
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert store.records() == []
    assert store.log.vector(space) == []
    made = write(store, "done", space="personal")
    assert made.place.seq == 1
    assert_sound(store)


# Arriving in any order ------------------------------------------------------------------------------------------------


def test_a_record_ahead_of_a_gap_is_findable_at_once_and_only_the_vector_waits(new_store: NewStore) -> None:
    device = peer()
    first, second, third, fourth = (device.save(f"word{n}", memory=f"{n:012}") for n in range(4))
    store = new_store(device)
    assert store.log.append(first) is Appended.NEW
    assert store.log.append(third) is Appended.AHEAD
    assert store.log.append(fourth) is Appended.AHEAD
    assert shown(store, third.core.memory) == "word2"
    assert found(store, "word3") == 1
    assert vector(store) == [head_of(first)]
    assert store.log.append(second) is Appended.NEW
    assert vector(store) == [head_of(fourth)]
    assert_sound(store)


def test_a_log_whose_first_record_is_missing_has_no_head(new_store: NewStore) -> None:
    device = peer()
    first, second = device.save("one"), device.save("two")
    store = new_store(device)
    assert store.log.append(second) is Appended.AHEAD
    assert vector(store) == []
    store.log.append(first)
    assert vector(store) == [head_of(second)]


def test_two_thousand_records_in_reverse_link_at_the_last(new_store: NewStore) -> None:
    device = peer()
    log = [device.save(f"text {number}") for number in range(2_000)]
    store = new_store(device)
    outcomes = store.log.append_many(reversed(log))
    assert outcomes == [Appended.AHEAD] * (len(log) - 1) + [Appended.NEW]
    assert vector(store) == [head_of(log[-1])]


def test_appending_a_record_twice_changes_nothing(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("once")
    store = new_store(device)
    assert store.log.append(saved) is Appended.NEW
    before = store.database.rows("SELECT * FROM memory")
    assert store.log.append_many([saved] * 1_000) == [Appended.DUPLICATE] * 1_000
    assert store.records() == [saved]
    assert store.database.rows("SELECT * FROM memory") == before
    assert_sound(store)


def test_what_is_here_already_is_not_written_again(new_store: NewStore) -> None:
    one = peer()
    store = new_store(one)
    found = [one.save(f"note {number}") for number in range(3)]
    store.log.append_many(found)
    with store.database.reading() as connection:
        before = connection.total_changes()
    assert store.log.append_many(found) == [Appended.DUPLICATE] * 3
    with store.database.reading() as connection:
        assert connection.total_changes() == before


def test_an_effect_may_arrive_before_its_cause(new_store: NewStore) -> None:
    first, second = peer(1), peer(2)
    saved = first.save("cause", memory=MEMORY)
    edited = second.edit(saved, text="effect")
    store = new_store(first, second)
    store.log.append(edited)
    assert shown(store, MEMORY) == "effect"
    store.log.append(saved)
    assert shown(store, MEMORY) == "effect"
    assert found(store, "cause") == 0
    assert_sound(store)


def test_a_forget_may_arrive_before_its_save(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("forgotten before it came", memory=MEMORY)
    forgotten = device.forget(saved)
    store = new_store(device)
    assert store.log.append(forgotten) is Appended.AHEAD
    assert shown(store, MEMORY) == "FORGOTTEN"
    assert store.log.append(device.restore(forgotten)) is Appended.AHEAD
    assert shown(store, MEMORY) == "UNKNOWN"
    store.log.append(saved)
    assert shown(store, MEMORY) == "forgotten before it came"
    assert_sound(store)


@st.composite
def meshes(draw: st.DrawFn) -> tuple[list[Peer], list[Record]]:
    """A few devices, one of them cloned, and the records of two memories that they wrote."""
    devices = [peer(seed, skew_ms=draw(st.sampled_from((0, DAY_MS, -DAY_MS)))) for seed in (1, 2)]
    writers = list(devices)
    made: list[Record] = []
    for number in range(draw(st.integers(1, 12))):
        if draw(st.integers(0, 5)) == 0 and len(writers) < 4:
            writers.append(draw(st.sampled_from(writers)).clone())
        writer = draw(st.sampled_from(writers))
        memory = draw(st.sampled_from((MEMORY, "ba9876543210")))
        known = [record for record in made if record.core.memory == memory]
        after = draw(st.lists(st.sampled_from(known), unique_by=lambda record: record.id)) if known else []
        kind = draw(st.sampled_from(("save", "edit", "edit", "forget", "restore", "later", "purge")))
        older = ("ba9876543210",) if draw(st.booleans()) else ()
        content = Content(text=f"text {number}", supersedes=older) if kind in ("save", "edit") else None
        made.append(writer.write(kind, memory, content=content, after=after))
    return devices, made


@promise("same-memories")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(meshes(), st.randoms(use_true_random=False))
def test_stores_that_hold_the_same_logs_agree_in_vector_and_memories(
    new_store: NewStore, mesh: tuple[list[Peer], list[Record]], choice: random.Random
) -> None:
    devices, made = mesh
    stores = [new_store(*devices) for _ in range(2)]
    for store in stores:
        arriving = made * 2
        choice.shuffle(arriving)
        store.log.append_many(arriving)
    one, other = stores
    assert vector(one) == vector(other)
    assert memories_of(one) == memories_of(other)
    for store in stores:
        assert_sound(store)
        before = vector(store)
        rebuild(store)
        assert vector(store) == before
        assert_sound(store)
    assert memories_of(one) == memories_of(other)


def memories_of(store: Store) -> list[object]:
    columns = "id, status, type, agent, importance, conflict, digest, created, updated, hlc, expires, forgotten"
    return [
        store.database.rows(f"SELECT {columns} FROM memory ORDER BY id"),
        store.database.rows("SELECT older, newer FROM edge ORDER BY 1, 2"),
    ]


def rebuild(store: Store) -> None:
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())


# Branches -------------------------------------------------------------------------------------------------------------


@promise("branches-kept")
def test_a_log_that_was_continued_twice_keeps_both_ends(new_store: NewStore) -> None:
    device = peer()
    first = device.save("before")
    clone = device.clone()
    here, there = device.save("here"), clone.save("there")
    further = clone.save("further")
    store = new_store(device)
    assert store.log.append_many([first, here]) == [Appended.NEW, Appended.NEW]
    assert store.log.append(there) is Appended.BRANCH
    assert store.log.append(further) is Appended.NEW
    assert vector(store) == [head_of(here), head_of(further)]
    assert [shown(store, record.core.memory) for record in (first, here, there, further)] == [
        "before",
        "here",
        "there",
        "further",
    ]
    assert_sound(store)


@promise("branches-kept")
def test_the_owner_of_a_branched_log_begins_a_fresh_one_at_its_next_save(tmp_path: Path, clock: ManualClock) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "b.db"
    with Store(path, wall_clock=clock, random=SeededRandom(1)) as store:
        write(store, "before the backup", memory="1" * 12, space="personal")
        store.database.copy_to(copy)
        lost = write_many(store, ["lost 1", "lost 2"], memory="2" * 12, space="personal")
    with Store(copy, wall_clock=clock, random=SeededRandom(2)) as restored:
        after = write(restored, "after the restore", memory="3" * 12, space="personal")
        assert (after.place.log, after.place.seq) == (lost[0].place.log, 2)
        assert restored.log.append_many(lost) == [Appended.BRANCH, Appended.NEW]
        assert restored.log.vector(restored.personal) == sorted(
            [head_of(after), head_of(lost[-1])], key=lambda head: (head.log, head.seq, head.hash)
        )
        fresh = write(restored, "in a fresh log", memory="4" * 12, space="personal")
        assert (fresh.place.seq, fresh.place.log != after.place.log) == (1, True)
        assert write(restored, "and on", memory="5" * 12, space="personal").place.log == fresh.place.log
        assert len(restored.log.vector(restored.personal)) == 3
        assert shown(restored, "2" * 12, "personal") in ("lost 1", "lost 2")
        assert_sound(restored)


def test_a_backup_that_sees_its_lost_records_first_goes_on_behind_them(tmp_path: Path, clock: ManualClock) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "b.db"
    with Store(path, wall_clock=clock, random=SeededRandom(1)) as store:
        write(store, "before", space="personal")
        store.database.copy_to(copy)
        lost = write(store, "lost", space="personal")
    with Store(copy, wall_clock=clock, random=SeededRandom(2)) as restored:
        assert restored.log.append(lost) is Appended.NEW
        after = write(restored, "after", space="personal")
        assert (after.place.log, after.place.seq, after.place.prev) == (lost.place.log, 3, lost.hash)
        assert after.core.hlc > lost.core.hlc


# Refused --------------------------------------------------------------------------------------------------------------


@promise("forged-refused")
def test_a_record_of_an_unknown_device_or_space_is_refused(new_store: NewStore) -> None:
    stranger, known = peer(1), peer(2)
    store = new_store(known)
    with pytest.raises(RecordRefused, match=r"^device: ") as refused:
        store.log.append(stranger.save("hello"))
    assert refused.value.field == "device"
    elsewhere = Peer(b"other".ljust(16), random=SeededRandom(2))
    with pytest.raises(RecordRefused, match=r"^space: "):
        store.log.append(elsewhere.save("hello"))
    assert store.records() == []


@promise("forged-refused")
def test_a_record_that_its_device_did_not_sign_is_refused(new_store: NewStore) -> None:
    device, other = peer(1), peer(2)
    store = new_store(device, other)
    good = device.save("good", memory=MEMORY)
    for signature in (
        other.key.sign(good.header),
        device.key.sign(good.header + b"\0"),
        bytes(64),
        good.signature[::-1],
    ):
        with pytest.raises(RecordRefused, match=r"^signature: "):
            store.log.append(records.parse(good.header, signature, good.body))
    assert store.records() == []
    assert shown(store, MEMORY) is None


@promise("forged-refused")
def test_a_record_in_the_log_of_another_device_or_space_is_refused(new_store: NewStore) -> None:
    device, intruder = peer(1), peer(2)
    store = new_store(device, intruder)
    first = device.save("mine")
    store.log.append(first)
    place = Position(space=TEAM, log=first.place.log, seq=2, prev=first.hash)
    core = records.core_bytes(intruder.save("not yours"))
    forged = records.parse(*intruder.sign(core, intruder.log[0].body, place))
    with pytest.raises(RecordRefused, match=r"^log: belongs to another device or space"):
        store.log.append(forged)
    store.admit(as_in(device, store.personal.id))
    in_other_space = msgspec.structs.replace(place, space=store.personal.id)
    moved = records.parse(*device.sign(records.core_bytes(first), first.body, in_other_space))
    with pytest.raises(RecordRefused, match=r"^log: belongs to another device or space"):
        store.log.append(moved)
    assert store.records() == [first]


@promise("forged-refused")
def test_a_device_that_names_anothers_log_first_does_not_keep_its_owner_out(new_store: NewStore) -> None:
    device, intruder = peer(1), peer(2)
    store = new_store(device, intruder)
    first = device.save("mine")
    place = Position(space=TEAM, log=first.place.log, seq=2, prev=first.hash)
    core = records.core_bytes(intruder.save("not yours"))
    store.log.append(records.parse(*intruder.sign(core, intruder.log[0].body, place)))
    assert store.log.append(first) is Appended.NEW
    assert vector(store) == [head_of(first)]


def test_nothing_of_a_refused_batch_is_half_there(new_store: NewStore) -> None:
    device, stranger = peer(1), peer(2)
    store = new_store(device)
    batch = [device.save(f"{n}") for n in range(3)]
    with pytest.raises(RecordRefused):
        store.log.append_many([*batch, stranger.save("x")])
    held = store.records()
    assert held == batch[: len(held)]
    assert_sound(store)
    store.log.append_many(batch)
    assert vector(store) == [head_of(batch[-1])]


# Time -----------------------------------------------------------------------------------------------------------------


@promise("wrong-clocks")
def test_a_record_from_the_far_future_moves_our_clock_by_the_drift_bound_at_most(
    new_store: NewStore, clock: ManualClock
) -> None:
    device = peer()
    store = new_store(device)
    store.log.append(
        device.write(Kind.SAVE, MEMORY, content=Content(text="2554"), hlc=limits.HLC_MAX, wall=limits.HLC_MAX)
    )
    assert shown(store, MEMORY) == "2554"
    ours = write(store, "now", memory="1" * 12)
    assert hybrid.wall_ms(ours.core.hlc) - clock() <= limits.DRIFT_MS_MAX + 1
    assert ours.core.wall == clock()
    clock.advance(ms=limits.DRIFT_MS_MAX + 2)
    assert hybrid.wall_ms(write(store, "later", memory="2" * 12).core.hlc) == clock()
    assert_sound(store)


@promise("wrong-clocks")
def test_what_we_write_after_reading_is_later_than_what_we_read(new_store: NewStore, clock: ManualClock) -> None:
    ahead = peer(skew_ms=limits.DRIFT_MS_MAX)
    store = new_store(ahead)
    theirs = ahead.save("from a clock that is five minutes fast")
    store.log.append(theirs)
    assert write(store, "an answer").core.hlc > theirs.core.hlc


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_lets_others_write_between_its_transactions(new_store: NewStore, quick_path: Path) -> None:
    device = peer()
    store = new_store(device)
    batch = [device.save(f"text {number}") for number in range(300)]
    with Store(store.database.path) as other:
        seen: set[int] = set()

        def watched() -> Iterator[Record]:
            for record in batch:
                seen.add(other.database.rows("SELECT count(*) FROM record")[0][0])
                yield record

        store.log.append_many(watched())
        assert len(seen) > 3, "nobody saw the batch grow: it was one transaction"
    assert len(store.records()) == len(batch)


def test_an_unending_stream_is_taken_as_it_comes(new_store: NewStore) -> None:
    device = peer()
    store = new_store(device)

    def endless() -> Iterator[Record]:
        while True:
            if len(device.log) == 200:
                raise ConnectionError
            yield device.save(f"text {len(device.log)}")

    with pytest.raises(ConnectionError):
        store.log.append_many(endless())
    assert len(store.records()) >= 100
    assert_sound(store)


# Purge ----------------------------------------------------------------------------------------------------------------


@promise("purge-leaves-nothing")
def test_a_purge_that_arrives_before_its_save_scrubs_it_when_it_comes(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("vexillology", memory=MEMORY)
    edited = device.edit(saved, text="vexillology again")
    purged = device.purge(edited)
    store = new_store(device)
    store.log.append(purged)
    assert shown(store, MEMORY) == "FORGOTTEN"
    store.log.append_many([edited, saved])
    assert [record.body is None for record in store.records()] == [False, True, True]
    assert vector(store) == [head_of(purged)]
    assert shown(store, MEMORY) == "PURGED"
    assert found(store, "vexillology") == 0
    assert_sound(store)
    assert b"xillology" not in on_disk(store)


def on_disk(store: Store) -> bytes:
    path = store.database.path
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


@promise("purge-leaves-nothing")
def test_a_body_that_comes_back_after_its_purge_is_scrubbed_again(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("vexillology", memory=MEMORY)
    purged = device.purge(saved)
    store = new_store(device)
    store.log.append_many([saved, purged])
    store.database.truncate_wal()
    assert b"xillology" not in on_disk(store)
    assert store.log.append(saved) is Appended.DUPLICATE
    assert [record.body is None for record in store.records()] == [True, False]
    assert_sound(store)
    store.database.truncate_wal()
    assert b"xillology" not in on_disk(store)


def test_a_body_that_was_missing_is_taken_when_it_comes(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("here at last", memory=MEMORY)
    store = new_store(device)
    store.log.append(records.parse(saved.header, saved.signature, None))
    assert shown(store, MEMORY) == "UNKNOWN"
    assert [problem.what for problem in verify(store.database).problems] == [
        "its body is missing though no purge allows it"
    ]
    assert store.log.append(saved) is Appended.DUPLICATE
    assert shown(store, MEMORY) == "here at last"
    assert found(store, "last") == 1
    assert_sound(store)


def test_a_copy_without_its_body_takes_nothing_away(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("still here", memory=MEMORY)
    store = new_store(device)
    store.log.append(saved)
    assert store.log.append(records.parse(saved.header, saved.signature, None)) is Appended.DUPLICATE
    assert shown(store, MEMORY) == "still here"
    assert_sound(store)


# Strange but well signed ----------------------------------------------------------------------------------------------


@promise("newer-kept")
def test_kinds_and_bodies_of_a_later_version_are_kept_and_counted(new_store: NewStore) -> None:
    device = peer()
    store = new_store(device)
    strange = [
        device.write("star", MEMORY, body=b"\xc1 anything at all"),
        device.write("later", ""),
        device.write(Kind.SAVE, "1" * 12, body=msgspec.msgpack.encode([bytes(16), {"poem": "no text"}])),
        device.write(
            Kind.SAVE, "2" * 12, body=msgspec.msgpack.encode([bytes(16), {"text": "x", "importance": 2**64 - 1}])
        ),
        device.write(Kind.SAVE, "3" * 12, body=msgspec.msgpack.encode([bytes(16), {"text": "x", "expires": 2**63}])),
        device.write(
            Kind.SAVE, "4" * 12, content=Content(text="\0 \x1b[2J", tags=("",) * 100, supersedes=("junk", "\0"))
        ),
    ]
    store.log.append_many(strange)
    assert store.records() == strange
    assert vector(store) == [head_of(strange[-1])]
    assert [shown(store, memory) for memory in (MEMORY, "1" * 12, "2" * 12, "3" * 12)] == ["UNKNOWN"] * 4
    assert shown(store, "4" * 12) == "\0 \x1b[2J"
    assert_sound(store)
    rebuild(store)
    assert_sound(store)


# Mending --------------------------------------------------------------------------------------------------------------


@promise("damage-is-named")
@pytest.mark.parametrize(
    "damage",
    [
        "body = x'9200'",
        "header = x'80'",
        "header = zeroblob(length(header))",
        "signature = zeroblob(64)",
        "hash = zeroblob(32)",
        "memory = 'zzzzzzzzzzzz'",
        "body = CAST('text' AS BLOB), signature = x'00'",
    ],
)
@pytest.mark.parametrize("indexed_again", [False, True])
def test_a_good_copy_mends_a_damaged_record(new_store: NewStore, damage: str, indexed_again: bool) -> None:
    device = peer()
    saved = device.save("lighthouse", memory=MEMORY)
    edited = device.edit(saved, text="lighthouse at the cape")
    store = new_store(device)
    store.log.append_many([saved, edited])
    with store.database.write() as connection:
        connection.run(f"UPDATE record SET {damage} WHERE hash = ?", (edited.hash,))
        if indexed_again:
            Index().remove(connection, store_number(connection), [MEMORY])
            Index().add(connection, store_number(connection), [MEMORY])
    assert verify(store.database).problems != ()
    assert store.log.append(edited) is Appended.DUPLICATE
    assert store.records() == [saved, edited]
    assert shown(store, MEMORY) == "lighthouse at the cape"
    if indexed_again or damage.startswith("memory"):  # words of what could not be read stayed behind, and lead nowhere
        rebuild(store)
    assert_sound(store)
    assert found(store, "cape") == 1


def test_words_that_stayed_behind_when_a_record_was_damaged_lead_nowhere(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("lighthouse", memory=MEMORY)
    store = new_store(device)
    store.log.append(saved)
    with store.database.write() as connection:
        connection.run("UPDATE record SET body = x'9200' WHERE memory = ?", (MEMORY,))
        Index().add(connection, store_number(connection), [MEMORY])
    store.log.append(saved)
    edited = "SELECT count(*) FROM word JOIN memory ON memory.n = word.rowid WHERE word MATCH 'lighthouse'"
    assert store.database.rows(edited) == [(1,)]
    store.log.append(device.edit(saved, text="harbour"))
    assert store.database.rows(edited) == [(0,)]


def store_number(connection: Connection) -> int:
    return roster.space_named(connection, "team").n


def test_a_copy_whose_body_is_missing_mends_the_rest_and_takes_no_body_away(new_store: NewStore) -> None:
    device = peer()
    saved = device.save("lighthouse", memory=MEMORY)
    store = new_store(device)
    store.log.append(saved)
    with store.database.write() as connection:
        connection.run("UPDATE record SET signature = zeroblob(64) WHERE hash = ?", (saved.hash,))
    assert store.log.append(records.parse(saved.header, saved.signature, None)) is Appended.DUPLICATE
    assert store.records() == [saved]
    assert_sound(store)


def test_a_thousand_copies_fold_nothing_anew(new_store: NewStore) -> None:
    device = peer()
    store = new_store(device)
    store.log.append(device.save("once"))
    store.database.truncate_wal()
    store.log.append_many(device.log * 1_000)
    assert store.database.path.with_name(f"{store.database.path.name}-wal").stat().st_size < 512 * 1024


# The first sight of a forget ------------------------------------------------------------------------------------------


def test_when_a_forget_was_first_seen_is_kept_whatever_comes_later_and_through_a_rebuild(
    new_store: NewStore, clock: ManualClock
) -> None:
    device = peer(skew_ms=-400 * DAY_MS)
    saved = device.save("x", memory=MEMORY)
    forgotten = device.forget(saved)
    store = new_store(device)
    store.log.append_many([forgotten, saved])
    clock.advance(days=3)
    store.log.append(forgotten)
    store.log.append(device.copy(forgotten))
    rebuild(store)
    assert store.database.rows("SELECT record, wall FROM first_seen") == [(forgotten.id, NEW_YEAR_MS)]
    assert store.database.rows("SELECT seen FROM memory WHERE id = ?", (MEMORY,)) == [(NEW_YEAR_MS,)]
    store.log.append(device.restore(forgotten))
    assert store.database.rows("SELECT seen FROM memory WHERE id = ?", (MEMORY,)) == [(None,)]
    assert_sound(store)
