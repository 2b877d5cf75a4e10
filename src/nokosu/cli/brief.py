"""`nokosu brief`."""

from __future__ import annotations

import click

from nokosu import limits
from nokosu.cli import documents, options, output, start
from nokosu.cli.options import Whole


@click.command(
    "brief", epilog=options.examples("nokosu brief", "nokosu brief --project nokosu --tokens 500 --since 2026-03-31")
)
@click.option("--project", metavar="NAME|PATH", help="Of this project; else of the current one.")
@click.option(
    "--tokens",
    type=Whole(),
    metavar=f"{limits.BRIEF_TOKENS_MIN}-{limits.BRIEF_TOKENS_MAX}",
    default=limits.BRIEF_TOKENS_DEFAULT,
    show_default=True,
    help="How long it may be.",
)
@click.option(
    "--since", metavar="DATE|TIME", help="News are what others wrote since then; else since you were told last."
)
@options.as_json
def command(project: str | None, tokens: int, since: str | None, *, as_json: bool) -> None:
    """Print what an agent should know before it starts: what is new, what stands, what to look out for.

    What AGENTS.md or CLAUDE.md of the repository says already is left out, and the last line says what else.
    """
    with start.memory() as memory:
        brief = memory.brief(project, tokens, since=since)
        if as_json:
            documents.write(brief)
        else:
            output.line(output.shown(brief.text).removesuffix("\n"))
        memory.told()
    for note in brief.notes if not as_json else ():
        output.note(f"Note: {output.one_line(note)}")
