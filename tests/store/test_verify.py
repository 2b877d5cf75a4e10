"""Proof that the store is what was written: each kind of damage is found and named, and a sound store is called sound."""

from __future__ import annotations

import pytest

from nokosu.memory import Problem
from nokosu.records import Kind
from nokosu.store import rebuilding
from nokosu.store.index import Index
from nokosu.store.verify import verify
from nokosu.testing import Peer, SeededRandom, Store
from tests.promises import promise

APP, WEB = b"app".ljust(16), b"web".ljust(16)


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a log and a branch of it, each kind of record, links, projects, and a memory of each status."""
    peer = Peer(store.personal.id, random=SeededRandom(3), agent="codex")
    store.admit(peer)
    first = peer.save("alpha lamp", memory="a" * 12, projects=(APP,), project="app", tags=("t",), importance=3)
    clone = peer.clone()
    second = peer.save("beta lamp", memory="b" * 12, projects=(WEB,), project="web", supersedes=("a" * 12,))
    third = peer.save("gamma", memory="c" * 12, expires=5)
    peer.edit(first, text="alpha light", projects=(APP,), project="app")
    clone.edit(first, text="alpha candle", projects=(APP,), project="app")
    peer.forget(third)
    peer.purge(peer.save("delta", memory="d" * 12))
    peer.write("star", "e" * 12)
    peer.write(Kind.SAVE, "f" * 12, body=b"no body that we can read")
    peer.restore(peer.forget(second))
    store.log.append_many([*peer.log, *clone.log])
    return store


def found_in(store: Store) -> list[Problem]:
    return list(verify(store.database).problems)


def change(store: Store, sql: str) -> None:
    with store.database.write() as connection:
        connection.run(sql)


def rebuild(store: Store) -> None:
    with store.database.write() as connection:
        rebuilding.rebuild(connection, Index())


def test_a_sound_store_is_called_sound_and_counted(filled: Store) -> None:
    result = verify(filled.database)
    assert result.problems == ()
    assert (result.logs, result.records, result.memories, result.waiting) == (2, 14, 6, 0)


def test_an_empty_store_is_sound(store: Store) -> None:
    assert verify(store.database).problems == ()


@promise("damage-is-named")
@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE record SET body = x'00' WHERE log = 2 AND seq = 1", "its body is not what was written"),
        ("UPDATE record SET body = NULL WHERE log = 2 AND seq = 1", "its body is missing though no purge allows it"),
        ("UPDATE record SET header = x'00' WHERE log = 2 AND seq = 1", "cannot be read (header: not a record"),
        (
            "UPDATE record SET header = (SELECT header FROM record WHERE log = 2 AND seq = 3) WHERE log = 2 AND seq = 1",
            "its header is not what was written",
        ),
        ("UPDATE record SET signature = zeroblob(64) WHERE log = 2 AND seq = 1", "its signature is not its device's"),
        ("UPDATE record SET hash = zeroblob(32) WHERE log = 2 AND seq = 1", "its header is not what was written"),
        ("UPDATE record SET memory = 'zzzzzzzzzzzz' WHERE log = 2 AND seq = 1", "its header is not what was written"),
        ("UPDATE record SET seq = 100 WHERE log = 2 AND seq = 4", "its header is not what was written"),
        ("UPDATE record SET seq = 3 WHERE log = 2 AND seq = 4", "its header is not what was written"),
        ("DELETE FROM record WHERE log = 1 AND seq = 1", "records 1 to 1 are missing"),
        ("UPDATE device SET public_key = zeroblob(32) WHERE name = 'peer'", "its signature is not its device's"),
        ("UPDATE record SET linked = 0 WHERE log = 2 AND seq = 4", "linked, or not, otherwise than its chain says"),
        ("DELETE FROM head WHERE log = 2 AND seq = 2", "the end at record 2 is not among its heads"),
        ("DELETE FROM head WHERE log = 2 AND seq > 2", "the end at record 11 is not among its heads"),
        ("INSERT INTO head VALUES (2, 3, zeroblob(32))", "record 3 is among its heads and is no end"),
        ("UPDATE head SET hash = zeroblob(32) WHERE log = 2 AND seq = 2", "the end at record 2 is not among its heads"),
    ],
)
def test_damage_in_the_log_is_named(filled: Store, sql: str, what: str) -> None:
    change(filled, sql)
    assert any(problem.what.startswith(what) for problem in found_in(filled)), found_in(filled)


@promise("damage-is-named")
@pytest.mark.parametrize(
    ("sql", "memory", "what"),
    [
        ("DELETE FROM memory WHERE id = 'aaaaaaaaaaaa'", "a", "not in the index"),
        ("UPDATE memory SET id = 'zzzzzzzzzzzz' WHERE id = 'aaaaaaaaaaaa'", "a", "not in the index"),
        ("UPDATE memory SET id = 'zzzzzzzzzzzz' WHERE id = 'aaaaaaaaaaaa'", "z", "a memory that no record names"),
        *(
            (f"UPDATE memory SET {column} = 99 WHERE id = 'aaaaaaaaaaaa'", "a", f"{column} not as the log says")
            for column in (
                *("status", "record", "project", "type", "agent", "device", "importance", "conflict", "digest"),
                *("created", "updated", "hlc", "expires", "forgotten"),
            )
        ),
        ("UPDATE memory SET project = NULL WHERE id = 'aaaaaaaaaaaa'", "a", "project not as the log says"),
        ("DELETE FROM edge", "b", "what it supersedes is not as the log says"),
        (
            "INSERT INTO edge VALUES (1, 'cccccccccccc', 'bbbbbbbbbbbb')",
            "b",
            "what it supersedes is not as the log says",
        ),
        ("INSERT INTO edge VALUES (1, 'cccccccccccc', 'zzzzzzzzzzzz')", "z", "a link that no memory has"),
    ],
)
def test_an_index_that_is_not_as_the_log_says_is_named_and_mended_by_a_rebuild(
    filled: Store, sql: str, memory: str, what: str
) -> None:
    change(filled, sql)
    assert any((problem.memory, problem.what) == (memory * 12, what) for problem in found_in(filled)), found_in(filled)
    rebuild(filled)
    assert found_in(filled) == []


COLUMNS = "subject, body, tags, extra, scope"


@promise("damage-is-named")
@pytest.mark.parametrize(
    "sql",
    [
        f"INSERT INTO word (rowid, {COLUMNS}) VALUES (900, '', 'ghost', '', '', '')",
        f"INSERT INTO word (rowid, {COLUMNS}) VALUES (2, '', 'alpha', '', '', '')",
        f"INSERT INTO word (word, rowid, {COLUMNS}) VALUES ('delete', 2, '', 'beta', '', '', '')",
        "INSERT INTO word (word) VALUES ('delete-all')",
        # the words of two memories exchanged: each word is as frequent as before
        (
            f"INSERT INTO word (word, rowid, {COLUMNS}) VALUES ('delete', 2, '', 'beta lamp', '', '', '');"
            f"INSERT INTO word (word, rowid, {COLUMNS}) VALUES ('delete', 3, '', 'gamma', '', '', '');"
            f"INSERT INTO word (rowid, {COLUMNS}) VALUES (3, '', 'beta lamp', '', '', '');"
            f"INSERT INTO word (rowid, {COLUMNS}) VALUES (2, '', 'gamma', '', '', '')"
        ),
        "UPDATE word_data SET block = zeroblob(length(block)) WHERE id > 10",
    ],
)
def test_words_that_are_not_the_logs_are_noticed_and_mended_by_a_rebuild(filled: Store, sql: str) -> None:
    change(filled, sql) if "word_data" not in sql else damage_the_words(filled)
    assert any("word" in problem.what or "full-text" in problem.what for problem in found_in(filled)), found_in(filled)
    rebuild(filled)
    assert found_in(filled) == []


def damage_the_words(store: Store) -> None:
    """Zero the pages of the full-text index in the file, which SQL alone may not touch."""
    (root, size) = (store.database.row("SELECT rootpage FROM sqlite_schema WHERE name = 'word_data'") or (0,))[0], 4096
    store.database.truncate_wal()
    store.close()
    with store.database.path.open("r+b") as file:
        file.seek((root - 1) * size + size // 2)
        file.write(bytes(size // 2))


def test_every_problem_is_named_not_only_the_first(filled: Store) -> None:
    change(
        filled,
        "UPDATE record SET body = x'00' WHERE log = 2 AND seq IN (2, 4); DELETE FROM memory WHERE id = 'cccccccccccc'",
    )
    problems = found_in(filled)
    assert {problem.memory for problem in problems} >= {"a" * 12, "b" * 12, "c" * 12}
    assert len([problem for problem in problems if problem.what == "its body is not what was written"]) >= 2


@pytest.mark.parametrize("damage", ["body = x'00'", "signature = zeroblob(64)", "header = x'00'", "body = NULL"])
@pytest.mark.parametrize("seq", [1, 5, 11])
def test_one_damaged_record_is_one_problem_of_its_log(filled: Store, damage: str, seq: int) -> None:
    change(filled, f"UPDATE record SET {damage} WHERE log = 2 AND seq = {seq}")
    assert len([problem for problem in found_in(filled) if problem.where.startswith("log ")]) == 1, found_in(filled)


def test_a_verify_changes_nothing(filled: Store) -> None:
    change(filled, "UPDATE record SET body = x'00' WHERE log = 2 AND seq = 2")
    filled.database.truncate_wal()
    before = filled.database.path.read_bytes()
    found_in(filled)
    filled.database.truncate_wal()
    assert filled.database.path.read_bytes() == before
