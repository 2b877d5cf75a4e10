"""What a repository itself tells its agents: the text of CLAUDE.md and AGENTS.md where somebody works, and up to its top.

They are only read to see what need not be told again, so nothing about them is an error: what is no small text file of this
repository is left alone, and it is said why. A file is read without waiting on pipes, and a link is followed only inside the
repository (one of the two is often a link to the other).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu import limits

NAMES: Final = ("AGENTS.md", "CLAUDE.md")


class Guide(Struct, frozen=True):
    """One file: its name as seen from the top of the repository, its text, or why it was not read."""

    name: str
    text: str = ""
    unread: str = ""


def guides(folder: Path, top: Path) -> list[Guide]:
    """The files for *folder*, nearest first, up to *top*; each once, whatever names lead to it."""
    found: dict[str, Guide] = {}
    for place in _up_to(folder, top):
        for name in NAMES:
            path = place / name
            if os.path.lexists(path):
                real = os.path.realpath(path)
                found.setdefault(real, _guide(_shown(os.path.relpath(path, top)), Path(real), top))
    return list(found.values())


def _shown(name: str) -> str:
    """A name that need not be UTF-8, as text that can be told to anybody."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _up_to(folder: Path, top: Path) -> Iterator[Path]:
    """The folder and those above it, up to *top*; only *top* if that is not above it."""
    real, end = Path(os.path.realpath(folder)), Path(os.path.realpath(top))
    places = [place for place in (real, *real.parents) if place == end or end in place.parents]
    yield from places[:-1][: limits.GUIDE_FOLDERS_MAX - 1]
    yield end


def _guide(name: str, real: Path, top: Path) -> Guide:
    if Path(os.path.realpath(top)) not in real.parents:
        return Guide(name, unread="a link out of the repository")
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        return Guide(name, unread=(error.strerror or "not readable").lower())
    try:
        return _read(name, handle)
    finally:
        os.close(handle)


def _read(name: str, handle: int) -> Guide:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return Guide(name, unread="not a file")
    try:
        data = os.read(handle, limits.GUIDE_BYTES_MAX + 1)
    except OSError as error:
        return Guide(name, unread=(error.strerror or "not readable").lower())
    if len(data) > limits.GUIDE_BYTES_MAX:
        return Guide(name, unread=f"longer than {limits.GUIDE_BYTES_MAX // 1024} KiB")
    try:
        return Guide(name, text=data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Guide(name, unread="not UTF-8")
