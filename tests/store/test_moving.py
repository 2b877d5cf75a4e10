"""A personal space that joins another moves into it, memory by memory, and whoever is killed in between loses nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nokosu.config import DATABASE_NAME, Config
from nokosu.drafts import Change, Draft, Filters, Query
from nokosu.errors import Refused
from nokosu.nokosu import Nokosu
from nokosu.records import Record
from nokosu.store import membership, moving, roster
from nokosu.store.roster import Space
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, Peer, SeededRandom, Store


@pytest.fixture
def store(config: Config, clock: ManualClock) -> Iterator[Store]:
    """The store below `memory`."""
    config.home.mkdir(mode=0o700)
    with Store(config.home / DATABASE_NAME, wall_clock=clock, random=SeededRandom(1)) as opened:
        yield opened


def join(store: Store) -> tuple[Space, Space]:
    """Enter another's personal space, as pairing does, and begin to move there; the old space and the new one."""
    other = Peer(b"personal of peer", random=SeededRandom(40), name="desktop")
    with store.database.write() as connection:
        old = roster.space_named(connection, roster.PERSONAL)
        own = (roster.own_public_key(connection), b"b" * 32, "laptop")
        new = membership.enter(
            store.log,
            connection,
            id=other.space,
            name="personal",
            founder=other.key.public,
            secrets=[roster.Secret(b"k" * 8, 0, bytes(32))],
            records=[other.admit(*own)],
        )
        moving.begin_move(connection, old, new)
    return old, new


def begin(store: Store, target: str) -> None:
    source, into = store.personal, store.space(target)
    with store.database.write() as connection:
        moving.begin_move(connection, source, into)


def move_all(store: Store) -> int:
    moved = 0
    while step := moving.move_some(store.database, store.log, most=3):
        moved += step
    return moved


def spaces(store: Store) -> list[str]:
    with store.database.reading() as connection:
        return [space.name for space in roster.spaces(connection)]


def of(memory: Nokosu) -> dict[str, tuple[Any, ...]]:
    """What a person sees of every memory."""
    return {one.id: (one.text, one.status, one.created, one.updated, one.supersedes) for one in memory.memories()}


def saved(memory: Nokosu, clock: ManualClock) -> list[str]:
    """Memories of each status, edited, superseding one another."""
    ids = [memory.save(Draft(text=f"note {number}", project="app")).id for number in range(8)]
    clock.advance(ms=5)
    memory.edit(ids[1], Change(text="edited note"))
    memory.forget(ids[2])
    memory.restore(memory.forget(ids[3]).id)
    memory.purge(ids[4])
    memory.save(Draft(text="newer", supersedes=(ids[5],)))
    return ids


def ids_of(found: list[Record]) -> set[bytes]:
    return {record.id for record in found}


def assert_sound(store: Store) -> None:
    assert verify(store.database).problems == ()


def test_everything_moves_with_its_record_ids_and_the_old_space_is_gone(
    store: Store, memory: Nokosu, clock: ManualClock
) -> None:
    saved(memory, clock)
    before, records = of(memory), ids_of(store.records())
    old, new = join(store)
    assert spaces(store) == ["personal (moving)", "local", "personal"]
    assert move_all(store) == 9
    assert of(memory) == before
    assert ids_of(store.records()) == records
    assert {record.place.space for record in store.records(with_roster=True)} == {new.id}
    assert spaces(store) == ["local", "personal"]
    assert store.database.rows("SELECT count(*) FROM log WHERE space = ?", (old.n,)) == [(0,)]
    assert moving.move_some(store.database, store.log) == 0
    assert_sound(store)
    assert memory.save(Draft(text="after")).space == "personal"
    memory.rebuild()
    assert_sound(store)


def test_killed_after_any_transaction_it_goes_on_and_nothing_is_lost_or_there_twice(
    store: Store, memory: Nokosu, clock: ManualClock
) -> None:
    saved(memory, clock)

    def find() -> list[str]:
        return sorted(hit.id for hit in memory.search(Query(text="note", include_forgotten=True, limit=50)).hits)

    before, records, found = of(memory), ids_of(store.records()), find()
    join(store)
    for _ in range(30):
        store.database.close()  # and opened again: whoever comes next knows only what is on the disk
        assert of(memory) == before
        assert find() == found
        assert ids_of(store.records()) == records
        assert len(store.records()) == len(records)
        assert_sound(store)
        if not moving.move_some(store.database, store.log, most=1):
            break
    assert spaces(store) == ["local", "personal"]


def test_killed_within_a_transaction_nothing_of_it_has_happened(
    store: Store, memory: Nokosu, clock: ManualClock
) -> None:
    saved(memory, clock)
    old, new = join(store)
    before = [record.hash for record in store.records()]

    class Killed(BaseException):
        pass

    def carry_and_die() -> None:
        with store.database.write() as connection:
            (first, *_) = (id for (id,) in connection.rows("SELECT id FROM memory WHERE space = ?", (old.n,)))
            store.log.carry(connection, old, new, first)
            raise Killed

    with pytest.raises(Killed):
        carry_and_die()
    assert [record.hash for record in store.records()] == before
    assert_sound(store)


def test_what_is_saved_meanwhile_goes_to_the_new_space(store: Store, memory: Nokosu) -> None:
    first = memory.save(Draft(text="before")).id
    _, new = join(store)
    assert memory.save(Draft(text="meanwhile")).space == "personal"
    assert {record.place.space for record in store.records()[-1:]} == {new.id}
    assert memory.save(Draft(text="before")).id == first, "the same text is there already, though it has not moved yet"
    move_all(store)
    assert len(of(memory)) == 2
    assert_sound(store)


@pytest.mark.parametrize("act", ["edit", "forget", "purge", "restore"])
def test_what_has_not_moved_yet_can_be_changed_and_moves_first(store: Store, memory: Nokosu, act: str) -> None:
    ids = [memory.save(Draft(text=f"note {number}")).id for number in range(3)]
    if act == "restore":
        memory.forget(ids[2])
    _, new = join(store)
    acts = {
        "edit": lambda: memory.edit(ids[2], Change(text="changed")),
        "forget": lambda: memory.forget(ids[2]),
        "purge": lambda: memory.purge(ids[2]),
        "restore": lambda: memory.restore(ids[2]),
    }
    acts[act]()
    assert {record.place.space for record in store.records() if record.core.memory == ids[2]} == {new.id}
    found = memory.get(ids[2], history=True)
    assert (found.space, found.history[-1].kind) == ("personal", act)
    assert_sound(store)
    assert move_all(store) == 2
    assert_sound(store)


def test_memories_kept_apart_move_into_local(store: Store, memory: Nokosu) -> None:
    id = memory.save(Draft(text="for this machine alone")).id
    other = Peer(b"personal of peer", random=SeededRandom(40), name="desktop")
    with store.database.write() as connection:
        old = moving.step_aside(connection, roster.space_named(connection, roster.PERSONAL))
        own = (roster.own_public_key(connection), b"b" * 32, "laptop")
        membership.enter(
            store.log,
            connection,
            id=other.space,
            name="personal",
            founder=other.key.public,
            secrets=[roster.Secret(b"k" * 8, 0, bytes(32))],
            records=[other.admit(*own)],
        )
        moving.begin_move(connection, old, roster.space_named(connection, roster.LOCAL))
    assert memory.save(Draft(text="shared")).space == "personal"
    move_all(store)
    assert memory.get(id).space == "local"
    assert spaces(store) == ["local", "personal"]
    assert_sound(store)


def test_a_damaged_memory_stays_where_it_is_and_moves_when_it_is_mended(store: Store, memory: Nokosu) -> None:
    ids = [memory.save(Draft(text=f"note {number}")).id for number in range(4)]
    good = next(record for record in store.records() if record.core.memory == ids[0])
    with store.database.write() as connection:
        connection.run("UPDATE record SET body = x'9200' WHERE memory = ?", (ids[0],))
    join(store)
    assert move_all(store) == 3
    assert spaces(store) == ["personal (moving)", "local", "personal"]
    assert ids[0] in {problem.memory for problem in verify(store.database).problems}
    store.log.append(good)
    assert move_all(store) == 1
    assert spaces(store) == ["local", "personal"]
    assert memory.get(ids[0]).text == "note 0"
    memory.rebuild()
    assert_sound(store)


def test_a_restored_backup_that_joins_again_has_each_record_once(
    store: Store, memory: Nokosu, clock: ManualClock, tmp_path: Path
) -> None:
    id = memory.save(Draft(text="once")).id
    memory.forget(id)
    backup = tmp_path / DATABASE_NAME
    store.database.copy_to(backup)
    join(store)
    move_all(store)
    with Store(backup, wall_clock=clock, random=SeededRandom(77)) as restored:
        join(restored)
        restored.log.append_many(store.records(with_roster=True), refused=lambda *_: None)
        move_all(restored)
        found = [record.id for record in restored.records()]
        assert (len(found), len(set(found))) == (2, 2)
        assert_sound(restored)


def test_only_a_space_of_this_device_alone_moves_and_only_once(store: Store) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    with pytest.raises(Refused, match="cannot move"):
        begin(store, "personal")
    with store.database.write() as connection, pytest.raises(Refused, match="cannot move"):
        moving.begin_move(
            connection, roster.space_named(connection, "local"), roster.space_named(connection, "personal")
        )
    store.admit(peer)
    with pytest.raises(Refused, match="others are in it"):
        begin(store, "local")


def test_a_space_does_not_move_twice(store: Store) -> None:
    old, new = join(store)
    with store.database.write() as connection, pytest.raises(Refused, match="already"):
        moving.begin_move(connection, old, new)


def test_any_mixture_of_acts_while_it_moves_ends_as_if_it_had_never_moved(
    store: Store, memory: Nokosu, clock: ManualClock, tmp_path: Path
) -> None:
    stays = Nokosu(Config(home=tmp_path / "other", user_home=tmp_path, author=memory.config.author), wall_clock=clock)
    choice = random.Random(6)
    pairs = [(memory.save(Draft(text=f"n{n}")).id, stays.save(Draft(text=f"n{n}")).id) for n in range(20)]
    join(store)
    for number in range(60):
        clock.advance(ms=7)
        here, there = choice.choice(pairs)
        act = choice.choice(("edit", "forget", "restore", "save", "move", "purge"))
        for one, id in ((memory, here), (stays, there)):
            try:
                if act == "edit":
                    one.edit(id, Change(text=f"edited {number}"))
                elif act == "save":
                    one.save(Draft(text=f"new {number}"))
                elif act == "purge" and number % 7 == 0:
                    one.purge(id)
                elif act in ("forget", "restore"):
                    getattr(one, act)(id)
            except Refused:
                pass
        if act == "move":
            moving.move_some(store.database, store.log, most=2)
    move_all(store)
    shown = [sorted(hit.text for hit in one.list(Filters(limit=100)).hits) for one in (memory, stays)]
    assert shown[0] == shown[1]
    assert_sound(store)
    stays.close()
