"""SQLite as the store uses it: apsw's connection with three verbs, rows, row and run. The only door to apsw but
`connection`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw

Row = tuple[Any, ...]


class Connection(apsw.Connection):
    """A connection to one database file; see `connection.Database` for how it is opened, written and closed."""

    _fts5_functions: frozenset[str] = frozenset()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows that a statement answers with."""
        return self.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row that a statement answers with, or None."""
        return self.execute(sql, values).fetchone()

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement, or several, for what they do."""
        self.execute(sql, values)

    def add_fts5_function(self, name: str, function: Callable[..., bytes]) -> None:
        """Have the full-text table know an auxiliary function; adding it again changes nothing."""
        if name not in self._fts5_functions:
            self.register_fts5_function(name, function)
            self._fts5_functions |= {name}
