"""`nokosu brief`."""

from __future__ import annotations

import click

from nokosu import limits
from nokosu.cli import documents, options, output, start
from nokosu.cli.options import Whole


@click.command("brief", epilog=options.examples("nokosu brief", "nokosu brief --project nokosu --tokens 500"))
@click.option("--project", metavar="NAME|PATH", help="Of this project; else of the current one.")
@click.option(
    "--tokens",
    type=Whole(),
    metavar=f"{limits.BRIEF_TOKENS_MIN}-{limits.BRIEF_TOKENS_MAX}",
    default=limits.BRIEF_TOKENS_DEFAULT,
    show_default=True,
    help="How long it may be.",
)
@options.as_json
def command(project: str | None, tokens: int, *, as_json: bool) -> None:
    """Print what an agent should know before it starts: recent decisions and open warnings of the project."""
    with start.memory() as memory:
        brief = memory.brief(project, tokens)
    if as_json:
        documents.write(brief)
        return
    output.line(output.shown(brief.text).removesuffix("\n"))
    if brief.left_out:
        output.note(f"{brief.left_out} more were left out: --tokens raises the bound, nokosu list shows them")
