"""`nokosu save`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from nokosu import limits
from nokosu.cli import options, outcome, output, reading, start
from nokosu.drafts import Draft
from nokosu.errors import NokosuError
from nokosu.semantic import process

_HELP = f"""Save a memory and print its id.

TEXT is taken literally, up to {limits.TEXT_BYTES_MAX // 1024} KiB; - takes it from stdin. Text that begins with a
hyphen stands after --. When the id is printed, the memory is on the disk. Saving the same text again changes nothing
and prints the same id. Keys and tokens in it are masked.
"""


@click.command(
    "save",
    help=_HELP,
    epilog=options.examples(
        'nokosu save "Deploys run from the main branch only." --type decision --tag deploy',
        "git log -1 --format=%B | nokosu save - --ref HEAD",
        'nokosu save -- "--force is forbidden here"',
    ),
)
@click.argument("words", metavar="TEXT", nargs=-1)
@options.from_file
@options.fields
@click.option("--space", metavar="NAME", help="The space to save it in; else your personal one.")
@options.as_json
def command(words: tuple[str, ...], file: Path | None, space: str | None, *, as_json: bool, **fields: Any) -> None:
    """Save a memory and print its id."""
    text = reading.one_text(words, file, usage='nokosu save "TEXT"')
    given = {name: value for name, value in fields.items() if value is not None}
    with start.memory() as memory:
        source = "agent" if memory.config.author.agent else "person"
        saved = memory.save(Draft(text=text, source=source, **given), space=space)
        outcome.write(saved, as_json=as_json)
        output.flush()
        with suppress(NokosuError):  # the memory is saved and said to be; the next save looks again
            memory.complete_project()
        process.start_if_needed(memory.config)  # it is read for its meaning in the background
