"""When a question asks for: "in March", "last week", "the latest", 先週, 3月の時点. Pure: now and the zone are arguments.

A time that is said outright ("in March", "since Monday", 先週, 三月に) narrows the search to it, and its words are no words to look
for. A month that only stands beside a noun ("the July benchmark", 9月のまとめ) is a hint: it stays a word, and memories of that
month count for more. "Latest" and its like ask for an order. Whatever is quoted is text.

Days, weeks (from Monday) and months are those of the zone, by default the one of this machine.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import tzinfo
from typing import Final

from msgspec import Struct

from nokosu.search.calendar import Calendar, Span
from nokosu.search.phrases import ANY_TIME, HINTS, NEWEST, OUTRIGHT, Phrases

__all__ = ["Asked", "Span", "read"]

_QUOTED: Final = re.compile('"[^"]*"|“[^“”]*”|「[^「」]*」')


class Asked(Struct, frozen=True):
    """What a question says of time: the words that are left, the time that it narrows to or hints at, and whether the newest
    come first.
    """

    words: str
    only: Span | None = None
    hint: Span | None = None
    newest_first: bool = False


def read(query: str, now_ms: int, zone: tzinfo | None = None) -> Asked:
    """What *query* says of time; of several times, the first that is said outright."""
    if not ANY_TIME.search(query):
        return Asked(query)
    quoted = _QUOTED.findall(query)
    left = _QUOTED.sub(" ", unicodedata.normalize("NFKC", query))
    only, left = _first(OUTRIGHT, left, Calendar(now_ms, zone))
    hint = None if only is not None else _first(HINTS, left, Calendar(now_ms, zone))[0]
    newest_first, left = _newest(left)
    words = " ".join((left.strip(), *quoted)) if (only is not None or newest_first) else query
    return Asked(words.strip(), only, hint, newest_first)


def _first(phrases: Phrases, text: str, calendar: Calendar) -> tuple[Span | None, str]:
    """The first time that one of *phrases* says, and the text without it."""
    for pattern, reading in phrases:
        for match in pattern.finditer(text):
            try:
                span = reading(match, calendar)
            except (ValueError, OverflowError):  # the 31st of June, the year 0
                continue
            if span is not None:
                return span, f"{text[: match.start()]} {text[match.end() :]}"
    return None, text


def _newest(text: str) -> tuple[bool, str]:
    found = NEWEST.search(text)
    return (True, NEWEST.sub(" ", text)) if found else (False, text)
