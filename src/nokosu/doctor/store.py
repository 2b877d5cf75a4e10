"""Checks of the store: is it ours, whole, current, and does its index work."""

from __future__ import annotations

from typing import Final

from nokosu.config import Config
from nokosu.doctor.result import Result
from nokosu.errors import StoreDamaged, StoreError, StoreUpgraded
from nokosu.fold import Status
from nokosu.store.connection import Database

SQLITE_MIN: Final = (3, 51, 3)  # before it, two connections can corrupt a WAL that is being reset
_WAL_BYTES_MAX: Final = 64 * 1024 * 1024


def checks(config: Config, sqlite: str) -> list[Result]:
    """All checks of the store; a store that cannot be opened gets one line that says so. *sqlite* is its version."""
    results = [_sqlite(sqlite)]
    if not config.database.exists():
        return [*results, Result("store", "ok", "empty: it is made at the first save", "nokosu save TEXT")]
    try:
        if config.database.stat().st_size == 0:
            return [
                *results,
                Result("store", "fail", f"{config.database} is empty", "restore a backup, or remove the file"),
            ]
        database = Database(config.database)
    except StoreDamaged as error:
        hint = "restore a backup (nokosu backup made it), then nokosu verify"
        return [*results, Result("store", "fail", str(error), hint)]
    except StoreUpgraded as error:
        return [*results, Result("store", "fail", str(error), error.hint)]
    except (StoreError, OSError) as error:
        return [*results, Result("store", "fail", str(error), f"ls -l {config.database}")]
    try:
        return [
            *results,
            _pages(database),
            _words(database),
            _schema(database),
            _branches(database),
            *_moving(database),
            _wal(config),
        ]
    finally:
        database.close()


def _sqlite(version: str) -> Result:
    if tuple(map(int, version.split("."))) < SQLITE_MIN:
        return Result(
            "sqlite", "fail", f"SQLite {version} can damage a store that several processes write", "pip install -U apsw"
        )
    return Result("sqlite", "ok", f"SQLite {version}")


def _pages(database: Database) -> Result:
    try:
        lines = tuple(str(line) for (line,) in database.rows("PRAGMA integrity_check(20)") if line != "ok")
    except StoreError as error:
        lines = (str(error),)
    if lines:
        return Result("store", "fail", "the file is damaged", "nokosu verify", lines)
    records = database.row("SELECT count(*) FROM record")
    return Result(
        "store", "ok", f"{records[0] if records else 0} records, file intact (nokosu verify also checks each record)"
    )


def _words(database: Database) -> Result:
    try:
        missing = database.row(
            "SELECT count(*) FROM "
            "(SELECT n FROM memory WHERE status IN (0, 1) AND record IS NOT NULL EXCEPT SELECT id FROM word_docsize)"
        )
    except StoreError as error:
        return Result("index", "fail", str(error), "nokosu rebuild")
    if missing and missing[0]:
        return Result("index", "fail", f"{missing[0]} memories cannot be found by their words", "nokosu rebuild")
    return Result("index", "ok", "every memory is indexed")


def _schema(database: Database) -> Result:
    row = database.row("PRAGMA user_version")
    version = divmod(row[0] if row else 0, 1000)
    mode = database.row("PRAGMA journal_mode")
    if mode != ("wal",):
        return Result(
            "schema", "fail", f"the journal mode is {mode[0] if mode else 'unknown'}, not wal", "nokosu rebuild"
        )
    return Result("schema", "ok", f"version {version[0]}.{version[1]}")


def _branches(database: Database) -> Result:
    rows = database.rows("SELECT log, count(*) FROM head GROUP BY log HAVING count(*) > 1")
    if not rows:
        return Result("logs", "ok", "each log has one end")
    return Result(
        "logs", "warn", f"{len(rows)} logs were continued twice (a restored backup or a cloned disk); nothing is lost",
        "nokosu status",
    )  # fmt: skip


def _moving(database: Database) -> list[Result]:
    """Spaces whose memories are on their way into another one; none, normally."""
    rows = database.rows(
        "SELECT name, (SELECT count(*) FROM memory WHERE memory.space = space.n), "
        "(SELECT count(*) FROM memory WHERE memory.space = space.n AND status = ?) FROM space WHERE moving_to IS NOT NULL",
        (Status.DAMAGED,),
    )
    return [
        Result(
            "moving",
            "warn",
            f"{left} memories of {name!a} are still to move; {damaged} of them are damaged",
            "nokosu verify",
        )
        if damaged
        else Result("moving", "ok", f"{left} memories of {name!a} are still to move")
        for name, left, damaged in rows
    ]


def _wal(config: Config) -> Result:
    wal = config.home / f"{config.database.name}-wal"
    size = wal.stat().st_size if wal.exists() else 0
    if size > _WAL_BYTES_MAX:
        return Result(
            "wal", "warn", f"the write-ahead log has {size // 1024**2} MiB: some process has been reading for long",
            f"lsof {wal}",
        )  # fmt: skip
    return Result("wal", "ok", f"write-ahead log {size // 1024} KiB")
