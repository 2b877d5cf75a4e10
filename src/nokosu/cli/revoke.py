"""`nokosu revoke`."""

from __future__ import annotations

import click

from nokosu.cli import documents, meshing, options, output, reading, start
from nokosu.cli.output import one_line
from nokosu.errors import Refused, UsageError
from nokosu.mesh import devices


@click.command(
    "revoke",
    epilog=options.examples("nokosu revoke old-laptop", "nokosu revoke 4k2m-7xqp --space team --yes"),
)
@click.argument("device")
@click.option(
    "--space", metavar="NAME", help="Only from this space; else from every one that it shares with this device."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def command(device: str, space: str | None, *, yes: bool, as_json: bool) -> None:
    """End DEVICE (its name, or a beginning of its id) for good, as after a loss; asks first.

    What it wrote until now stays; what it writes later counts nowhere, and the others change their key. What it has
    already it keeps. It can come back only from a new home, as a new device.
    """
    with start.memory() as memory:
        store = meshing.store_of(memory)
        with store.database.reading() as connection:
            named = devices.named(connection, device, devices.shared(connection, space))
        spaces = ", ".join(one.name for one in devices.revocable(named))
        if not yes:
            _ask(device, named.name, spaces)
        done = devices.revoke(store, named)
        meshing.start_node(memory)
    if as_json:
        documents.write(done)
        return
    output.line(f"{one_line(done.name)} is revoked from {one_line(', '.join(done.spaces))}.")
    if done.to_hear:
        output.note(f"It counts on {', '.join(done.to_hear)} as soon as each of them hears of it: nokosu devices")


def _ask(device: str, name: str, spaces: str) -> None:
    if not reading.is_dialogue():
        raise UsageError("revoke: it cannot be undone", hint=f"nokosu revoke {device} --yes", field="revoke")
    if not click.confirm(f"Revoke {one_line(name)} from {one_line(spaces)} for good?", err=True):
        raise Refused("nothing was changed")
