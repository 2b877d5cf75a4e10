"""The index is what the log says: rows, links and words follow every record, and a rebuild makes the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nokosu.fold import Status
from nokosu.records import Content, Kind, Record
from nokosu.store import rebuilding
from nokosu.store.index import Index
from nokosu.store.verify import verify
from nokosu.testing import Peer, SeededRandom, Store
from tests.promises import promise

ONE, OTHER = "1" * 12, "2" * 12


@pytest.fixture
def peer(store: Store) -> Peer:
    made = Peer(store.personal.id, random=SeededRandom(3), agent="codex", name="desktop")
    store.admit(made)
    return made


def assert_sound(store: Store) -> None:
    """The index is what the log says; that a log has gaps is no fault of the index."""
    assert [problem for problem in verify(store.database).problems if "missing" not in problem.what] == []


def row(store: Store, memory: str, columns: str) -> tuple[Any, ...] | None:
    return store.database.row(f"SELECT {columns} FROM memory WHERE id = ?", (memory,))


def found(store: Store, match: str) -> list[str]:
    rows = store.database.rows("SELECT id FROM memory WHERE n IN (SELECT rowid FROM word WHERE word MATCH ?)", (match,))
    return sorted(id for (id,) in rows)


def links(store: Store) -> list[tuple[str, str]]:
    return [(older, newer) for older, newer in store.database.rows("SELECT older, newer FROM edge ORDER BY 1, 2")]


def rebuild(store: Store) -> None:
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())


def everything(store: Store) -> list[list[tuple[Any, ...]]]:
    """The index without its own numbers, which a rebuild may give anew."""
    columns = "id, status, type, agent, importance, conflict, digest, created, updated, hlc, expires, forgotten"
    with store.database.write() as connection:
        connection.run("CREATE VIRTUAL TABLE IF NOT EXISTS temp.term USING fts5vocab('main', 'word', 'instance')")
        return [
            connection.rows(f"SELECT {columns} FROM memory ORDER BY id"),
            connection.rows("SELECT older, newer FROM edge ORDER BY 1, 2"),
            connection.rows("SELECT log, seq, hash FROM head ORDER BY 1, 2, 3"),
            connection.rows(
                "SELECT memory.id, term, col, offset FROM temp.term JOIN memory ON memory.n = term.doc "
                "WHERE col <> 'scope' ORDER BY 1, 2, 3, 4"
            ),
        ]


def test_a_row_tells_of_the_version_that_is_shown(store: Store, peer: Peer) -> None:
    saved = peer.save("first", memory=ONE, type="bug", importance=2, expires=99)
    store.log.append(saved)
    assert row(store, ONE, "status, type, agent, importance, conflict, expires, forgotten") == (
        0,
        "bug",
        "codex",
        2,
        0,
        99,
        None,
    )
    edited = peer.edit(saved, text="second", type="decision")
    store.log.append(edited)
    assert row(store, ONE, "type, importance, hlc, expires") == ("decision", None, edited.core.hlc, None)
    assert row(store, ONE, "created, updated") == (saved.core.wall, edited.core.wall)
    assert_sound(store)


def test_words_come_and_go_with_their_version(store: Store, peer: Peer) -> None:
    saved = peer.save("aardvark", memory=ONE, subject="badger", tags=("civet",), refs=("dingo/x",))
    store.log.append(saved)
    for word in ("subject : badger", "body : aardvark", "tags : civet", "dingo"):
        assert found(store, word) == [ONE]
    edited = peer.edit(saved, text="echidna")
    store.log.append(edited)
    assert [found(store, word) for word in ("aardvark", "badger", "civet", "dingo")] == [[], [], [], []]
    assert found(store, "echidna") == [ONE]
    store.log.append(peer.purge(edited))
    assert found(store, "echidna") == []
    assert_sound(store)


def test_a_memory_whose_row_was_lost_is_folded_from_all_its_records(store: Store, peer: Peer) -> None:
    store.log.append(peer.save("aardvark", memory=ONE))
    space = store.personal.n
    with store.database.write() as connection:
        Index().remove(connection, space, [ONE])
        connection.run("DELETE FROM memory WHERE id = ?", (ONE,))
    store.log.append(peer.save("badger", memory=ONE))
    assert (found(store, "aardvark"), found(store, "badger")) == ([ONE], [ONE])
    assert_sound(store)


def test_two_saves_of_one_memory_that_come_together_are_both_found(store: Store, peer: Peer) -> None:
    store.log.append_many([peer.save("aardvark", memory=ONE), peer.save("badger", memory=ONE)])
    assert (found(store, "aardvark"), found(store, "badger"), row(store, ONE, "conflict")) == ([ONE], [ONE], (1,))
    assert_sound(store)


def test_all_versions_of_a_conflict_are_found(store: Store, peer: Peer) -> None:
    saved = peer.save("aardvark", memory=ONE)
    store.log.append_many([saved, peer.edit(saved, text="badger"), peer.edit(saved, text="civet")])
    assert (found(store, "badger"), found(store, "civet"), found(store, "aardvark")) == ([ONE], [ONE], [])
    assert row(store, ONE, "conflict") == (1,)
    assert_sound(store)


def test_links_follow_what_is_shown_and_may_point_at_nothing_yet(store: Store, peer: Peer) -> None:
    saved = peer.save("newer", memory=ONE, supersedes=(OTHER,))
    store.log.append(saved)
    assert links(store) == [(OTHER, ONE)]
    edited = peer.edit(saved, text="newer", supersedes=("3" * 12,))
    store.log.append(edited)
    assert links(store) == [("3" * 12, ONE)]
    store.log.append(peer.purge(edited))
    assert links(store) == []
    assert_sound(store)


def test_filters_are_tokens_that_no_word_can_be_mistaken_for(store: Store, peer: Peer) -> None:
    store.log.append(peer.save("a note of type bug by codex", memory=ONE, type="decision", tags=("x",)))
    rows = store.database.rows("SELECT n FROM memory")
    with store.database.write() as connection:
        connection.run("CREATE VIRTUAL TABLE temp.term USING fts5vocab('main', 'word', 'instance')")
        tokens = [term for (term,) in connection.rows("SELECT term FROM temp.term WHERE col = 'scope'")]
    assert len(rows) == 1
    assert len(tokens) == 5  # space, type, device, agent, tag
    assert all(len(token) == 19 and token.isdecimal() for token in tokens)


@pytest.mark.parametrize("status", list(Status)[:4])
def test_a_memory_of_each_status_can_be_rebuilt(store: Store, peer: Peer, status: Status) -> None:
    saved = peer.save("text", memory=ONE)
    records: dict[Status, list[Record]] = {
        Status.LIVE: [saved],
        Status.FORGOTTEN: [saved, peer.forget(saved)],
        Status.PURGED: [saved, peer.purge(saved)],
        Status.UNKNOWN: [peer.write("star", ONE)],
    }
    store.log.append_many(records[status])
    assert row(store, ONE, "status") == (status,)
    before = everything(store)
    rebuild(store)
    assert everything(store) == before
    assert_sound(store)


def test_a_forget_alone_has_no_words_until_its_save_comes(store: Store, peer: Peer) -> None:
    saved = peer.save("aardvark", memory=ONE)
    store.log.append(peer.forget(saved))
    assert row(store, ONE, "status, record") == (Status.FORGOTTEN, None)
    assert_sound(store)
    store.log.append(saved)
    assert found(store, "aardvark") == [ONE]
    assert_sound(store)


@promise("search-is-the-log")
@pytest.mark.parametrize("seed", range(6))
def test_the_index_follows_any_stream_of_records_and_a_rebuild_makes_the_same(store: Store, seed: int) -> None:
    choice = random.Random(seed)
    peers = [Peer(store.personal.id, random=SeededRandom(90 + number), name=f"p{number}") for number in range(3)]
    store.admit(*peers)
    memories = [f"{number:012}" for number in range(8)]
    made: list[Record] = []
    for number in range(120):
        writer, memory = choice.choice(peers), choice.choice(memories)
        kind = choice.choice(
            ["save", "edit", "edit", "edit", "forget", "restore", "star", "purge" if number % 10 == 0 else "edit"]
        )
        known = [record for record in made if record.core.memory == memory]
        content = Content(
            text=" ".join(choice.choices(["lamp", "port", "東京", "getUser", "v1.2.3", "🚀"], k=3)),
            tags=tuple(choice.sample("xyz", choice.randrange(3))),
            supersedes=tuple(choice.sample(memories, choice.randrange(2))),
        )
        made.append(
            writer.write(
                kind,
                memory,
                content=content if kind in (Kind.SAVE, Kind.EDIT) else None,
                after=choice.sample(known, min(len(known), choice.randrange(3))),
                projects=tuple(sorted(choice.sample([b"p" * 16, b"q" * 16, b"r" * 16], choice.randrange(3)))),
            )
        )
    choice.shuffle(made)
    for start in range(0, len(made), 30):
        store.log.append_many(made[start : start + 30])
        assert_sound(store)
    before = everything(store)
    assert_sound(store)
    rebuild(store)
    assert everything(store) == before
    assert_sound(store)
