"""`nokosu devices`."""

from __future__ import annotations

from typing import Final

import click

from nokosu import __version__, clock, delivery
from nokosu.cli import documents, layout, meshing, options, output, start
from nokosu.cli.output import one_line
from nokosu.mesh import devices
from nokosu.mesh.devices import DeviceRow, Named
from nokosu.mesh.joining import Store
from nokosu.nokosu import Nokosu

_ID_CHARS: Final = 9  # two groups: enough to type, and to tell two devices apart by eye
_OFFSET_MS_TOLD: Final = 1000


@click.group(
    "devices",
    invoke_without_command=True,
    epilog=options.examples(
        "nokosu devices", "nokosu devices rename desk studio", "nokosu devices set-address studio 10.0.0.7:28123"
    ),
)
@click.option("--space", metavar="NAME", help="Only those of this space.")
@options.as_json
@click.pass_context
def command(context: click.Context, space: str | None, *, as_json: bool) -> None:
    """List the devices that share memories with this one, or change what is known of one.

    DEVICE is a device's name, or a unique beginning of its id.
    """
    if context.invoked_subcommand is not None:
        return
    with start.memory() as memory:
        rows = _rows(memory, space)
    if as_json:
        documents.write(rows)
        return
    for line in _lines(rows, meshing.storages(start.configuration())):
        output.line(line)
    if not rows:
        output.note("No device shares memories with this one yet: nokosu invite")


@command.command("rename", epilog=options.examples("nokosu devices rename desk studio"))
@click.argument("device")
@click.argument("name")
def rename(device: str, name: str) -> None:
    """Give DEVICE the name NAME, on all devices."""
    with start.memory() as memory:
        store = meshing.store_of(memory)
        named = _named(store, device)
        devices.rename(store, named, name)
        meshing.start_node(memory)
    output.line(f"{one_line(named.name)} is called {one_line(name)} now.")


@command.command("set-address", epilog=options.examples("nokosu devices set-address desk 10.0.0.7:28123"))
@click.argument("device")
@click.argument("address")
def set_address(device: str, address: str) -> None:
    """Call DEVICE at ADDRESS, a host and a port, where it is not found by itself."""
    with start.memory() as memory:
        store = meshing.store_of(memory)
        named = _named(store, device)
        kept = devices.set_address(store, named, address)
        meshing.start_node(memory)
    output.line(f"{one_line(named.name)} is called at {kept} first.")


def _named(store: Store, device: str) -> Named:
    with store.database.reading() as connection:
        return devices.named(connection, device, devices.shared(connection))


def _rows(memory: Nokosu, space: str | None) -> list[DeviceRow]:
    if not memory.config.database.exists():
        return []
    database, _ = memory.store()
    with database.reading() as connection:
        rows = devices.listed(connection, devices.shared(connection, space), __version__)
    return meshing.with_node(memory.config, rows)


def _lines(rows: list[DeviceRow], storages: dict[str, list[str]]) -> list[str]:
    lines = []
    for space in dict.fromkeys(row.space for row in rows):
        cells = [_cells(row) for row in rows if row.space == space]
        lines += [one_line(space), *layout.table(cells, (30, 40, 40, 30), total=output.screen().columns)]
        lines += [f"  {one_line(told)}" for told in storages.get(space, ())]
    return lines


def _cells(row: DeviceRow) -> tuple[str, ...]:
    name = f"  {one_line(row.name)}{' (this device)' if row.this else ''}"
    return (name, row.id[:_ID_CHARS], _seen(row), _behind(row), _more(row))


def _seen(row: DeviceRow) -> str:
    if row.revoked:
        return "revoked"
    if row.this:
        return "here"
    return "connected" if row.reachable else delivery.last_seen(row.last_seen, clock.system_wall_clock())


def _behind(row: DeviceRow) -> str:
    if row.revoked or row.this:
        return ""
    return f"{row.behind:,} behind" if row.behind else "has everything"


def _more(row: DeviceRow) -> str:
    offset = row.clock_offset_ms
    parts = [
        one_line(row.version),
        f"its clock is {offset / 1000:+.0f} s off" if offset is not None and abs(offset) >= _OFFSET_MS_TOLD else "",
        "another device has this name" if row.namesake else "",
        ", ".join(map(one_line, row.addresses[:3])),
    ]
    return "  ".join(part for part in parts if part)
