"""`nokosu space`."""

from __future__ import annotations

import os

import click
from msgspec import Struct

from nokosu import ids
from nokosu.cli import documents, layout, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.memory import SpaceStatus
from nokosu.store import membership


class Created(Struct, frozen=True):
    """A space that was made."""

    name: str
    id: str


@click.group(
    "space",
    epilog=options.examples("nokosu space list", "nokosu space create team", "nokosu invite --space team"),
)
def command() -> None:
    """List the spaces of this device, or make one to share with others.

    A space is who shares: personal is yours, on all your devices; local never leaves this one; in any other there is only
    what is saved into it (nokosu save --space NAME, or a project's setting).
    """


@command.command("list", epilog=options.examples("nokosu space list", "nokosu space list --json"))
@options.as_json
def listing(*, as_json: bool) -> None:
    """List the spaces of this device."""
    with start.memory() as memory:
        spaces = memory.status().spaces
    if as_json:
        documents.write(spaces)
        return
    rows = [
        (one_line(space.name), counted(space.memories, "memory", "memories"), _who(space), space.id) for space in spaces
    ]
    for line in layout.table(rows, (30, 20, 40), total=output.screen().columns) if rows else ():
        output.line(line)
    if not rows:
        output.note("No space yet: they are made at the first save.")


@command.command("create", epilog=options.examples("nokosu space create team"))
@click.argument("name")
@options.as_json
def create(name: str, *, as_json: bool) -> None:
    """Make the space NAME, of this device alone until it invites others."""
    with start.memory() as memory:
        database, _ = memory.store()
        with database.write() as connection:
            space = membership.create_space(connection, name, os.urandom)
    if as_json:
        documents.write(Created(space.name, ids.grouped(space.id)))
        return
    output.line(f"{one_line(space.name)} is here, on this device alone.")
    output.note(f"Next: nokosu invite --space {_quoted(name)}")


def _who(space: SpaceStatus) -> str:
    if space.name == "local":
        return "never leaves this device"
    members = [one for one in space.devices if not one.revoked]
    return counted(max(len(members), 1), "device")


def _quoted(name: str) -> str:
    return name if name.isalnum() else f"'{name}'"
