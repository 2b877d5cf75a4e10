"""Versions of the schema meet: each migration happens once, an older process goes on while it can, and stops when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import apsw
import pytest

from nokosu.drafts import Filters, Query
from nokosu.errors import StoreDamaged, StoreError, StoreUpgraded
from nokosu.store import schema
from nokosu.store.connection import Database
from tests.faults import stores
from tests.faults.children import children, forked, later_migrations, open_as_a_later_version

LATER = (schema.MAJOR, len(schema.MIGRATIONS) + 1)
UPGRADED = "nokosu was upgraded: restart this agent"


@pytest.fixture
def store(small_home: Path, tmp_path: Path) -> Path:
    return stores.copy_home(small_home, tmp_path / "home")


def test_first_starts_at_the_same_time_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "nokosu.db"
    with children(open_as_a_later_version, 8, path, forked().Barrier(8)) as openers:
        assert [opener.hear() for opener in openers] == [LATER] * 8
    assert applied(path) == 1


def test_an_older_file_is_migrated_once_by_processes_that_open_it_at_the_same_time(store: Path) -> None:
    path = stores.config(store).database
    with children(open_as_a_later_version, 8, path, forked().Barrier(8)) as openers:
        assert [opener.hear() for opener in openers] == [LATER] * 8
    assert applied(path) == 1
    with stores.open_store(store) as memory:
        assert len(stores.seen(memory)) == 3
        stores.assert_verified(memory)


def applied(path: Path) -> int:
    """How often the last migration has run."""
    database = Database(path, migrations=later_migrations())
    rows = database.rows("SELECT name FROM meta WHERE name LIKE 'marked %'")
    database.close()
    return len(rows)


def test_a_file_with_a_newer_minor_version_is_still_read_and_written(store: Path) -> None:
    with stores.open_store(store) as running:
        assert len(stores.seen(running)) == 3
        Database(stores.config(store).database, migrations=later_migrations()).close()
        saved = running.save(stores.note("by the older"))
        with stores.open_store(store) as started_later:
            assert started_later.get(saved.id).text == stores.note("by the older").text
            started_later.save(stores.note("by another older"))
        stores.assert_verified(running)


def test_a_running_process_stops_when_the_major_version_rises(store: Path) -> None:
    path = stores.config(store).database
    with stores.open_store(store) as running:
        id = next(iter(stores.seen(running)))
        Database(path, migrations=later_migrations(), major=2).close()
        before = path.read_bytes()
        for call in (
            partial(running.save, stores.note("too old")),
            partial(running.forget, id),
            partial(running.get, id),
            partial(running.list, Filters()),
            partial(running.search, Query(text="deploy")),
        ):
            with pytest.raises(StoreUpgraded) as raised:
                call()
            assert raised.value.message == UPGRADED
        with stores.open_store(store) as started_later, pytest.raises(StoreUpgraded) as raised:
            started_later.list(Filters())
        assert raised.value.message == UPGRADED
    assert path.read_bytes() == before


def test_a_migration_that_fails_changes_nothing(store: Path) -> None:
    path = stores.config(store).database

    def fails(connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE half (n)")
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(StoreError, match="not saved: "):
        Database(path, migrations=(*schema.MIGRATIONS, fails))
    assert Database(path).rows("SELECT name FROM sqlite_schema WHERE name = 'half'") == []
    with stores.open_store(store) as memory:
        assert not memory.save(stores.note("after it")).duplicate


def foreign_database(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE theirs (n); INSERT INTO theirs VALUES (1)")
    other.close()


def empty_file(path: Path) -> None:
    path.touch()


def text_file(path: Path) -> None:
    path.write_text("Deploys run from the main branch only.\n" * 100)


@pytest.mark.parametrize("make", [foreign_database, empty_file, text_file])
def test_a_file_that_is_no_store_of_ours_is_named_and_left_alone(make: Callable[[Path], None], home: Path) -> None:
    home.mkdir()
    path = stores.config(home).database
    make(path)
    before = path.read_bytes()
    with stores.open_store(home) as memory:
        for call in (partial(memory.list, Filters()), partial(memory.save, stores.note("refused"))):
            with pytest.raises(StoreDamaged) as raised:
                call()
            assert "\n" not in raised.value.message
            assert raised.value.hint
    assert path.read_bytes() == before
