"""Vectors live and go with the text that they were made of, whoever writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nokosu.config import Config
from nokosu.drafts import Change, Draft
from nokosu.nokosu import Nokosu
from nokosu.store import embeddings, schema
from nokosu.store.connection import Database, create
from nokosu.store.embeddings import Embedding
from nokosu.testing import ManualClock

VECTOR = bytes(range(128)) * 3


@pytest.fixture
def database(memory: Nokosu) -> Database:
    """The store of `memory`, as another process has it open."""
    memory.save(Draft(text="Slot holds live in Postgres."))
    memory.save(Draft(text="Mails are sent again at night."))
    return memory.store()[0]


def records(database: Database) -> list[int]:
    return [record for (record,) in database.rows("SELECT DISTINCT record FROM embedding ORDER BY record")]


def fill(database: Database) -> list[int]:
    """A vector by each of two models for what every living memory shows; the records, the latest first."""
    with database.reading() as connection:
        living = list(embeddings.living(connection))
    embeddings.put(database, [Embedding(record, model, "en", VECTOR) for record in living for model in (1, 2)])
    return living


def first_id(database: Database) -> str:
    return str(database.rows("SELECT id FROM memory ORDER BY n")[0][0])


def test_a_purge_removes_the_vector_from_the_file(memory: Nokosu, database: Database, config: Config) -> None:
    fill(database)
    memory.store()[0].truncate_wal()
    assert config.database.read_bytes().count(VECTOR) == 4
    for id in [str(id) for (id,) in database.rows("SELECT id FROM memory")]:
        memory.purge(id)
    assert records(database) == []
    assert VECTOR not in config.database.read_bytes(), "nor is it in free pages"


def test_a_forget_and_an_edit_take_it_out_and_a_restore_asks_for_it_again(memory: Nokosu, database: Database) -> None:
    late, early = fill(database)
    memory.forget(first_id(database))
    assert records(database) == [late]
    memory.restore(first_id(database))
    with database.reading() as connection:
        assert set(embeddings.living(connection)) - set(embeddings.there(connection)) == {early}
    fill(database)
    memory.edit(first_id(database), Change(text="Slot holds live in Redis."))
    assert records(database) == [late]


def test_a_text_that_is_gone_by_the_time_gets_no_vector(memory: Nokosu, database: Database) -> None:
    with database.reading() as connection:
        late, early = embeddings.living(connection)
        numbers = list(embeddings.living(connection).values())
        shown = embeddings.contents(connection, numbers)
        assert (shown[late].text, shown[early].text) == (
            "Mails are sent again at night.",
            "Slot holds live in Postgres.",
        )
    memory.purge(first_id(database))
    embeddings.put(database, [Embedding(early, 1, "en", VECTOR), Embedding(late, 1, "en", VECTOR)])
    assert records(database) == [late]


def test_a_rebuild_keeps_vectors_and_tidies_those_of_nothing(memory: Nokosu, database: Database) -> None:
    living = fill(database)
    with database.write() as connection:
        connection.run("INSERT INTO embedding VALUES (999, 1, 'en', x'00')")
    memory.rebuild()
    assert records(database) == sorted(living)
    assert memory.rebuild_vectors() == 2
    assert records(database) == []


def test_a_backup_takes_them_along(memory: Nokosu, database: Database, tmp_path: Path, clock: ManualClock) -> None:
    living = fill(database)
    memory.backup(tmp_path / "copy.db")
    copy = Database(tmp_path / "copy.db")
    with copy.reading() as connection:
        assert embeddings.there(connection) == {record: frozenset({1, 2}) for record in living}
        assert embeddings.of_records(connection, living[:1]) == [
            Embedding(living[0], 1, "en", VECTOR), Embedding(living[0], 2, "en", VECTOR),
        ]  # fmt: skip
    copy.close()


def test_a_store_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    before = schema.MIGRATIONS[:5]
    create(tmp_path / "old.db", lambda connection: None, migrations=before)
    database = Database(tmp_path / "old.db")
    assert database.rows("SELECT count(*) FROM embedding") == [(0,)]
    database.close()


def test_a_process_of_the_version_before_takes_vectors_out_as_well(
    memory: Nokosu, database: Database, config: Config
) -> None:
    """It knows nothing of the table; the triggers do."""
    late, _ = fill(database)
    older = Database(config.database, migrations=schema.MIGRATIONS[:5])
    with older.write() as connection:
        connection.run("UPDATE record SET body = NULL WHERE n = ?", (late,))
    older.close()
    assert late not in records(database)
    with database.write() as connection:
        connection.run("DELETE FROM record")
    assert records(database) == []
