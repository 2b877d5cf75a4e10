"""Candidates by keyword: which memories hold the words of a query, ranked by BM25 inside FTS5.

A short query first asks for all of its words. If that brings too little, and for longer queries at once, the shape is
`(rare) OR ((rare) AND (common))`: a memory needs one of the query's rarer words, and the common ones still add to its score; words
in more than a quarter of the store are left out, since they add nothing but time. That costs a fraction of OR-ing every
word and was measured to find the same.

What FTS5 finds by the shape is weighed once more, by `weighing`, which also tells what of the query each memory holds.

A query that matches thousands of memories says too little to choose among them all: it is ranked among the newest few thousand, and
among those that have it in subject or tags.

Source: BM25, Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), as FTS5 implements it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.search import text, weighing
from nokosu.search.text import Terms, Token
from nokosu.search.weighing import Answered, Scales
from nokosu.store.sqlite import Connection

WORDS_ASKED_TOGETHER_MAX: Final = 3
RARE_TERMS_MIN: Final = 2
RARE_SHARE_MAX: Final = 0.01  # of the store: more rare terms are taken while their rows stay below this
COMMON_SHARE_MAX: Final = 0.25  # of the store: words in more of it are left out
_RARE_ROWS_MIN: Final = 200  # ... and below this in a small store
_SURELY_BEYOND: Final = 4  # times the budget, by a guess: a word that is so common needs no count
_FEW_TOKENS: Final = 4
_FEW_WEIGHED: Final = 24  # candidates at first, where FTS5's own order by a few tokens is nearly ours
_SMALL_STORE: Final = 1_000  # memories: of so few, any word may find one
_SAMPLE_ROWS: Final = 200  # the newest memories, for a guess at how common a word is
_WIDER: Final = 4
_LIKE_A_FILTER: Final = re.compile(r"[0-9]{12}")  # filter tokens are numbers of 19 digits

_TELL: Final = "nokosu_tell"
_RANKED: Final = (
    "SELECT rowid, {told} FROM word WHERE word MATCH ?1 AND rowid >= ?2 AND rank MATCH "
    f"'bm25({', '.join(map(str, weighing.WEIGHTS))}, 0.0)' ORDER BY rank LIMIT ?3 OFFSET ?4"
)
_TOLD: Final = f"SELECT rowid, {_TELL}(word, ?2) FROM word WHERE word MATCH ?1 LIMIT ?3"
_RANKED_ONLY: Final = _RANKED.format(told="rank")
_RANKED_AND_TOLD: Final = _RANKED.format(told=f"{_TELL}(word, ?5)")
_FOUND: Final = "SELECT rowid FROM word WHERE word MATCH ? LIMIT ?"
_COUNTED: Final = "SELECT count(*) FROM (SELECT 1 FROM word WHERE word MATCH ? AND rowid >= ? LIMIT ?)"


class Asking(Struct, frozen=True):
    """An FTS5 expression, and what weighs the memories that it finds; None where each holds all of the query, which is
    `matched` then. No more than `rows_max` memories match, as far as that is known.
    """

    expression: str
    matched: tuple[str, ...] = ()
    scales: Scales | None = None
    rows_max: int | None = None

    @property
    def weighs_few(self) -> bool:
        """Whether candidates are weighed by a few tokens only, which FTS5 ranks by in no time."""
        return self.scales is not None and len(self.scales.rarities) <= _FEW_TOKENS

    def answered(self, held: int, besides: int) -> Answered:
        """How much of the query a candidate holds, which fulfils *besides* so much that is not said in words."""
        return Answered(1.0, self.matched) if self.scales is None else self.scales.answered(held, besides)


class Match(Struct, frozen=True):
    """An FTS5 expression, the same for subject and tags alone, and what was asked."""

    expression: str
    titled: str
    asking: Asking


class Candidate(Struct, frozen=True):
    """A memory's number and its score, the higher, the better; and what `Asking.answered` tells its words from."""

    n: int
    score: float
    held: int = 0


def askings(connection: Connection, terms: Terms) -> Iterator[Asking]:
    """What to try for a query, strictest first; each is made when it is asked for."""
    phrases = [phrase.expression for phrase in terms.phrases]
    words = [word.expression for word in terms.words]
    few = len(words) <= WORDS_ASKED_TOGETHER_MAX
    if few and (phrases or words):
        yield Asking(_text_only(_all_of([*phrases, *words])), _texts(terms))
    if len(terms.tokens) > 1 or (words and not few):
        yield shaped(connection, terms)


def _texts(terms: Terms) -> tuple[str, ...]:
    return tuple(dict.fromkeys([phrase.text for phrase in terms.phrases] + [word.text for word in terms.words]))


def _text_only(expression: str) -> str:
    """Keep a query that holds so long a number from matching a filter token; the column filter costs a tenth of a search."""
    return text.scoped(expression) if _LIKE_A_FILTER.search(expression) else expression


def narrowed(asking: Asking, scope: str) -> Match:
    """What matches where the filter *scope*, if there is one, does too."""
    expression = asking.expression
    titled = f"{{subject tags}} : ({expression})"
    if not scope:
        return Match(expression, titled, asking)
    return Match(f"({expression}) AND ({scope})", f"({titled}) AND ({scope})", asking)


class Matching(Struct, frozen=True):
    """How many memories match, counted no further than one more than are ranked, and the numbers of the first of them; and all
    of them, best first, where that is no more work than to count them.
    """

    count: int
    numbers: tuple[int, ...] = ()
    weighed: tuple[Candidate, ...] | None = None


def matching(connection: Connection, match: Match) -> Matching:
    """How many memories match, or which."""
    scales, rows_max = match.asking.scales, match.asking.rows_max
    if scales is not None and rows_max is not None and rows_max <= limits.WEIGHED_MAX and not match.asking.weighs_few:
        weighed = _weighed(connection, _TOLD, (match.expression, scales.phrases, limits.WEIGHED_MAX + 1), scales)
        if len(weighed) <= limits.WEIGHED_MAX:
            numbers = tuple(candidate.n for candidate in weighed[: limits.MATCHES_COUNTED_MAX])
            return Matching(len(weighed), numbers, tuple(weighed))
    found = connection.rows(_FOUND, (match.expression, limits.MATCHES_RANKED_MAX + 1))
    return Matching(len(found), tuple(n for (n,) in found[: limits.MATCHES_COUNTED_MAX]))


def _count(connection: Connection, expression: str, most: int, *, since: int = 0) -> int:
    """How many memories, of those numbered from *since* on, match; counts no further than *most*."""
    row = connection.row(_COUNTED, (expression, since, most))
    assert row is not None
    return int(row[0])


def candidates(
    connection: Connection, match: Match, found: Matching, *, first: int = limits.CANDIDATES
) -> Iterator[Sequence[Candidate]]:
    """The memories that match, best first, in ever larger batches, until there are no more; some may come twice.

    *found* is what `matching` says; *first* is the size of the first batch, unless all are known already.
    """
    if found.weighed is not None:
        yield found.weighed
        return
    if found.count > limits.MATCHES_RANKED_MAX:
        newest = [
            candidate
            for part, known in ((match.expression, found.count), (match.titled, None))
            for candidate in _ranked(connection, part, match.asking, first, since=_window(connection, part, known))
        ]
        best = {candidate.n: candidate for candidate in sorted(newest, key=lambda candidate: candidate.score)}
        yield sorted(best.values(), key=lambda candidate: -candidate.score)
    few = match.asking.weighs_few and found.count > limits.CANDIDATES  # no more than so many are looked at all together
    offset, size = 0, min(first, _FEW_WEIGHED) if few else first
    while batch := _ranked(connection, match.expression, match.asking, size, offset=offset):
        yield batch
        if len(batch) < size:
            return
        offset, size = offset + size, size * _WIDER


def _ranked(
    connection: Connection, expression: str, asking: Asking, limit: int, *, offset: int = 0, since: int = 0
) -> list[Candidate]:
    """The best by FTS5's reckoning, and by ours in their order."""
    values = (expression, since, limit, offset)
    if asking.scales is None:
        return [Candidate(n, -rank) for n, rank in connection.rows(_RANKED_ONLY, values)]
    return _weighed(connection, _RANKED_AND_TOLD, (*values, asking.scales.phrases), asking.scales)


def _weighed(connection: Connection, sql: str, values: tuple[object, ...], scales: Scales) -> list[Candidate]:
    """What a statement finds and has been told, best first."""
    connection.add_fts5_function(_TELL, weighing.tell)
    weighed = [Candidate(n, *scales.weigh(told)) for n, told in connection.rows(sql, values)]
    weighed.sort(key=lambda candidate: -candidate.score)
    return weighed


def _window(connection: Connection, expression: str, matches: int | None) -> int:
    """The number from which on about as many memories match as are ranked; 0 when all can be."""
    if matches is None:
        matches = _count(connection, expression, limits.MATCHES_RANKED_MAX + 1)
    if matches <= limits.MATCHES_RANKED_MAX:
        return 0
    newest = _newest(connection)
    density = _count(connection, expression, _SAMPLE_ROWS, since=newest - _SAMPLE_ROWS + 1) / _SAMPLE_ROWS
    return max(newest - int(limits.MATCHES_RANKED_MAX / density), 0) if density else 0


def shaped(connection: Connection, terms: Terms) -> Asking:
    """`(rare) OR ((rare) AND (common))` for the tokens of a query, and its phrases beside it."""
    phrases = [phrase.expression for phrase in terms.phrases]
    newest = _newest(connection)
    budget = _budget(newest)
    counts = {token: _commonness(connection, _text_only(token.expression), budget, newest) for token in terms.tokens}
    rare, common = _rare_and_common(counts, budget, newest)
    numbers = {token: at for at, token in enumerate(rare)}
    numbers |= {token: at for at, token in enumerate(common, start=2 * len(rare))}  # the rare ones are named twice
    expression = _any_of(rare)
    if common:
        expression = f"({expression}) OR (({expression}) AND ({_any_of(common)}))"
    scales = weighing.scales(terms, numbers, counts, newest)
    rows_max = sum(counts[token] for token in rare)
    return Asking(_text_only(_all_of([expression, *phrases])), scales=scales, rows_max=rows_max)


def _budget(newest: int) -> int:
    """How many rows the rare words of a query may have together."""
    if newest <= _SMALL_STORE:
        return newest * limits.QUERY_TERMS_MAX
    return int(max(newest * RARE_SHARE_MAX, _RARE_ROWS_MIN))


def _rare_and_common(counts: dict[Token, int], budget: int, newest: int) -> tuple[list[Token], list[Token]]:
    """The tokens that a memory needs one of, and those that only add to its score. If all are absent, they are rare."""
    present = sorted((token for token, rows in counts.items() if rows), key=lambda token: (counts[token], token.text))
    rare: list[Token] = []
    total = 0
    for token in present:
        if len(rare) >= RARE_TERMS_MIN and total + counts[token] > budget:
            break
        rare.append(token)
        total += counts[token]
    common = [token for token in present[len(rare) :] if counts[token] <= newest * COMMON_SHARE_MAX]
    return (rare or list(counts)), common


def _commonness(connection: Connection, match: str, budget: int, newest: int) -> int:
    """About how many memories hold a token: exact up to *budget*, beyond that guessed from the newest ones.

    One that many of the newest hold is not counted at all: it is beyond the budget, unless it came up of late.
    """
    sampled = _count(connection, match, _SAMPLE_ROWS, since=newest - _SAMPLE_ROWS + 1)
    guessed = newest * sampled // _SAMPLE_ROWS
    if newest > _SMALL_STORE and guessed > _SURELY_BEYOND * budget:
        return guessed
    exact = _count(connection, match, budget + 1)
    return exact if exact <= budget else max(exact, guessed)


def _newest(connection: Connection) -> int:
    """The highest number of a memory, which is about how many there are."""
    row = connection.row("SELECT max(n) FROM memory")
    return (row[0] or 0) if row else 0


def _all_of(expressions: list[str]) -> str:
    return " AND ".join(f"({expression})" for expression in expressions)


def _any_of(tokens: list[Token]) -> str:
    return " OR ".join(token.expression for token in tokens)
