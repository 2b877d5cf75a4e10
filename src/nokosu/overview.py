"""Where everything lives, and how much there is: what `status` tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw
import msgspec

from nokosu import config, delivery, ids, node_process, times
from nokosu.config import Config
from nokosu.memory import HubStatus, MeaningStatus, NodeStatus, SpaceStatus, Status
from nokosu.semantic import known, process
from nokosu.semantic.client import Embedder
from nokosu.store import roster
from nokosu.store.roster import Device, Space
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


def of_node(settings: Config) -> NodeStatus:
    """Whether the node runs, and else why not."""
    found = node_process.running(settings.home)
    if found is not None:
        return NodeStatus(running=True, pid=found.pid, version=found.version)
    if node_process.is_stopped(settings):
        return NodeStatus(running=False, why="it was stopped", hint="nokosu node start")
    if not settings.starts_node:
        return NodeStatus(running=False, why="NOKOSU_NODE is off", hint="nokosu node start")
    return NodeStatus(running=False, why="nothing has started it yet", hint="nokosu node start")


def told_of_node(node: NodeStatus) -> str:
    """The same on one line."""
    if not node.running:
        return f"not running, {node.why}: {node.hint}"
    return f"running, nokosu {node.version}, process {node.pid}" if node.pid else "being started"


def of_meaning(settings: Config) -> MeaningStatus:
    """Where recall by meaning stands."""
    if not known.are_installed():
        return MeaningStatus(installed=False, lacks="not installed", hint=known.INSTALL)
    state = Embedder(settings).state()
    if state is not None:
        return MeaningStatus(
            installed=True,
            running=True,
            pid=state.pid,
            memories=state.memories,
            pending=state.pending,
            lacks=state.lacks,
        )
    running = process.running(settings)
    lacks = "the embedder does not answer" if running is not None and running.socket else process.last_words(settings)
    hint = f"{settings.home / process.LOG_NAME}" if lacks else ""
    return MeaningStatus(installed=True, running=running is not None, lacks=lacks, hint=hint)


def told_of_meaning(meaning: MeaningStatus) -> str:
    """The same on one line."""
    if not meaning.running:
        without = "by words alone, " if meaning.lacks else ""
        hint = f": {meaning.hint}" if meaning.hint else ""
        return f"{without}{meaning.lacks or 'the embedder starts with the next search'}{hint}"
    if not meaning.pid:
        return meaning.lacks or "the embedder is being started"
    to_go = f", {meaning.pending:,} to go" if meaning.pending else ""
    lacks = f"; {meaning.lacks}" if meaning.lacks else ""
    return f"{meaning.memories:,} memories read{to_go}, process {meaning.pid}{lacks}"


def of_store(
    connection: Connection, base: Status, settings: Config, device: Device, project: str, *, read_only: bool
) -> Status:
    """*base* with what the store tells, and with the node where one is needed."""

    def one(sql: str) -> Any:
        row = connection.row(sql)
        return row[0] if row else None

    spaces = tuple(_space(connection, space, base.version) for space in roster.spaces(connection))
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
        spaces=spaces,
        node=of_node(settings) if any(space.shared for space in spaces) else None,
        meaning=of_meaning(settings) if settings.starts_embedder else None,
    )


def _space(connection: Connection, space: Space, version: str) -> SpaceStatus:
    # Through the index by digest, which SQLite would choose, the rows come in random order: twenty times as slow.
    row = connection.row("SELECT count(*) FROM memory NOT INDEXED WHERE space = ? AND status = 0", (space.n,))
    shared = roster.is_shared(connection, space)
    devices = delivery.devices(connection, space, version) if shared else ()
    return SpaceStatus(
        name=space.name,
        id=ids.grouped(space.id),
        memories=row[0] if row else 0,
        shared=shared,
        devices=devices,
        hubs=_hubs(connection, space) if shared else (),
        delivery=delivery.of_devices(devices),
    )


def _hubs(connection: Connection, space: Space) -> tuple[HubStatus, ...]:
    return tuple(HubStatus(name=hub.name, zid=hub.zid, blind=hub.blind) for hub in roster.hubs(connection, space))
