"""`nokosu try`."""

from __future__ import annotations

import click

from nokosu import tour
from nokosu.cli import options, output, start


@click.command("try", epilog=options.examples("nokosu try"))
def command() -> int:
    """Take a guided tour of under a minute: two agents share notes in a throwaway home.

    Your own memories are not touched.
    """
    return tour.main(start.configuration(), echo=_echo)


def _echo(text: str = "") -> None:
    output.line(output.shown(text))
    output.flush()
