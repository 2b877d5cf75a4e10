"""Which records count follows the roster, in the same transaction, in whatever order records and roster arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nokosu.errors import RecordRefused
from nokosu.identity.secrets import key_id
from nokosu.records import Kind, Record, read_content
from nokosu.store import rebuilding, roster
from nokosu.store.index import Index
from nokosu.store.log import Appended
from nokosu.store.roster import Secret
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, Peer, SeededRandom, Store

TEAM = b"team".ljust(16)
MEMORIES = tuple(f"{n}" * 12 for n in range(4))

NewStore = Callable[..., Store]


@pytest.fixture
def new_store(quick_path: Path, clock: ManualClock) -> Iterator[NewStore]:
    """Makes a store of its own that knows of the space that *founder* made: `new_store(founder)`."""
    opened: list[Store] = []

    def make(founder: Peer, settled_at_once: int = 1_000) -> Store:
        number = len(opened)
        path = quick_path / f"{number}.db"
        path.unlink(missing_ok=True)
        store = Store(path, wall_clock=clock, random=SeededRandom(number), settled_at_once=settled_at_once)
        opened.append(store)
        secret = bytes(32)
        with store.database.write() as connection:
            roster.add_space(connection, TEAM, "team", founder.key.public, Secret(key_id(secret), 0, secret))
        return store

    yield make
    for one in opened:
        one.close()


def peer(seed: int) -> Peer:
    return Peer(TEAM, random=SeededRandom(100 + seed), name=f"peer {seed}")


def admit(by: Peer, *whom: Peer) -> list[Record]:
    return [by.admit(one.key.public, one.box_key, one.name) for one in whom]


def append(store: Store, batch: Iterable[Record]) -> None:
    """Append as an exchange does: what the door refuses is offered again once somebody was admitted."""
    waiting, before = list(batch), 0
    while len(waiting) != before:
        outcomes = store.log.append_many(waiting, refused=lambda *_: None)
        before = len(waiting)
        waiting = [one for one, outcome in zip(waiting, outcomes, strict=True) if outcome is Appended.REFUSED]


def texts(store: Store) -> set[str]:
    """The texts that the living memories show, by way of their words."""
    found = set()
    with store.database.reading() as connection:
        for n, body in connection.rows(
            "SELECT memory.n, record.body FROM memory JOIN record ON record.n = memory.record WHERE status = 0"
        ):
            assert connection.row("SELECT 1 FROM word WHERE rowid = ?", (n,)) == (1,)
            content = read_content(body).text
            assert connection.rows("SELECT rowid FROM word WHERE word MATCH ? AND rowid = ?", (f'"{content}"', n))
            found.add(content)
    return found


def find(store: Store, word: str) -> int:
    return len(store.database.rows("SELECT rowid FROM word WHERE word MATCH ?", (f'"{word}"',)))


def members(store: Store) -> set[tuple[bytes, bool]]:
    with store.database.reading() as connection:
        return {
            (one.device.id, one.revoked) for one in roster.members(connection, roster.space_named(connection, "team"))
        }


def seen(store: Store) -> list[object]:
    """Everything that is to be the same wherever the same records are."""
    columns = "id, status, type, agent, importance, conflict, digest, created, updated, hlc, expires, forgotten"
    return [
        members(store),
        store.database.rows(
            "SELECT device.id, member.name, member.box_key, admitted FROM member JOIN device ON device.n = member.device "
            "JOIN space ON space.n = member.space WHERE space.name = 'team' ORDER BY 1"
        ),
        store.database.rows("SELECT hash, cut, linked FROM record ORDER BY hash"),
        store.database.rows(f"SELECT {columns} FROM memory ORDER BY id"),
        store.database.rows("SELECT older, newer FROM edge ORDER BY 1, 2"),
        sorted(texts(store)),
    ]


def rebuild(store: Store) -> None:
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())


# The door -------------------------------------------------------------------------------------------------------------


def test_only_devices_that_were_ever_admitted_to_the_space_pass_the_door(new_store: NewStore) -> None:
    founder, second, stranger = map(peer, range(3))
    store = new_store(founder)
    saved = second.save("hello")
    with pytest.raises(RecordRefused, match=r"^device: "):
        store.log.append(saved)
    store.log.append_many([*admit(founder, second), saved])
    with pytest.raises(RecordRefused) as refused:
        store.log.append(stranger.save("hello"))
    assert refused.value.field == "device"
    assert find(store, "hello") == 1


def test_a_device_of_one_space_does_not_pass_the_door_of_another(new_store: NewStore) -> None:
    founder, second = map(peer, range(2))
    store = new_store(founder)
    append(store, admit(founder, second))
    elsewhere = Peer(store.personal.id, random=SeededRandom(5))
    elsewhere.key, elsewhere.device = second.key, second.device
    with pytest.raises(RecordRefused, match=r"^device: "):
        store.log.append(elsewhere.save("hello"))


def test_whoever_may_not_enter_is_told_and_the_others_enter(new_store: NewStore) -> None:
    founder, second, stranger = map(peer, range(3))
    store = new_store(founder)
    good, bad = second.save("good"), stranger.save("bad")
    forged = second.save("forged")
    forged = Record(forged.header, bytes(64), forged.body, forged.id, forged.hash, forged.core, forged.place)
    told: list[tuple[Record, str]] = []
    batch = [bad, *admit(founder, second), good, bad, forged, good]
    outcomes = store.log.append_many(batch, refused=lambda record, error: told.append((record, error.field)))
    assert outcomes == [
        Appended.REFUSED, Appended.NEW, Appended.NEW, Appended.REFUSED, Appended.REFUSED, Appended.DUPLICATE,
    ]  # fmt: skip
    assert told == [(bad, "device"), (bad, "device"), (forged, "signature")]


def test_the_signature_of_a_device_admitted_in_the_same_batch_is_looked_at_too(new_store: NewStore) -> None:
    founder, second = map(peer, range(2))
    store = new_store(founder)
    forged = second.save("forged")
    forged = Record(forged.header, bytes(64), forged.body, forged.id, forged.hash, forged.core, forged.place)
    with pytest.raises(RecordRefused, match=r"^signature: "):
        store.log.append_many([*admit(founder, second), forged])


# A revoked device -----------------------------------------------------------------------------------------------------


def test_what_a_revoked_device_wrote_after_its_cut_counts_nowhere_and_what_it_wrote_before_stays(
    new_store: NewStore,
) -> None:
    founder, gone = map(peer, range(2))
    roster_records = admit(founder, gone)
    before = gone.save("before", memory=MEMORIES[0])
    revoked = founder.revoke(gone.device, before)
    after = [
        gone.edit(before, text="afterwards"),
        gone.save("later", memory=MEMORIES[1]),
        gone.forget(before),
        gone.purge(before),
        gone.save("project", memory=MEMORIES[2], projects=(b"p" * 16,), project="spam"),
    ]
    for order in ([*roster_records, before, revoked, *after], [*roster_records, revoked, before, *after]):
        store = new_store(founder)
        append(store, order)
        assert texts(store) == {"before"}
        assert (find(store, "afterwards"), find(store, "later")) == (0, 0)
        assert store.database.rows("SELECT count(*) FROM project") == [(0,)]
        assert len(store.records()) == 6, "the logs are equal wherever they are"
        assert verify(store.database).problems == ()
    store = new_store(founder)
    append(store, [*roster_records, before, *after[:3]])
    assert (texts(store), find(store, "later")) == ({"later"}, 1)
    append(store, [revoked])
    assert (texts(store), find(store, "later")) == ({"before"}, 0)
    assert verify(store.database).problems == ()


def test_late_records_of_a_revoked_device_count_once_they_are_chained_to_its_cut(new_store: NewStore) -> None:
    founder, gone = map(peer, range(2))
    store = new_store(founder)
    made = [gone.save(f"text{n}", memory=MEMORIES[n]) for n in range(4)]
    append(store, [*admit(founder, gone), founder.revoke(gone.device, made[2])])
    append(store, [made[0]])
    assert texts(store) == set()
    append(store, [made[2]])
    assert texts(store) == {"text2"}
    append(store, [made[3], made[1]])
    assert texts(store) == {"text0", "text1", "text2"}
    assert verify(store.database).problems == ()


def test_a_thiefs_branch_below_its_cut_does_not_count(new_store: NewStore) -> None:
    founder, gone = map(peer, range(2))
    store = new_store(founder)
    first = gone.save("first", memory=MEMORIES[0])
    thief = gone.clone()
    second = gone.save("second", memory=MEMORIES[1])
    backdated = thief.write(Kind.PURGE, MEMORIES[0], after=[first], hlc=1, wall=1)
    append(store, [*admit(founder, gone), first, second, founder.revoke(gone.device, second)])
    assert store.log.append(backdated) is Appended.BRANCH
    assert texts(store) == {"first", "second"}
    assert verify(store.database).problems == ()


@pytest.mark.parametrize("thief_first", [False, True])
def test_below_the_cut_only_the_branch_that_leads_to_it_counts(new_store: NewStore, thief_first: bool) -> None:
    founder, gone = map(peer, range(2))
    store = new_store(founder)
    first = gone.save("first", memory=MEMORIES[0])
    thief = gone.clone()
    ours = [gone.save("ours", memory=MEMORIES[1]), gone.save("last", memory=MEMORIES[2])]
    theirs = [thief.save("theirs", memory=MEMORIES[3]), thief.forget(first)]
    append(store, [*admit(founder, gone), first, *(theirs + ours if thief_first else ours + theirs)])
    append(store, [founder.revoke(gone.device, ours[-1])])
    assert texts(store) == {"first", "ours", "last"}
    assert verify(store.database).problems == ()


def test_a_thiefs_admit_beyond_its_cut_lets_nobody_count(new_store: NewStore) -> None:
    founder, thief, friend = map(peer, range(3))
    store = new_store(founder)
    append(store, admit(founder, thief))
    append(store, admit(thief, friend))
    saved = friend.save("from a friend of the thief")
    append(store, [saved])
    assert len(texts(store)) == 1
    append(store, [founder.revoke(thief.device)])
    assert texts(store) == set()
    assert members(store) == {(founder.device, False), (thief.device, True), (friend.device, True)}
    assert verify(store.database).problems == ()


def test_a_change_of_the_roster_that_touches_much_is_carried_out_bit_by_bit(new_store: NewStore) -> None:
    founder, gone = map(peer, range(2))
    store = new_store(founder, settled_at_once=3)
    made = [gone.save(f"text{n}") for n in range(20)]
    append(store, [*admit(founder, gone), *made])
    append(store, [founder.revoke(gone.device, made[4])])
    assert texts(store) == {f"text{n}" for n in range(5)}
    assert store.database.rows("SELECT count(*) FROM space WHERE unsettled") == [(0,)]
    assert verify(store.database).problems == ()


def test_whoever_comes_next_goes_on_with_a_change_that_was_left_half_way(new_store: NewStore) -> None:
    founder, gone, other = map(peer, range(3))
    store = new_store(founder, settled_at_once=3)
    made = [gone.save(f"text{n}") for n in range(20)]
    append(store, [*admit(founder, gone, other), *made])
    revoked = founder.revoke(gone.device)

    class Killed(Exception):
        pass

    def settle() -> None:
        raise Killed

    store.log.settle = settle  # type: ignore[method-assign] # the process is killed after the first transaction
    with pytest.raises(Killed):
        store.log.append(revoked)
    assert len(texts(store)) == 17
    assert verify(store.database).problems == (), "what is on its way is no damage"
    del store.log.settle
    append(store, [other.save("afterwards")])
    assert texts(store) == {"afterwards"}
    assert verify(store.database).problems == ()


# Damage ---------------------------------------------------------------------------------------------------------------


def test_a_damaged_record_of_the_roster_throws_nobody_out_and_is_mended_by_a_good_copy(new_store: NewStore) -> None:
    founder, second, third = map(peer, range(3))
    store = new_store(founder)
    (admitted, other) = admit(founder, second, third)
    append(store, [admitted, second.save("still here")])
    with store.database.write() as connection:
        connection.run("UPDATE record SET body = x'9200' WHERE hash = ?", (admitted.hash,))
    append(store, [other, third.save("not yet")])
    assert texts(store) == {"still here"}
    assert any("roster is damaged" in problem.what for problem in verify(store.database).problems)
    rebuild(store)
    assert texts(store) == {"still here"}
    assert store.log.append(admitted) is Appended.DUPLICATE
    append(store, [third.log[0]])
    assert texts(store) == {"still here", "not yet"}
    assert verify(store.database).problems == ()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE member SET revoked = 1 WHERE device = (SELECT n FROM device WHERE name = 'peer 1')",
        "UPDATE member SET box_key = x'00' WHERE device = (SELECT n FROM device WHERE name = 'peer 1')",
        "DELETE FROM member WHERE device = (SELECT n FROM device WHERE name = 'peer 1')",
        "UPDATE record SET cut = 1 WHERE memory <> ''",
        "UPDATE record SET cut = 0",
    ],
)
def test_a_projection_of_the_roster_that_is_not_as_the_log_says_is_named_and_mended_by_a_rebuild(
    new_store: NewStore, damage: str
) -> None:
    founder, second, gone = map(peer, range(3))
    store = new_store(founder)
    append(store, [*admit(founder, second, gone), second.save("a"), gone.save("b"), founder.revoke(gone.device)])
    assert verify(store.database).problems == ()
    with store.database.write() as connection:
        connection.run(damage)
    assert any(problem.where == "space team" for problem in verify(store.database).problems)
    rebuild(store)
    assert verify(store.database).problems == ()
    assert texts(store) == {"a"}


# The law --------------------------------------------------------------------------------------------------------------


@st.composite
def meshes(draw: st.DrawFn) -> tuple[Peer, list[Record]]:
    """Devices that admit and revoke one another and write in the same memories, one of them perhaps a clone."""
    peers = [peer(seed) for seed in range(4)]
    writers, made = list(peers), admit(peers[0], peers[1])
    for number in range(draw(st.integers(1, 18))):
        writer, whom = draw(st.sampled_from(writers)), draw(st.sampled_from(peers))
        match draw(st.sampled_from(("admit", "admit", "revoke", "write", "write", "write", "write", "clone"))):
            case "admit":
                made += admit(writer, whom)
            case "revoke":
                known = [record for record in made if record.core.device == whom.device]
                ends = draw(st.lists(st.sampled_from(known), max_size=2)) if known else []
                made.append(writer.revoke(whom.device, *ends))
            case "clone":
                if len(writers) < 6:
                    writers.append(writer.clone())
            case _:
                made.append(written(draw, writer, made, number))
    return peers[0], made


def written(draw: st.DrawFn, writer: Peer, made: list[Record], number: int) -> Record:
    memory = draw(st.sampled_from(MEMORIES))
    known = [record for record in made if record.core.memory == memory]
    after = draw(st.lists(st.sampled_from(known), max_size=3, unique_by=lambda record: record.id)) if known else []
    if not known:
        return writer.save(f"text{number}", memory=memory, supersedes=(draw(st.sampled_from(MEMORIES)),))
    kind = draw(st.sampled_from(("edit", "edit", "forget", "restore")))
    if kind == "edit":
        return writer.edit(*(after or known[:1]), text=f"text{number}")
    return writer.write(kind, memory, after=after)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(meshes(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_stores_with_the_same_records_agree_in_members_cuts_memories_and_words(
    new_store: NewStore, mesh: tuple[Peer, list[Record]], choice: random.Random, settled_at_once: int
) -> None:
    founder, made = mesh
    stores = [new_store(founder, settled_at_once) for _ in range(3)]
    for store in stores:
        arriving = made * 2
        choice.shuffle(arriving)
        while arriving:
            size = choice.randint(1, len(arriving))
            append(store, arriving[:size])
            arriving = arriving[size:]
        append(store, made)
    expected = seen(stores[0])
    for store in stores:
        assert verify(store.database).problems == ()
        assert seen(store) == expected
    rebuild(stores[0])
    assert seen(stores[0]) == expected
    assert verify(stores[0].database).problems == ()
