"""A store's generation: whether anybody else has committed."""

from __future__ import annotations

from nokosu.store.connection import Database
from nokosu.testing import Store


def test_a_generation_ends_with_a_commit_of_somebody_else_and_with_nothing_else(store: Store) -> None:
    database = Database(store.database.path)
    try:
        before = database.generation()
        with store.database.write() as connection:
            connection.run("INSERT INTO meta (name, value) VALUES ('x', 1)")
            assert database.generation() == before
        after = database.generation()
        assert after != before
        with store.database.reading() as connection:
            connection.rows("SELECT * FROM meta")
        assert database.generation() == after
    finally:
        database.close()
