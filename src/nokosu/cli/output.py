"""What a command says: results on stdout, everything for the person beside it on stderr.

Text that came from elsewhere is never written raw: `one_line` and `shown` write out what a terminal would obey or hide.
Colour, tables and ages are for a terminal only, so that what a script reads stays the same.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import click

from nokosu.errors import NokosuError
from nokosu.security.display import visible

if TYPE_CHECKING:
    from io import TextIOWrapper

_COLUMNS_MIN: Final = 20  # a narrower terminal breaks our lines itself
_COLUMNS_MAX: Final = 120  # longer lines are hard to read
_COLUMNS_PIPED: Final = 100
_BROKEN_PIPE: Final = 141


class Screen(NamedTuple):
    """Where a result goes: whether to a terminal, whether that shows colour, and its width in columns."""

    is_terminal: bool
    has_colour: bool
    columns: int

    def strong(self, text: str) -> str:
        """Text that stands out."""
        return click.style(text, bold=True) if self.has_colour else text

    def faint(self, text: str) -> str:
        """Text that stands back."""
        return click.style(text, dim=True) if self.has_colour else text

    def coloured(self, text: str, colour: str) -> str:
        """Text in one of the terminal's colours."""
        return click.style(text, fg=colour) if self.has_colour else text


def screen() -> Screen:
    """What stdout is."""
    if not sys.stdout.isatty():
        return Screen(is_terminal=False, has_colour=False, columns=_COLUMNS_PIPED)
    columns = min(max(shutil.get_terminal_size().columns, _COLUMNS_MIN), _COLUMNS_MAX)
    has_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(is_terminal=True, has_colour=has_colour, columns=columns)


def prepare() -> None:
    """Make stdin, stdout and stderr fit for use: open, if only to nowhere, and UTF-8 in any locale."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file opened, the store perhaps, would take its place
            os.open(os.devnull, os.O_RDWR)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
        cast("TextIOWrapper", getattr(sys, name)).reconfigure(encoding="utf-8", errors="backslashreplace")


def shown(text: str) -> str:
    """Text from elsewhere as a terminal may be shown it; it keeps its lines."""
    return visible(text)


def one_line(text: str) -> str:
    """Text from elsewhere as a terminal may be shown it, on one line."""
    return visible(text).replace("\n", r"\n").replace("\t", " ")


def line(text: str = "") -> None:
    """Write a line of a result; what came from elsewhere in it has been through `shown` or `one_line`."""
    with handing_over():
        sys.stdout.write(text + "\n")


def document(encoded: bytes) -> None:
    """Write JSON exactly; for a terminal, what it would obey or hide is escaped as JSON does it."""
    if sys.stdout.isatty():
        text = encoded.decode()
        encoded = (text if visible(text) == text else "".join(map(_escaped, text))).encode()
    with handing_over():
        sys.stdout.flush()
        sys.stdout.buffer.write(encoded)


def note(text: str) -> None:
    """Tell the person something beside the result, on one line."""
    flush()
    with suppress(OSError):
        sys.stderr.write(one_line(text) + "\n")


def flush() -> None:
    """Hand over what was written; raises what `handing_over` does."""
    with handing_over():
        sys.stdout.flush()


@contextmanager
def handing_over() -> Iterator[None]:
    """Around whatever writes to stdout.

    Raises:
        BrokenPipeError: nobody reads it.
        NokosuError: it cannot be written, to a full disk perhaps.
    """
    try:
        yield
    except OSError as error:
        _abandon(1)
        if isinstance(error, BrokenPipeError):
            raise
        message = f"the command was carried out, but its result could not be written ({error.strerror})"
        raise NokosuError(message) from error


def fail(message: str, *, hint: str = "", code: int) -> int:
    """Say what is wrong and what to do next; returns the exit code."""
    with suppress(OSError, NokosuError):
        flush()
    with suppress(OSError):
        sys.stderr.write(f"Error: {one_line(message)}\n" + (f"Try: {one_line(hint)}\n" if hint else ""))
    return code


def finish(code: int) -> int:
    """Hand everything over at the end, so that Python has nothing left to do that can fail; returns the exit code."""
    try:
        flush()
    except BrokenPipeError:
        code = _BROKEN_PIPE
    except NokosuError as error:
        code = fail(error.message, code=error.exit_code)
    try:
        sys.stderr.flush()
    except OSError:
        _abandon(2)
    return code


def _abandon(number: int) -> None:
    """Let what cannot be written go nowhere, instead of failing again at each later attempt."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _escaped(char: str) -> str:
    if visible(char) == char:
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
