"""`nokosu status`."""

from __future__ import annotations

import click

from nokosu import clock, delivery, overview
from nokosu.cli import documents, layout, options, output, start
from nokosu.cli.output import one_line
from nokosu.memory import SpaceStatus, Status


@click.command("status", epilog=options.examples("nokosu status", "nokosu status --json"))
@options.as_json
def command(*, as_json: bool) -> None:
    """Show where everything lives, and how much there is."""
    with start.memory() as memory:
        status = memory.status()
    if as_json:
        documents.write(status)
        return
    for line in layout.labelled([(label, one_line(value)) for label, value in _lines(status)]):
        output.line(line)


def _lines(status: Status) -> list[tuple[str, str]]:
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
        *(line for space in status.spaces for line in _of_space(space)),
    ]


def _of_space(space: SpaceStatus) -> list[tuple[str, str]]:
    about = (f"space {space.name}", f"{layout.counted(space.memories, 'memory', 'memories')}, {space.id}")
    return [about, ("  delivery", delivery.told_of_space(space, clock.system_wall_clock()))]


def _size(status: Status) -> str:
    if not status.exists:
        return "made at the first save"
    read_only = ", may only be read" if status.read_only else ""
    return f"{_bytes(status.database_bytes)} and a WAL of {_bytes(status.wal_bytes)}{read_only}"


def _bytes(count: int) -> str:
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
