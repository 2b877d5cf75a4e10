"""The page of all commands: what `nokosu COMMAND --help` prints, of each, and of those below a command too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from nokosu.cli import COMMANDS, group

COLUMNS: Final = 100


def write() -> str:
    """A section for each command, in the order of the help, and one below it for each of its own commands."""
    context = click.Context(group, info_name="nokosu", terminal_width=COLUMNS, **group.context_settings)
    parts = [_section("## nokosu", group.get_help(context))]
    for name in COMMANDS:
        parts += _sections(context, group, name, "## nokosu")
    return "\n".join(parts)


def _sections(context: click.Context, parent: click.Group, name: str, heading: str) -> Iterator[str]:
    command = parent.get_command(context, name)
    assert command is not None
    own = click.Context(command, parent=context, info_name=name, terminal_width=COLUMNS)
    yield _section(f"{heading} {name}", command.get_help(own))
    if isinstance(command, click.Group):
        for below in command.list_commands(own):
            yield from _sections(own, command, below, f"#{heading} {name}")


def _section(heading: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"{heading}\n\n```text\n{lines}\n```\n"
