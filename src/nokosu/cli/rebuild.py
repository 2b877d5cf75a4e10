"""`nokosu rebuild`."""

from __future__ import annotations

import click

from nokosu.cli import documents, layout, options, output, start


@click.command("rebuild", epilog=options.examples("nokosu rebuild"))
@options.as_json
def command(*, as_json: bool) -> None:
    """Make the search index anew from the log, which is the truth. Nothing that was saved changes."""
    with start.memory() as memory:
        rebuilt = memory.rebuild()
    if as_json:
        documents.write(rebuilt)
    else:
        memories = layout.counted(rebuilt.memories, "memory", "memories")
        output.line(f"{memories} indexed anew in {rebuilt.seconds:.1f} s")
