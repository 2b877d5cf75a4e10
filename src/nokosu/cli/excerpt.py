"""The few lines of a long text around the words that were asked for.

Pure, and for the eye only: what matched is for the index to say.
"""

from __future__ import annotations

import re
from itertools import islice

from nokosu.cli import layout

_MATCHES_MAX = 256  # looked at for the best place
_LEAD = 6  # the place begins this share of the excerpt before its first match
_ENDING_CHARS = 2  # of a longer word, left open: deploys finds deploying
_STEM_CHARS_MIN = 4
_CJK = "\u2e80"  # from here on, words are not separated by blanks


def excerpt(text: str, query: str, *, columns: int, lines: int) -> list[str]:
    """At most *lines* lines of *text*, from where most words of *query* stand together, else from its beginning."""
    flat = " ".join(text.split())
    size = columns * lines
    start = _start(flat, words(query), size)
    found = layout.wrapped(("…" if start else "") + flat[start : start + size], columns)
    if len(found) > lines or start + size < len(flat):
        last = found[:lines][-1]
        found[lines - 1 :] = [layout.cut(f"{last} …", columns)]
    return found


def words(query: str) -> re.Pattern[str] | None:
    """What finds the words of *query*, their other endings too; of scripts without blanks, pairs of characters."""
    needles = dict.fromkeys(needle for word in re.findall(r"[^\W_]+", query) for needle in _needles(word))
    longest_first = sorted(needles, key=len, reverse=True)
    return re.compile("|".join(longest_first), re.IGNORECASE) if needles else None


def _needles(word: str) -> list[str]:
    if any(char >= _CJK for char in word):
        return [re.escape(word[at : at + 2]) for at in range(max(len(word) - 1, 1))]
    if word.isascii() and len(word) > _STEM_CHARS_MIN + _ENDING_CHARS:
        return [rf"\b{word[:-_ENDING_CHARS]}\w*"]
    return [
        rf"\b{re.escape(word)}\w{{0,{_ENDING_CHARS}}}\b" if len(word) < _STEM_CHARS_MIN else rf"\b{re.escape(word)}\w*"
    ]


def _start(flat: str, pattern: re.Pattern[str] | None, size: int) -> int:
    """Where the excerpt begins: a little before the match that has the most different words within reach."""
    if pattern is None or len(flat) <= size:
        return 0
    matches = [(match.start(), match[0].casefold()) for match in islice(pattern.finditer(flat), _MATCHES_MAX)]
    best, most = 0, 0
    for first, _ in matches:
        found = len({word for at, word in matches if first <= at < first + size - size // _LEAD})
        if found > most:
            best, most = first, found
    start = max(0, min(best - size // _LEAD, len(flat) - size))
    return flat.find(" ", start, best) + 1 or start if start else 0
