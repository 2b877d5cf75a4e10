"""The text of a memory from where the person put it: an argument, stdin, or a file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final

from nokosu import limits
from nokosu.cli import output
from nokosu.errors import UsageError

STDIN: Final = "-"
_LINE_END_BYTES: Final = 2


def one_text(words: tuple[str, ...], file: Path | None, *, usage: str) -> str:
    """The text: exactly one of one argument, of `-` for stdin, and of *file*; *usage* is the hint when it is not.

    The line end that closes stdin or a file is not part of the text.

    Raises:
        UsageError: none or several were given, or what was given is too large, not UTF-8, or cannot be read.
    """
    if len(words) > 1:
        raise UsageError("text: several words: put the text in quotes", hint=usage, field="text")
    if bool(words) == (file is not None):
        raise UsageError("text: give one of TEXT, - for stdin, and --from-file", hint=usage, field="text")
    if words and words[0] != STDIN:
        return words[0]
    return _decoded(_read(file), _name(file))


def is_dialogue() -> bool:
    """Whether a person sits before stdin and stdout, who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _read(file: Path | None) -> bytes:
    """What *file*, or stdin, holds; no more of it is read than may be saved."""
    try:
        with open(0, "rb", closefd=False) if file is None else file.open("rb") as stream:
            if stream.isatty():
                output.note("Type the text, and end it with Ctrl-D on a line of its own.")
            return _bounded(stream, _name(file))
    except OSError as error:
        raise UsageError(f"text: {_name(file)} cannot be read ({error.strerror})", field="text") from error


def _bounded(stream: BinaryIO, name: str) -> bytes:
    bytes_max = limits.TEXT_BYTES_MAX + _LINE_END_BYTES
    state = os.fstat(stream.fileno())
    if stat.S_ISREG(state.st_mode) and state.st_size > bytes_max:
        raise _too_large(name, str(state.st_size))
    data = stream.read(bytes_max)
    text = data[:-1].removesuffix(b"\r") if data.endswith(b"\n") else data
    if len(text) > limits.TEXT_BYTES_MAX:
        raise _too_large(name, f"more than {limits.TEXT_BYTES_MAX}")
    return text


def _too_large(name: str, size: str) -> UsageError:
    message = f"text: {name} holds {size} bytes, at most {limits.TEXT_BYTES_MAX}"
    return UsageError(message, hint="save what matters in it, and name the rest with --ref", field="text")


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"text: {name} is not valid UTF-8 (byte {error.start})", field="text") from error


def _name(file: Path | None) -> str:
    return "stdin" if file is None else str(file)
