"""`nokosu export`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from nokosu.cli import layout, options, output, start
from nokosu.errors import NokosuError, Refused, UsageError
from nokosu.nokosu import Nokosu
from nokosu.transfer import exporting
from nokosu.transfer.exporting import Exported


@click.command(
    "export", epilog=options.examples("nokosu export memories.jsonl", "nokosu export | gzip > memories.jsonl.gz")
)
@click.argument("file", type=click.Path(path_type=Path), default="-", metavar="[FILE|-]")
def command(file: Path) -> None:
    """Write all memories as JSON lines to FILE, which must not exist yet, or to a pipe.

    Forgotten memories are marked; purged ones are not there any more. What this device wrote in a space after it was
    removed from it counts nowhere; it is written at the end, marked as removed.
    """
    with start.memory() as memory:
        done = _to_stdout(memory) if str(file) == "-" else _to_file(memory, file)
    output.note(f"{layout.counted(done.memories, 'memory', 'memories')} exported")
    if done.removed:
        output.note(
            f"{done.removed:,} of them only this device has: it was removed from their space before (status removed)"
        )


def _to_stdout(memory: Nokosu) -> Exported:
    if sys.stdout.isatty():
        raise UsageError("export: a terminal is no place for it", hint="nokosu export FILE", field="file")
    with output.handing_over():
        return exporting.export(memory, sys.stdout.buffer)


def _to_file(memory: Nokosu, file: Path) -> Exported:
    """Write beside *file* and move it there when it is whole."""
    if file.exists():
        raise Refused(f"{file} exists already", hint="choose another name", field="file")
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with beside.open("xb") as stream:
            done = exporting.export(memory, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.rename(file)
    except OSError as error:
        raise NokosuError(f"nothing was exported: {file} cannot be written ({error.strerror})", field="file") from error
    finally:
        beside.unlink(missing_ok=True)
    return done
