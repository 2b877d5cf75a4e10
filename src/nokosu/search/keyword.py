"""Candidates by keyword: which memories hold the words of a query, ranked by BM25 inside FTS5.

A short query first asks for all of its words. If that brings too little, and for longer queries at once, the shape is
`(rare) OR ((rare) AND (common))`: a memory needs one of the query's rarer words, and the common ones still add to its score; words
in more than a quarter of the store are left out, since they add nothing but time. That costs a fraction of OR-ing every
word and was measured to find the same.

A query that matches thousands of memories says too little to choose among them all: it is ranked among the newest few thousand, and
among those that have it in subject or tags.

Source: BM25, Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), as FTS5 implements it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.search import text
from nokosu.search.text import Terms
from nokosu.store.sqlite import Connection

WEIGHTS: Final = (4.0, 1.0, 3.0, 1.0, 0.0)  # subject, body, tags, extra, scope
WORDS_ASKED_TOGETHER_MAX: Final = 3
RARE_TERMS_MIN: Final = 2
RARE_SHARE_MAX: Final = 0.01  # of the store: more rare terms are taken while their rows stay below this
COMMON_SHARE_MAX: Final = 0.25  # of the store: words in more of it are left out
_RARE_ROWS_MIN: Final = 200  # ... and below this in a small store
_SAMPLE_ROWS: Final = 200  # the newest memories, for a guess at how common a word is
_WIDER: Final = 4
_LIKE_A_FILTER: Final = re.compile(r"[0-9]{12}")  # filter tokens are numbers of 19 digits

_RANKED: Final = (
    "SELECT rowid, rank FROM word WHERE word MATCH ? AND rowid >= ? AND rank MATCH "
    f"'bm25({', '.join(map(str, WEIGHTS))})' ORDER BY rank LIMIT ? OFFSET ?"
)
_COUNTED: Final = "SELECT count(*) FROM (SELECT 1 FROM word WHERE word MATCH ? AND rowid >= ? LIMIT ?)"


class Match(Struct, frozen=True):
    """An FTS5 expression, and the same for subject and tags alone."""

    expression: str
    titled: str


class Candidate(Struct, frozen=True):
    """A memory's number and its score; the higher, the better."""

    n: int
    score: float


def expressions(connection: Connection, terms: Terms) -> Iterator[str]:
    """The FTS5 expressions to try for a query, strictest first; each is made when it is asked for."""
    phrases = [phrase.expression for phrase in terms.phrases]
    words = [word.expression for word in terms.words]
    if len(words) <= WORDS_ASKED_TOGETHER_MAX and (phrases or words):
        yield _text_only(_all_of([*phrases, *words]))
    tokens = [token.expression for token in terms.tokens]
    if len(tokens) > 1:
        yield _text_only(_all_of([*phrases, _shape(connection, tokens)]))
    elif len(words) > WORDS_ASKED_TOGETHER_MAX:
        yield _text_only(_all_of([*phrases, *tokens]))


def _text_only(expression: str) -> str:
    """Keep a query that holds so long a number from matching a filter token; the column filter costs a tenth of a search."""
    return text.scoped(expression) if _LIKE_A_FILTER.search(expression) else expression


def narrowed(expression: str, scope: str) -> Match:
    """What matches *expression* where the filter *scope*, if there is one, does too."""
    titled = f"{{subject tags}} : ({expression})"
    if not scope:
        return Match(expression, titled)
    return Match(f"({expression}) AND ({scope})", f"({titled}) AND ({scope})")


def count(connection: Connection, match: Match) -> int:
    """How many memories match; counts no further than one more than are counted exactly."""
    return _count(connection, match.expression, limits.MATCHES_RANKED_MAX + 1)


def _count(connection: Connection, expression: str, most: int, *, since: int = 0) -> int:
    """How many memories, of those numbered from *since* on, match; counts no further than *most*."""
    row = connection.row(_COUNTED, (expression, since, most))
    assert row is not None
    return int(row[0])


def candidates(
    connection: Connection, match: Match, matches: int, *, first: int = limits.CANDIDATES
) -> Iterator[list[Candidate]]:
    """The memories that match, best first, in ever larger batches, until there are no more; some may come twice.

    *matches* is how many there are, as `count` says; *first* is the size of the first batch.
    """
    if matches > limits.MATCHES_RANKED_MAX:
        found = [
            candidate
            for part, known in ((match.expression, matches), (match.titled, None))
            for candidate in _ranked(connection, part, first, since=_window(connection, part, known))
        ]
        best = {candidate.n: candidate for candidate in sorted(found, key=lambda candidate: candidate.score)}
        yield sorted(best.values(), key=lambda candidate: -candidate.score)
    offset, size = 0, first
    while found := _ranked(connection, match.expression, size, offset=offset):
        yield found
        if len(found) < size:
            return
        offset, size = offset + size, size * _WIDER


def _ranked(connection: Connection, match: str, limit: int, *, offset: int = 0, since: int = 0) -> list[Candidate]:
    return [Candidate(n, -rank) for n, rank in connection.rows(_RANKED, (match, since, limit, offset))]


def _window(connection: Connection, expression: str, matches: int | None) -> int:
    """The number from which on about as many memories match as are ranked; 0 when all can be."""
    if matches is None:
        matches = _count(connection, expression, limits.MATCHES_RANKED_MAX + 1)
    if matches <= limits.MATCHES_RANKED_MAX:
        return 0
    newest = _newest(connection)
    density = _count(connection, expression, _SAMPLE_ROWS, since=newest - _SAMPLE_ROWS + 1) / _SAMPLE_ROWS
    return max(newest - int(limits.MATCHES_RANKED_MAX / density), 0) if density else 0


def _shape(connection: Connection, tokens: list[str]) -> str:
    """`(rare) OR ((rare) AND (common))` for quoted tokens."""
    newest = _newest(connection)
    budget = int(max(newest * RARE_SHARE_MAX, _RARE_ROWS_MIN))
    counted = sorted((_commonness(connection, _text_only(token), budget, newest), token) for token in tokens)
    present = [(rows, token) for rows, token in counted if rows > 0]
    rare: list[str] = []
    total = 0
    for rows, token in present:
        if len(rare) >= RARE_TERMS_MIN and total + rows > budget:
            break
        rare.append(token)
        total += rows
    common = [token for rows, token in present[len(rare) :] if rows <= newest * COMMON_SHARE_MAX]
    if not rare:
        return _any_of(tokens)
    if not common:
        return _any_of(rare)
    return f"({_any_of(rare)}) OR (({_any_of(rare)}) AND ({_any_of(common)}))"


def _commonness(connection: Connection, match: str, budget: int, newest: int) -> int:
    """About how many memories hold a token: exact up to *budget*, beyond that guessed from the newest ones."""
    exact = _count(connection, match, budget + 1)
    if exact <= budget:
        return exact
    sampled = _count(connection, match, _SAMPLE_ROWS, since=newest - _SAMPLE_ROWS + 1)
    return max(exact, newest * sampled // _SAMPLE_ROWS)


def _newest(connection: Connection) -> int:
    """The highest number of a memory, which is about how many there are."""
    row = connection.row("SELECT max(n) FROM memory")
    return (row[0] or 0) if row else 0


def _all_of(expressions: list[str]) -> str:
    return " AND ".join(f"({expression})" for expression in expressions)


def _any_of(expressions: list[str]) -> str:
    return " OR ".join(expressions)
