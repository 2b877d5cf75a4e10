"""Text in columns of a terminal, where a Japanese character is two wide and a combining mark none. Pure.

Source: UAX 11, East Asian Width.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_ELLIPSIS: Final = "…"
_GAP: Final = "  "
_LAST_COLUMNS_MIN: Final = 20


def width(text: str) -> int:
    """How many columns *text* takes.

    >>> width("memory"), width("記憶"), width("e\u0301")
    (6, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_char_width, text))


def cut(text: str, columns: int) -> str:
    """*text* if it fits, else its beginning and an ellipsis."""
    return text if width(text) <= columns else _beginning(text, columns - 1) + _ELLIPSIS


def padded(text: str, columns: int) -> str:
    """*text* cut or filled with blanks to exactly so many columns."""
    short = cut(text, columns)
    return short + " " * (columns - width(short))


def wrapped(text: str, columns: int) -> list[str]:
    """*text* in lines of at most so many columns, broken at blanks, or anywhere inside what is longer than a line."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if line and width(joined) > columns >= width(word):
            lines.append(line)
            joined = word
        while width(joined) > columns:
            lines.append(_beginning(joined, columns) or joined[0])
            joined = joined[len(lines[-1]) :].lstrip()
        line = joined
    return [*lines, line] if line else lines


def counted(count: int, one: str, several: str = "") -> str:
    """A number and its noun: 1 memory, 2,000 memories."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def size(count: int) -> str:
    """A number of bytes: 512 B, 1.5 MiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def labelled(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each pair whose value is not empty, the values below each other."""
    kept = [(label, value) for label, value in pairs if value]
    columns = max((width(label) for label, _ in kept), default=0)
    return [f"{padded(label, columns)}  {value}" for label, value in kept]


def table(rows: Sequence[Sequence[str]], columns_max: Sequence[int], *, total: int) -> list[str]:
    """Rows with their cells below each other, each cut at its bound; the last takes what is left of *total* columns."""
    columns = [min(max(width(row[at]) for row in rows), most) for at, most in enumerate(columns_max)]
    columns.append(max(total - sum(columns) - len(_GAP) * len(columns), _LAST_COLUMNS_MIN))
    return ["  ".join([*map(padded, row[:-1], columns[:-1]), cut(row[-1], columns[-1])]).rstrip() for row in rows]


def _beginning(text: str, columns: int) -> str:
    taken = 0
    for at, char in enumerate(text):
        taken += _char_width(char)
        if taken > columns:
            return text[:at]
    return text


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
