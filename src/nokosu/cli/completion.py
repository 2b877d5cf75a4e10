"""`nokosu completion`."""

from __future__ import annotations

from typing import Final

import click

from nokosu.cli import output

_LINES: Final = {  # the shell, where to paste the line, and the line
    "bash": ("~/.bashrc", 'eval "$(_NOKOSU_COMPLETE=bash_source nokosu)"'),
    "zsh": ("~/.zshrc", 'eval "$(_NOKOSU_COMPLETE=zsh_source nokosu)"'),
    "fish": ("~/.config/fish/config.fish", "_NOKOSU_COMPLETE=fish_source nokosu | source"),
}


@click.command("completion", epilog="\b\nExamples:\n  nokosu completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(list(_LINES)))
def command(shell: str) -> None:
    """Print the line that turns on completion in SHELL."""
    place, line = _LINES[shell]
    output.line(line)
    output.note(f"Paste it at the end of {place}, and open a new shell.")
