"""`nokosu backup`."""

from __future__ import annotations

from pathlib import Path

import click

from nokosu.cli import options, output, start


@click.command("backup", epilog=options.examples("nokosu backup ~/nokosu-2026-03-31.db"))
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Copy the store, the device's key included, into FILE, which must not exist yet.

    Others may go on saving meanwhile. Only its owner can read the copy. To restore it, stop your agents, move the
    database that nokosu status names away together with its -wal and -shm files, and put the copy in its place.
    """
    with start.memory() as memory:
        size = memory.backup(file)
    output.line(output.one_line(f"{file}: {size:,} bytes"))
    output.note("Note: it holds this device's private key; keep it as safe as the original.")
