"""Bare floors: the same work done by SQLite alone, without anything of ours. Through apsw, never the standard sqlite3."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

_FTS_OPTIONS = "content='', tokenize='porter unicode61 remove_diacritics 2'"


class BareInsert:
    """One row of random bytes, one transaction, WAL and synchronous=FULL: what no durable save can undercut."""

    def __init__(self, folder: Path, row_bytes: int) -> None:
        self._row = os.urandom(row_bytes)
        self._connection = apsw.Connection(str(folder / "floor.db"))
        for sql in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE row (n INTEGER PRIMARY KEY, bytes BLOB)",
        ):
            self._connection.execute(sql)

    def save(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO row (bytes) VALUES (?)", (self._row,))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class BareReader:
    """Single statements on one of our stores."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)

    def record_bytes(self) -> int:
        """The bytes of a middling record, as they lie in the log."""
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT length(header) + length(signature) + length(hash) + length(body) FROM record ORDER BY n DESC LIMIT 101"
        ).fetchall()
        sizes: list[int] = sorted(row[0] for row in rows)
        return sizes[len(sizes) // 2]

    def search(self, words: str, *, every: bool) -> None:
        """The ten best by FTS5's own rank, and their bodies."""
        match = (" AND " if every else " OR ").join(f'"{word}"' for word in words.split())
        self._connection.execute(
            "SELECT body FROM record WHERE n IN (SELECT record FROM memory WHERE n IN "
            "(SELECT rowid FROM word WHERE word MATCH ? ORDER BY rank LIMIT 10))",
            (match,),
        ).fetchall()

    def get(self, id: str) -> None:
        self._connection.execute("SELECT body FROM record WHERE memory = ?", (id,)).fetchall()

    def latest(self, project: str) -> None:
        self._connection.execute(
            "SELECT record.body FROM memory JOIN record ON record.n = memory.record "
            "WHERE memory.project = (SELECT n FROM project WHERE name = ?) ORDER BY memory.hlc DESC LIMIT 20",
            (project,),
        ).fetchall()

    def texts(self) -> list[str]:
        rows = self._connection.execute("SELECT body FROM record WHERE body IS NOT NULL ORDER BY n")
        return [msgspec.msgpack.decode(body)[1].get("text", "") for (body,) in rows]

    def open_and_get(self, id: str) -> None:
        """Open the file anew and read one record."""
        reader = BareReader(self._file)
        reader.get(id)
        reader.close()

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Build:
    """What it took to make an index, and the bytes of the file that holds it with its texts."""

    wall_seconds: float
    cpu_seconds: float
    file_bytes: int


def bare_build(texts: Sequence[str], folder: Path) -> Build:
    """Keep every text once and index it in one bare FTS5 table, all in one transaction."""
    file = folder / "floor-build.db"
    connection = apsw.Connection(str(file))
    wall, cpu = time.perf_counter(), time.process_time()
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, text TEXT)")
    connection.execute(f"CREATE VIRTUAL TABLE word USING fts5 (text, {_FTS_OPTIONS})")
    connection.executemany("INSERT INTO row (text) VALUES (?)", ((text,) for text in texts))
    connection.executemany("INSERT INTO word (rowid, text) VALUES (?, ?)", enumerate(texts, 1))
    connection.execute("COMMIT")
    took = time.perf_counter() - wall, time.process_time() - cpu
    connection.close()
    size = file.stat().st_size
    file.unlink()
    return Build(*took, size)
