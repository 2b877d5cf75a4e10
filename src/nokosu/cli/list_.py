"""`nokosu list`."""

from __future__ import annotations

from typing import Any

import click

from nokosu.cli import found, options, start
from nokosu.drafts import Filters


@click.command(
    "list",
    epilog=options.examples(
        "nokosu list", "nokosu list --type decision --since 2026-01-01 --limit 50", "nokosu list --json"
    ),
)
@options.filters
@options.as_json
def command(*, as_json: bool, **filters: Any) -> int:
    """List the memories last written, newest first; exit code 1 if there are none.

    To a pipe it writes one line a memory, with tabs between id, type, project, time, author and subject.
    """
    asked = Filters(**filters)
    with start.memory() as memory:
        hits = memory.list(asked)
    if as_json:
        return found.as_json(hits)
    return found.in_lines(hits, asked)
