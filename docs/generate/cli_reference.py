"""The page of all commands: what `nokosu COMMAND --help` prints, of each."""

from __future__ import annotations

from typing import Final

import click

from nokosu.cli import COMMANDS, group

COLUMNS: Final = 100


def write() -> str:
    """A section for each command, in the order of the help."""
    context = click.Context(group, info_name="nokosu", terminal_width=COLUMNS, **group.context_settings)
    parts = [_section("nokosu", group.get_help(context))]
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, parent=context, info_name=name, terminal_width=COLUMNS)
        parts.append(_section(f"nokosu {name}", command.get_help(own)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"
