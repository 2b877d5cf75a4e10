"""`nokosu verify`."""

from __future__ import annotations

import click

from nokosu.cli import documents, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.errors import StoreDamaged
from nokosu.memory import Problem


@click.command("verify", epilog=options.examples("nokosu verify", "nokosu verify --json"))
@options.as_json
def command(*, as_json: bool) -> int:
    """Check every record against its signature, hash and chain, and the index against the log.

    Each problem is named by its record; exit code 4 if there is one. It changes nothing.
    """
    with start.memory() as memory:
        verified = memory.verify()
    if as_json:
        documents.write(verified)
    else:
        for problem in verified.problems:
            output.line(_line(problem))
        records, logs = counted(verified.records, "record"), counted(verified.logs, "log")
        memories = counted(verified.memories, "memory", "memories")
        problems = counted(len(verified.problems), "problem")
        output.line(f"{records} in {logs}, {memories} checked: {problems}")
        if verified.waiting:
            wait = "record waits" if verified.waiting == 1 else "records wait"
            output.line(f"{verified.waiting} {wait} for others before them, which have not arrived yet (nokosu sync)")
    return StoreDamaged.exit_code if verified.problems else 0


def _line(problem: Problem) -> str:
    memory = f" (memory {problem.memory})" if problem.memory else ""
    return one_line(f"{problem.where}: {problem.what}{memory}")
