"""`nokosu rebuild`."""

from __future__ import annotations

import click

from nokosu.cli import documents, layout, options, output, start
from nokosu.memory import RebuiltVectors
from nokosu.nokosu import Nokosu
from nokosu.semantic import known


@click.command("rebuild", epilog=options.examples("nokosu rebuild", "nokosu rebuild --vectors"))
@click.option("--vectors", is_flag=True, help="Instead have the embedder read all memories anew, in the background.")
@options.as_json
def command(*, vectors: bool, as_json: bool) -> None:
    """Make the search index anew from the log, which is the truth. Nothing that was saved changes."""
    with start.memory() as memory:
        if vectors:
            _vectors(memory, as_json=as_json)
            return
        rebuilt = memory.rebuild()
    if as_json:
        documents.write(rebuilt)
    else:
        memories = layout.counted(rebuilt.memories, "memory", "memories")
        output.line(f"{memories} indexed anew in {rebuilt.seconds:.1f} s")


def _vectors(memory: Nokosu, *, as_json: bool) -> None:
    cleared = memory.rebuild_vectors()
    if as_json:
        documents.write(RebuiltVectors(memories=cleared))
        return
    memories = layout.counted(cleared, "memory", "memories")
    hint = "nokosu status tells how far it is" if known.are_installed() else f"nothing reads them here: {known.INSTALL}"
    output.line(f"Vectors of {memories} thrown away; {hint}")
