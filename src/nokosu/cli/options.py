"""Options that several commands share. Their values are checked below, by `Draft`, `Change` and `Filters`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from nokosu import limits
from nokosu.drafts import TYPES
from nokosu.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Whole(click.ParamType[int]):
    """A whole number in plain digits: Python alone would read `٣` and `1_000` as well."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ARG002
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            field = (param.name if param else None) or self.name
            raise UsageError(f"{field}: {value[:40]!a} is not a whole number", field=field)
        return int(value)


def _types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    return [CompletionItem(type) for type in TYPES if type.startswith(incomplete)]


def _several(*decorators: Decorator) -> Decorator:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _type_option(text: str) -> Decorator:
    return click.option("--type", metavar="TYPE", shell_complete=_types, help=f"{text}: {', '.join(TYPES)}.")


def examples(*lines: str) -> str:
    """The end of a command's help: commands to try."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

from_file: Final = click.option(
    "--from-file", "file", type=click.Path(path_type=Path), metavar="PATH", help="Take the text from a file."
)

listen: Final = click.option(
    "--listen", metavar="ADDRESS", help="The one address of this device to listen at; 0.0.0.0 is all of them."
)
port: Final = click.option(
    "--port", type=Whole(), metavar="N", default=0, help="The port where the other devices reach this one from now on."
)


def check_port(number: int, field: str) -> int:
    """A port, or 0 for one that is chosen.

    Raises:
        UsageError: it is neither.
    """
    if not 0 <= number < 1 << 16:
        raise UsageError(f"{field}: {number} is not from 1 to 65535", field=field)
    return number


fields: Final = _several(
    click.option("--subject", metavar="LINE", help="A title of one line; else the first line of the text stands in."),
    _type_option("What kind of memory it is"),
    click.option("--project", metavar="NAME|PATH", help="Its project; else the one of the current folder."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; give it again for more."),
    click.option("--ref", "refs", multiple=True, metavar="REF", help="A file, commit or URL; give it again for more."),
    click.option("--importance", type=Whole(), metavar="1-5", help="How much it matters; 5 the most."),
    click.option("--supersedes", multiple=True, metavar="ID", help="A memory that this one replaces; may be repeated."),
    click.option("--expires", metavar="DATE|TIME", help="When it ends: 2026-03-31 or 2026-03-31T18:00:00Z."),
)
"""What a memory is saved with; each is None or empty when it is not given."""

filters: Final = _several(
    click.option(
        "--project",
        metavar="NAME|PATH",
        help="Only this project; else search puts the current one first, and list shows it alone.",
    ),
    click.option("--all-projects", is_flag=True, help="All projects alike, the current one too."),
    _type_option("Only this kind"),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag; of several, with all."),
    click.option("--agent", metavar="NAME", help="Only what this agent wrote."),
    click.option("--device", metavar="NAME", help="Only what was written on this device."),
    click.option("--space", metavar="NAME", help="Only this space."),
    click.option("--since", metavar="DATE|TIME", help="Only what was written then or later."),
    click.option("--until", metavar="DATE|TIME", help="Only what was written then or before."),
    click.option(
        "--limit",
        type=Whole(),
        metavar=f"1-{limits.RESULTS_MAX}",
        default=limits.RESULTS_DEFAULT,
        show_default=True,
        help="How many to show at most.",
    ),
    click.option("--superseded", "include_superseded", is_flag=True, help="Show superseded ones too."),
    click.option("--forgotten", "include_forgotten", is_flag=True, help="Show forgotten ones too."),
    click.option("--expired", "include_expired", is_flag=True, help="Show expired ones too."),
)
"""Which memories a search or listing is about: the fields of `Filters`."""
