"""Where everything lives, and how much there is: what `status` tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw
import msgspec

from nokosu import config, ids, times
from nokosu.config import Config
from nokosu.memory import SpaceStatus, Status
from nokosu.store.roster import Device
from nokosu.store.sqlite import Connection


def of_home(settings: Config, *, version: str, exists: bool) -> Status:
    """What can be told without opening the store; *exists* is whether there is one."""
    home, wal = settings.home, Path(f"{settings.database}-wal")
    return Status(
        version=version,
        home=str(home),
        database=str(settings.database),
        config=str(home / config.CONFIG_NAME),
        exists=exists,
        read_only=not os.access(next(path for path in (home, *home.parents) if path.exists()), os.W_OK),
        database_bytes=settings.database.stat().st_size if exists else 0,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        sqlite=apsw.sqlite_lib_version(),
        device=settings.device_name,
        device_id="",
        agent=settings.author.agent,
        project="",
        memories=0,
        forgotten=0,
        records=0,
        last_written=None,
        spaces=(),
    )


def of_store(connection: Connection, base: Status, device: Device, project: str, *, read_only: bool) -> Status:
    """*base* with what the store tells."""

    def one(sql: str) -> Any:
        row = connection.row(sql)
        return row[0] if row else None

    spaces = connection.rows(
        "SELECT name, id, (SELECT count(*) FROM memory WHERE memory.space = space.n AND status = 0) FROM space ORDER BY n"
    )
    last = one("SELECT updated FROM memory WHERE hlc IS NOT NULL ORDER BY hlc DESC LIMIT 1")
    return msgspec.structs.replace(
        base,
        read_only=read_only,
        device=device.name,
        device_id=ids.grouped(device.id),
        project=project,
        memories=one("SELECT count(*) FROM memory WHERE status = 0"),
        forgotten=one("SELECT count(*) FROM memory WHERE status = 1"),
        records=one("SELECT count(*) FROM record"),
        last_written=times.format_ms(last) if last is not None else None,
        spaces=tuple(SpaceStatus(name=name, id=ids.grouped(id), memories=count) for name, id, count in spaces),
    )
