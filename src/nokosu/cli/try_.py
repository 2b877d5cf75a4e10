"""`nokosu try`."""

from __future__ import annotations

import click

from nokosu import tour
from nokosu.cli import options, output, start
from nokosu.tour import meaning


@click.command("try", epilog=options.examples("nokosu try", "nokosu try --meaning"))
@click.option(
    "--meaning", "by_meaning", is_flag=True, help="Show recall by meaning instead; the extra has to be installed."
)
def command(*, by_meaning: bool) -> int:
    """Take a guided tour of under a minute: two agents share notes in a throwaway home.

    Your own memories are not touched.
    """
    if by_meaning:
        return meaning.main(start.configuration(), echo=_echo)
    return tour.main(start.configuration(), echo=_echo)


def _echo(text: str = "") -> None:
    output.line(output.shown(text))
    output.flush()
