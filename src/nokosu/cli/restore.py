"""`nokosu restore`."""

from __future__ import annotations

import click

from nokosu.cli import options, outcome, start


@click.command("restore", epilog=options.examples("nokosu list --forgotten", "nokosu restore 4k2m"))
@click.argument("id")
@options.as_json
def command(id: str, *, as_json: bool) -> None:
    """Bring the forgotten memory ID (a unique beginning of it is enough) back, and print its id."""
    with start.memory() as memory:
        saved = memory.restore(id)
    outcome.write(saved, as_json=as_json)
