"""A connection compiles a statement once, whatever is bound to it and however many others run in between."""

from __future__ import annotations

import apsw

from nokosu.store.log import Head
from nokosu.store.vectors import holder
from nokosu.testing import Store


def test_a_statement_is_not_compiled_again_for_each_value(store: Store) -> None:
    space = store.personal
    compiled: list[object] = []

    def authorize(*args: object) -> int:  # SQLite asks while it compiles, and never while it runs
        compiled.append(args)
        return apsw.SQLITE_OK

    with store.database.reading() as connection:
        holds = holder(connection, space)
        connection.authorizer = authorize
        holds(Head(bytes(16), 1, bytes(32)))
        assert compiled
        compiled.clear()
        assert not any(holds(Head(bytes(16), seq, bytes(32))) for seq in range(2, 6))
        connection.authorizer = None
    assert not compiled


def test_a_statement_is_there_still_after_more_than_a_hundred_others(store: Store) -> None:
    with store.database.reading() as connection:
        misses = []
        for _ in range(2):
            for number in range(150):
                connection.row(f"SELECT {number}")
            misses.append(connection.cache_stats()["misses"])
    assert misses[0] == misses[1]
