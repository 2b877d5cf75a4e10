"""`nokosu hub`; `hub_init` and `hub_add` have the two commands that pair."""

from __future__ import annotations

import sys
from typing import Any, Final

import click
import msgspec

from nokosu import node_process
from nokosu.cli import documents, hub_add, hub_init, layout, meshing, node_told, options, output, start
from nokosu.cli.output import one_line
from nokosu.config import Config
from nokosu.errors import MeshError, NotFound, Refused
from nokosu.mesh import control, known_hubs, service
from nokosu.mesh.devices import shared
from nokosu.mesh.joining import Store
from nokosu.mesh.known_hubs import HubRow
from nokosu.nokosu import Nokosu
from nokosu.records import Hub
from nokosu.store.connection import Database
from nokosu.store.roster import Space

_LINES_DEFAULT: Final = 40
_ZID_CHARS: Final = 8  # enough to type, and to tell two hubs apart by eye


@click.group(
    "hub",
    epilog=options.examples("nokosu hub init", "nokosu hub add 203.0.113.7:28123 4K2M-7XQP", "nokosu hub list"),
)
def command() -> None:
    """Make an always-on machine the hub of your devices, or see and change which hubs there are.

    A hub runs zenohd and keeps every record, sealed, so that devices which are never awake together share all the same. It
    is one more device of yours, which reads, or it is blind: then it keeps what it cannot read.
    """


command.add_command(hub_init.init)
command.add_command(hub_add.add)


# On any device --------------------------------------------------------------------------------------------------------


@command.command("list", epilog=options.examples("nokosu hub list", "nokosu hub list --json"))
@click.option("--space", metavar="NAME", help="Only those of this space.")
@options.as_json
def listing(space: str | None, *, as_json: bool) -> None:
    """List the hubs of the spaces that this device is in."""
    _check_reads()
    start.node()
    with start.memory() as memory:
        rows = _rows(memory, space)
    if as_json:
        documents.write(rows)
        return
    for line in _lines(rows):
        output.line(line)
    if not rows:
        output.note("No hub yet: nokosu hub init, on a machine that is always on")
    for row in rows:
        if not row.current:
            output.note(
                f"{row.name} was paired before the secret changed: nokosu hub init --blind there, to pair it again"
            )


@command.command(
    "set-address",
    epilog=options.examples(
        "nokosu hub set-address nas 10.0.0.9:28123", "nokosu hub set-address nas 10.0.0.9:28123 vps.example.org:28123"
    ),
)
@click.argument("hub")
@click.argument("address", nargs=-1, required=True)
@click.option("--space", metavar="NAME", help="The space that it is a hub of, if it is one of several.")
def set_address(hub: str, address: tuple[str, ...], space: str | None) -> None:
    """Call HUB, which has moved, at each ADDRESS (a host and a port), the first one first, and nowhere else.

    It holds for all devices of the space; one that hears of it from nobody else, because they meet at this hub alone, has to
    be told in the same way.
    """
    _check_reads()
    with start.memory() as memory:
        store = meshing.store_of(memory)
        where, found = _named(store, hub, space)
        kept = known_hubs.set_addresses(store, where, found, address)
        meshing.start_node(memory)
    output.line(f"{one_line(found.name)} is called at {', '.join(kept)}.")
    output.note("A device that meets the others only at this hub has to be told as well, by the same line")


@command.command("remove", epilog=options.examples("nokosu hub remove nas"))
@click.argument("hub")
@click.option("--space", metavar="NAME", help="The space that it is a hub of, if it is one of several.")
def remove(hub: str, space: str | None) -> None:
    """Have no device call HUB any more; HUB is its name, or a beginning of its Zenoh id.

    What lies on it stays there, and is sealed. A blind one's certificate is good until the space's secret changes, which
    nokosu revoke brings about; a hub that reads stays a device.
    """
    _check_reads()
    with start.memory() as memory:
        store = meshing.store_of(memory)
        where, found = _named(store, hub, space)
        known_hubs.remove(store, where, found)
        meshing.start_node(memory)
    output.line(f"{one_line(found.name)} is no hub of {one_line(where.name)} any more.")
    if found.blind:
        output.note("To take the machine itself out of service: nokosu hub stop, on it")
    else:
        output.note(f"It is still a device of the space; to end that too: nokosu revoke {found.name}")


# On the hub itself ----------------------------------------------------------------------------------------------------


@command.command("start", epilog=options.examples("nokosu hub start"))
def start_hub() -> None:
    """Start this hub, and let it start by itself again if it was stopped."""
    config = _of_this_machine()
    found = node_process.start(config)
    output.line(f"The hub runs: process {found.pid}.")


@command.command("stop", epilog=options.examples("nokosu hub stop"))
def stop() -> None:
    """Stop this hub, and its zenohd; it stays down until `nokosu hub start`.

    Nothing is lost: the devices bring what it has missed.
    """
    found = node_process.stop(_of_this_machine())
    if found is None:
        output.line("The hub does not run; nothing will start it before: nokosu hub start")
    else:
        output.line(f"The hub (process {found.pid}) has ended; start it again with: nokosu hub start")


@command.command("status", epilog=options.examples("nokosu hub status", "nokosu hub status --json"))
@options.as_json
def status(*, as_json: bool) -> int:
    """Show whether this hub runs, and what it sees; exit code 1 if it does not."""
    config = _of_this_machine()
    found = control.status(config)
    if as_json:
        documents.write(found or {"pid": None, "stopped": node_process.is_stopped(config), "spaces": []})
    elif found is None:
        stopped = node_process.is_stopped(config)
        kind = "This blind hub" if config.is_blind_hub else "This hub"
        output.line(f"{kind} does not run{': it was stopped' if stopped else ''}.")
        output.note("Start it: nokosu hub start")
    else:
        node_told.show(found)
    return 0 if found is not None else NotFound.exit_code


@command.command("logs", epilog=options.examples("nokosu hub logs", "nokosu hub logs --lines 200"))
@click.option("--lines", type=options.Whole(), default=_LINES_DEFAULT, show_default=True, metavar="N", help="How many.")
def logs(lines: int) -> None:
    """Show the end of what this hub and its zenohd have said: starts, ends and faults, never a word of a memory."""
    node_told.show_logs(_of_this_machine(), lines)


@command.command("install", epilog=options.examples("nokosu hub install"))
def install() -> None:
    """Have the system start this hub, and again if it fails: systemd on Linux, launchd on macOS."""
    for line in service.install(_of_this_machine()):
        output.line(one_line(line))
    output.line("The hub is a service now; undo: nokosu node uninstall")
    if sys.platform.startswith("linux"):
        output.note("It starts with the machine, and not with your login, after: loginctl enable-linger")


# Below ----------------------------------------------------------------------------------------------------------------


def _named(store: Store, hub: str, space: str | None) -> tuple[Space, Hub]:
    with store.database.reading() as connection:
        return known_hubs.named(connection, hub, shared(connection, space))


def _check_reads() -> None:
    if start.configuration().is_blind_hub:
        hint = "nokosu hub status; nokosu hub list, on one of your devices"
        raise Refused("this is a blind hub: it knows of no other, and of no space but its own", hint=hint)


def _of_this_machine() -> Config:
    """The configuration of this home, which is a hub's.

    Raises:
        NotFound: it is none.
    """
    config = start.configuration()
    if not config.is_blind_hub and not _is_reading_hub(config):
        hint = "nokosu hub init, to make it one; nokosu hub list, for those that there are"
        raise NotFound("this machine is no hub", hint=hint)
    return config


def _is_reading_hub(config: Config) -> bool:
    if not config.database.exists():
        return False
    database = Database(config.database)
    try:
        with database.reading() as connection:
            return bool(known_hubs.of_this_device(connection))
    finally:
        database.close()


def _rows(memory: Nokosu, space: str | None) -> list[HubRow]:
    if not memory.config.database.exists():
        return []
    database, _ = memory.store()
    with database.reading() as connection:
        rows = known_hubs.listed(connection, shared(connection, space))
    return _with_node(memory.config, rows)


def _with_node(config: Config, rows: list[HubRow]) -> list[HubRow]:
    """The same rows, with what only the running node knows."""
    try:
        said = control.status(config)
    except MeshError:
        said = None
    storages: dict[tuple[str, str], dict[str, Any]] = {
        (space["name"], storage["zid"]): storage
        for space in (said or {}).get("spaces", ())
        for storage in space.get("storages", ())
    }
    return [_with_storage(row, storages.get((row.space, row.zid))) if said else row for row in rows]


def _with_storage(row: HubRow, storage: dict[str, Any] | None) -> HubRow:
    if storage is None:
        return msgspec.structs.replace(row, reached=row.this)
    return msgspec.structs.replace(
        row, reached=bool(storage["reachable"]), lacking=storage["lacking"], problem=storage["problem"]
    )


def _lines(rows: list[HubRow]) -> list[str]:
    lines = []
    for space in dict.fromkeys(row.space for row in rows):
        cells = [_cells(row) for row in rows if row.space == space]
        lines += [one_line(space), *layout.table(cells, (30, 10, 12, 40), total=output.screen().columns)]
    return lines


def _cells(row: HubRow) -> tuple[str, ...]:
    name = f"  {one_line(row.name)}{' (this device)' if row.this else ''}"
    return (name, row.zid[:_ZID_CHARS], "blind" if row.blind else "reads", _seen(row), _more(row))


def _seen(row: HubRow) -> str:
    if row.reached is None:
        return "no node runs here"
    if not row.reached:
        return "not reached"
    if row.lacking is None:
        return "connected"
    return f"lacks {row.lacking:,}" if row.lacking else "has everything"


def _more(row: HubRow) -> str:
    parts = [
        "" if row.current else "to be paired again",
        one_line(row.problem),
        "another hub has this name" if row.namesake else "",
        ", ".join(map(one_line, row.addresses[:3])),
    ]
    return "  ".join(part for part in parts if part)
