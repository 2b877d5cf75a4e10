"""`nokosu forget`."""

from __future__ import annotations

import click

from nokosu import clock, delivery, limits
from nokosu.cli import options, outcome, output, reading, start
from nokosu.errors import Refused, UsageError
from nokosu.memory import Memory


@click.command(
    "forget",
    help=f"""Hide the memory ID (a unique beginning of it is enough) everywhere, and print its id.

    It can be restored for {limits.RESTORE_DAYS} days. With --purge its text is erased for good, at once. Where other
    devices share it, they follow when they are heard of: nokosu show ID tells which have. In a space that is shared with
    other people a device can purge at once what it wrote itself, and the rest {limits.RESTORE_DAYS} days after it was forgotten.
    """,
    epilog=options.examples("nokosu forget 4k2m", "nokosu forget 4k2m --purge --dry-run"),
)
@click.argument("id")
@click.option("--purge", is_flag=True, help="Erase it for good; asks first.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def command(id: str, *, purge: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Hide a memory, or erase it for good."""
    with start.memory() as memory:
        if dry_run or (purge and not yes):
            found = memory.get(id, with_forgotten=True)
            verb = "purge, for good," if purge else "forget"
            if dry_run:
                output.line(f"would {verb} {_named(found)}; nothing was changed")
                return
            _ask(found)
        saved = memory.purge(id) if purge else memory.forget(id)
        status = memory.get(saved.id).status
    undo = "" if purge else f"Undo: nokosu restore {saved.id} (within {limits.RESTORE_DAYS} days)"
    effect = delivery.after(saved.delivery, saved.id, clock.system_wall_clock(), status=status)
    outcome.write(saved, as_json=as_json, effect=effect, hint=undo)


def _ask(memory: Memory) -> None:
    if not reading.is_dialogue():
        raise UsageError("purge: it cannot be undone", hint=f"nokosu forget {memory.id} --purge --yes", field="purge")
    if not click.confirm(f"Erase {_named(memory)} for good?", err=True):
        raise Refused("nothing was changed")


def _named(memory: Memory) -> str:
    return f"{memory.id} ({output.one_line(memory.subject)})" if memory.subject else memory.id
