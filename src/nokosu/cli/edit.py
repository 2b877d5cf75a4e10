"""`nokosu edit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from nokosu.cli import options, outcome, output, reading, start
from nokosu.drafts import Change
from nokosu.errors import UsageError
from nokosu.nokosu import Nokosu

_EMPTY: Final = {"subject": "", "project": "", "tags": (), "refs": (), "importance": 0, "supersedes": (), "expires": ""}


@click.command(
    "edit",
    epilog=options.examples(
        "nokosu edit 4k2m",
        'nokosu edit 4k2m --text "Deploys run from release branches." --tag deploy --tag release',
        "nokosu edit 4k2m --clear expires",
    ),
)
@click.argument("id")
@click.option("--text", metavar="TEXT|-", help="The new text; - takes it from stdin.")
@options.from_file
@options.fields
@click.option("--clear", multiple=True, type=click.Choice(list(_EMPTY)), help="Take a value away; may be repeated.")
@options.as_json
def command(
    id: str, text: str | None, file: Path | None, clear: tuple[str, ...], *, as_json: bool, **fields: Any
) -> None:
    """Change the memory ID (a unique beginning of it is enough) and print its id.

    What is given replaces what was there: --tag all tags, --ref all references. The older version stays in the history.
    With nothing given, an editor opens on the text.
    """
    given = {name: value for name, value in fields.items() if value is not None and value != ()}
    for name in clear:
        if name in given:
            raise UsageError(f"{name}: both given and cleared", field=name)
        given[name] = _EMPTY[name]
    if text is not None or file is not None:
        words = () if text is None else (text,)
        given["text"] = reading.one_text(words, file, usage=f'nokosu edit {id} --text "TEXT"')
    with start.memory() as memory:
        if not given and reading.is_dialogue():
            _in_editor(memory, id, as_json=as_json)
        else:
            outcome.write(memory.edit(id, Change(**given)), as_json=as_json)


def _in_editor(memory: Nokosu, id: str, *, as_json: bool) -> None:
    """Let the person change the text in $EDITOR."""
    old = memory.get(id)
    edited = click.edit(old.text)
    if edited is not None and not old.text.endswith("\n"):
        edited = edited.removesuffix("\n")
    if edited is None or edited == old.text:
        output.note("Nothing was changed.")
        return
    outcome.write(memory.edit(old.id, Change(text=edited)), as_json=as_json)
