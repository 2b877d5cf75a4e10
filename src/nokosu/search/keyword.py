"""Candidates by keyword: which memories hold the words of a query, ranked by BM25 inside FTS5.

A short query first asks for all of its words. If that brings too little, and for longer queries at once, the shape is
`(rare) OR ((rare) AND (common))`: a memory needs one of the query's rarer words, and the common ones still add to its
score. That costs a fraction of OR-ing every word and was measured to find the same.

Source: BM25, Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), as FTS5 implements it.
"""

from __future__ import annotations

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
_COUNTED_MIN: Final = 200

_RANKED: Final = (
    "SELECT rowid, rank FROM word WHERE word MATCH ? AND rank MATCH "
    f"'bm25({', '.join(map(str, WEIGHTS))})' ORDER BY rank LIMIT ? OFFSET ?"
)


class Candidate(Struct, frozen=True):
    """A memory's number and its score; the higher, the better."""

    n: int
    score: float


def expressions(connection: Connection, terms: Terms) -> list[str]:
    """The FTS5 expressions to try for a query, strictest first; none for a query without a word."""
    phrases = [phrase.expression for phrase in terms.phrases]
    words = [word.expression for word in terms.words]
    if not words:
        return [text.scoped(_all_of(phrases))] if phrases else []
    tries = []
    if len(words) <= WORDS_ASKED_TOGETHER_MAX:
        tries.append(_all_of([*phrases, *words]))
    tokens = [token.expression for token in terms.tokens]
    if len(tokens) > 1:
        tries.append(_all_of([*phrases, _shape(connection, tokens)]))
    elif not tries:
        tries.append(_all_of([*phrases, *tokens]))
    return [text.scoped(expression) for expression in tries]


def candidates(connection: Connection, expression: str, scope: str, *, limit: int, offset: int = 0) -> list[Candidate]:
    """The best *limit* memories that match *expression* and, if it is not empty, the filter *scope*."""
    match = f"({expression}) AND ({scope})" if scope else expression
    rows = connection.rows(_RANKED, (match, limit, offset))
    return [Candidate(n, -rank) for n, rank in rows]


def count(connection: Connection, expression: str, scope: str, *, most: int = limits.MATCHES_COUNTED_MAX + 1) -> int:
    """How many memories match, counting no further than *most*."""
    match = f"({expression}) AND ({scope})" if scope else expression
    return _count(connection, match, most)


def _count(connection: Connection, match: str, most: int) -> int:
    sql = "SELECT count(*) FROM (SELECT 1 FROM word WHERE word MATCH ? LIMIT ?)"
    row = connection.row(sql, (match, most))
    assert row is not None
    return int(row[0])


def _shape(connection: Connection, tokens: list[str]) -> str:
    """`(rare) OR ((rare) AND (common))` for quoted tokens."""
    row = connection.row("SELECT max(n) FROM memory")
    store = (row[0] or 0) if row else 0
    budget = max(store * RARE_SHARE_MAX, _COUNTED_MIN)
    counted = sorted(
        ((_count(connection, text.scoped(token), int(budget) + 1), token) for token in tokens), key=lambda pair: pair[0]
    )
    present = [(rows, token) for rows, token in counted if rows > 0]
    rare: list[str] = []
    total = 0
    for rows, token in present:
        if len(rare) >= RARE_TERMS_MIN and total + rows > budget:
            break
        rare.append(token)
        total += rows
    common = [token for _, token in present[len(rare) :]]
    if not rare:
        return _any_of(tokens)
    if not common:
        return _any_of(rare)
    return f"({_any_of(rare)}) OR (({_any_of(rare)}) AND ({_any_of(common)}))"


def _all_of(expressions: list[str]) -> str:
    return " AND ".join(f"({expression})" for expression in expressions)


def _any_of(expressions: list[str]) -> str:
    return " OR ".join(expressions)
