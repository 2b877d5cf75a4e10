"""`nokosu doctor`."""

from __future__ import annotations

from typing import Final

import click

from nokosu.cli import documents, options, output, start
from nokosu.cli.output import Screen, one_line
from nokosu.doctor import Result, examine
from nokosu.errors import StoreError

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor", epilog=options.examples("nokosu doctor", "nokosu doctor --json"))
@options.as_json
def command(*, as_json: bool) -> int:
    """Examine this installation and its store, and say what to do; exit code 4 if something is broken."""
    results = examine(start.configuration())
    if as_json:
        documents.write(results)
    else:
        screen = output.screen()
        for result in results:
            _write(result, screen)
    return StoreError.exit_code if any(result.level == "fail" for result in results) else 0


def _write(result: Result, screen: Screen) -> None:
    level = screen.coloured(f"{result.level:4}", _COLOURS[result.level])
    output.line(f"{level}  {one_line(result.name)}: {one_line(result.summary)}")
    for detail in result.details:
        output.line(f"      {one_line(detail)}")
    if result.hint:
        output.line(f"      Try: {one_line(result.hint)}")
