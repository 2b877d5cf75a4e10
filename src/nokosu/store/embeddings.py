"""The vectors of memories: which are there, which are missing, and putting them in. A cache beside the log, filled by the embedder.

A vector belongs to a record, whose text never changes, and goes with it: the triggers beside the table see to that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from msgspec import Struct

from nokosu.fold import Status
from nokosu.records import Content
from nokosu.store import reading
from nokosu.store.connection import Database
from nokosu.store.sqlite import Connection


class Embedding(Struct, frozen=True, order=True):
    """The vector of a record by one model, and the language that it was taken to be in."""

    record: int
    model: int
    language: str
    vector: bytes


def living(connection: Connection) -> dict[int, int]:
    """The records that living memories show, those written last first, and the number of each memory."""
    rows = connection.rows(
        "SELECT record, n FROM memory WHERE status = ? AND record IS NOT NULL ORDER BY hlc DESC", (Status.LIVE,)
    )
    return dict(rows)


def there(connection: Connection) -> dict[int, frozenset[int]]:
    """By which models each record has a vector."""
    found: dict[int, frozenset[int]] = {}
    for record, model in connection.rows("SELECT record, model FROM embedding"):
        found[record] = found.get(record, frozenset()) | {model}
    return found


def of_records(connection: Connection, records: Sequence[int]) -> list[Embedding]:
    """The vectors of some records."""
    rows = connection.rows(
        "SELECT record, model, language, vector FROM embedding WHERE record IN (SELECT value FROM json_each(?))",
        (json.dumps(records),),
    )
    return [Embedding(*row) for row in rows]


def contents(connection: Connection, memories: Sequence[int]) -> dict[int, Content]:
    """What memories show, by the number of the record; what is damaged is left out."""
    rows = reading.rows_by_number(connection, memories)
    shown = reading.shown(connection, list(rows.values()))
    return {
        row.record: one.content
        for n, row in rows.items()
        if row.record is not None and (one := shown.get(n)) is not None
    }


def put(database: Database, embeddings: Iterable[Embedding]) -> None:
    """Put vectors in, but of no record that a living memory does not show any more: its text may be gone by now.

    Raises:
        StoreError: nothing was put in.
    """
    with database.write() as connection:
        for one in embeddings:
            connection.run(
                "INSERT OR REPLACE INTO embedding SELECT ?1, ?2, ?3, ?4 FROM record JOIN log ON log.n = record.log "
                "JOIN memory ON memory.id = record.memory AND memory.space = log.space "
                "WHERE record.n = ?1 AND memory.record = ?1 AND memory.status = ?5",
                (one.record, one.model, one.language, one.vector, Status.LIVE),
            )


def tidy(connection: Connection) -> None:
    """Take vectors out that belong to no record that a living memory shows."""
    connection.run(
        "DELETE FROM embedding WHERE record NOT IN (SELECT record FROM memory WHERE status = ? AND record IS NOT NULL)",
        (Status.LIVE,),
    )


def clear(connection: Connection) -> int:
    """Take all vectors out; of how many memories there were some."""
    row = connection.row("SELECT count(DISTINCT record) FROM embedding")
    connection.run("DELETE FROM embedding")
    return int(row[0]) if row else 0
