"""`nokosu search`."""

from __future__ import annotations

from typing import Any

import click

from nokosu.cli import found, options, start
from nokosu.drafts import Query


@click.command(
    "search",
    epilog=options.examples(
        "nokosu search where do deploys run from",
        "nokosu search 'get_user_by_id \"row lock\"' --type bug --since 2026-01-01",
        "nokosu search deploy --json | jq -r '.hits[].id'",
    ),
)
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@options.filters
@options.as_json
def command(words: tuple[str, ...], *, as_json: bool, **filters: Any) -> int:
    """Find memories by their words, best first; exit code 1 if there are none.

    Every QUERY is literal text; "words in quotes" stand side by side. One that begins with a hyphen stands after --.
    The current project comes first, and a few stronger memories from elsewhere are marked so.
    """
    query = Query(text=" ".join(words), **filters)
    with start.memory() as memory:
        hits = memory.search(query)
    if as_json:
        return found.as_json(hits)
    return found.at_length(hits, query)
