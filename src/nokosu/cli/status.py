"""`nokosu status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from nokosu import clock, delivery, overview
from nokosu.cli import documents, layout, meshing, options, output, start
from nokosu.cli.output import one_line
from nokosu.config import ZENOHD
from nokosu.memory import SpaceStatus, Status


@click.command("status", epilog=options.examples("nokosu status", "nokosu status --json"))
@options.as_json
def command(*, as_json: bool) -> None:
    """Show where everything lives, and how much there is."""
    with start.memory() as memory:
        status, settings = memory.status(), memory.config
    if as_json:
        documents.write(status)
        return
    if settings.is_blind_hub:
        output.note("This home is a blind hub, and keeps no memories of its own: nokosu hub status")
    has_storages = any(space.hubs for space in status.spaces) or settings.engine == ZENOHD
    storages = meshing.storages(settings) if has_storages else {}
    for line in layout.labelled([(label, one_line(value)) for label, value in _lines(status, storages)]):
        output.line(line)


def _lines(status: Status, storages: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [
        ("nokosu", f"{status.version}, SQLite {status.sqlite}"),
        ("home", status.home),
        ("database", f"{status.database}, {_size(status)}"),
        ("config", status.config),
        ("device", f"{status.device}{f' {status.device_id}' if status.device_id else ''}"),
        ("agent", status.agent),
        ("project", status.project or "none: the current folder is no project"),
        ("memories", f"{status.memories:,}" + (f", and {status.forgotten:,} forgotten" if status.forgotten else "")),
        ("records", f"{status.records:,}"),
        ("last written", status.last_written or ""),
        ("node", overview.told_of_node(status.node) if status.node is not None else ""),
        ("meaning", overview.told_of_meaning(status.meaning) if status.meaning is not None else ""),
        *(line for space in status.spaces for line in _of_space(space, storages.get(space.name))),
    ]


def _of_space(space: SpaceStatus, storages: Sequence[str] | None) -> list[tuple[str, str]]:
    about = (f"space {space.name}", f"{layout.counted(space.memories, 'memory', 'memories')}, {space.id}")
    told = storages if storages is not None else [f"hub {hub.name}: the node tells, when it runs" for hub in space.hubs]
    delivered = delivery.told_of_space(space, clock.system_wall_clock())
    return [about, ("  delivery", delivered), *(("  storage", line) for line in told)]


def _size(status: Status) -> str:
    if not status.exists:
        return "made at the first save"
    read_only = ", may only be read" if status.read_only else ""
    return f"{layout.size(status.database_bytes)} and a WAL of {layout.size(status.wal_bytes)}{read_only}"
