"""How well a memory answers a query: a score, and how much of the query it holds. Pure but for `tell`, which FTS5 calls.

FTS5 chooses the candidates by its own BM25. These few dozen are weighed again, for three reasons: the shape of a query names its
rare words twice, and FTS5 then counts them twice; its BM25 holds the length of a text against it more than suits notes; and it
does not say which of the words it found, which decides whether a memory is an answer at all.

Source: BM25, Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with fields weighed before saturation.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

import apsw
from msgspec import Struct

from nokosu.search.text import Terms, Token, Word

WEIGHTS: Final = (3.0, 1.0, 2.0, 1.0)  # subject, body, tags, extra
SATURATION: Final = 1.6  # k1: how soon a word said again says no more
LENGTH: Final = 0.5  # b: how far a long text is held against it, from 0 to 1
_RARITY_MIN: Final = 1e-6  # of a word in more than half of all memories, as in FTS5
_TOLD: Final = "I"  # numbers of 32 bits
_ENTRY: Final = 1 + len(WEIGHTS)


class Answered(Struct, frozen=True):
    """The share of a query's words that a memory holds, from 0 to 1, and those words."""

    share: float = 1.0
    matched: tuple[str, ...] = ()


class Scales(Struct, frozen=True):
    """What weighs the candidates of one query.

    `rarities` are of the tokens that were asked for, `phrases` the number of each in the FTS5 expression. `words` are those of
    the query that count, each with the places of its tokens; `always` are quoted phrases, which each candidate holds. No score is
    above `attainable`.
    """

    rarities: tuple[float, ...]
    phrases: bytes
    words: tuple[tuple[Word, tuple[int | None, ...]], ...]
    always: tuple[str, ...] = ()
    attainable: float = 1.0

    def weigh(self, told: bytes) -> tuple[float, int]:
        """A memory's score by what `tell` told of it, and which tokens it holds, a bit for each."""
        numbers = iter(memoryview(told).cast(_TOLD))
        length = SATURATION * (1 - LENGTH + LENGTH * next(numbers) / max(next(numbers), 1))
        in_subject, in_body, in_tags, in_extra = WEIGHTS
        score, held, rarities = 0.0, 0, self.rarities
        for place, subject, body, tags, extra in zip(*[numbers] * _ENTRY, strict=True):
            often = in_subject * subject + in_body * body + in_tags * tags + in_extra * extra
            score += rarities[place] * often / (often + length)
            held |= 1 << place
        return score * (SATURATION + 1), held

    def answered(self, held: int, besides: int = 0) -> Answered:
        """How much of the query a memory with these tokens holds; it fulfils *besides* so much that is not said in words."""
        share, matched = float(len(self.always) + besides), list(self.always)
        for word, places in self.words:
            present = [place is not None and bool(held >> place & 1) for place in places]
            there = _share(word, present)
            share += there
            matched += [word.text] if there == 1 else _parts_held(word, present)
        count = len(self.words) + len(self.always) + besides
        return Answered(share / count if count else 1.0, tuple(dict.fromkeys(matched)))


def scales(terms: Terms, numbers: Mapping[Token, int], counts: Mapping[Token, int], memories: int) -> Scales:
    """The scales for a query: *numbers* are those of its tokens in the FTS5 expression, *counts* how many of all *memories*
    hold each token of the query.

    A token that is not in the expression is either absent from the store, and counts as a word not found, or so common that it
    says nothing, and does not count.
    """
    place = {token: at for at, token in enumerate(numbers)}
    words = tuple(
        (word, tuple(place.get(token) for token in word.tokens))
        for word in terms.words
        if any(token in place for token in word.tokens) or not any(counts[token] for token in word.tokens)
    )
    return Scales(
        rarities=tuple(_rarity(counts[token], memories) for token in numbers),
        phrases=array(_TOLD, numbers.values()).tobytes(),
        words=words,
        always=tuple(phrase.text for phrase in terms.phrases),
        attainable=_attainable(words, counts, memories),
    )


def _attainable(
    words: Sequence[tuple[Word, tuple[int | None, ...]]], counts: Mapping[Token, int], memories: int
) -> float:
    """What a memory would score that says all of a query's words over and over. A word that no memory has counts as the rarest
    there is, and of a run of characters each pair that none has.
    """
    total = 0.0
    for word, places in words:
        there = [
            _rarity(counts[token], memories)
            for token, place in zip(word.tokens, places, strict=True)
            if place is not None
        ]
        absent = len(places) - len(there) if word.wholes == 0 else int(not there)
        total += sum(there) + absent * _rarity(0, memories)
    return max(total, _RARITY_MIN) * (SATURATION + 1)


def tell(api: apsw.FTS5ExtensionApi, phrases: bytes) -> bytes:
    """An auxiliary function of FTS5: a memory's length, the mean length, and of each of *phrases* that it holds, its place
    among them and how often it stands in each column of text.

    It is called for some hundred memories of a statement; what is the same for all is worked out at the first.
    """
    if api.aux_data is None:
        mean = api.column_total_size(-1) // max(api.row_count, 1)
        api.aux_data = mean, tuple(enumerate(memoryview(phrases).cast(_TOLD)))
    mean, numbers = api.aux_data
    found = [api.column_size(-1), mean]
    columns_of, locations_of = api.phrase_columns, api.phrase_locations
    for place, number in numbers:
        if columns_of(number):
            subject, body, tags, extra, *_ = locations_of(number)
            found += (place, len(subject), len(body), len(tags), len(extra))
    return array(_TOLD, found).tobytes()


def _rarity(count: int, memories: int) -> float:
    """The inverse document frequency of BM25."""
    return max(math.log((max(memories, count) - count + 0.5) / (count + 0.5)), _RARITY_MIN)


def _share(word: Word, held: Sequence[bool]) -> float:
    """How much of a word is there: all of it, if one of the tokens that stand for all of it is; else so many of its parts."""
    parts = held[word.wholes :]
    if any(held[: word.wholes]):
        return 1.0
    return sum(parts) / len(parts) if parts else 0.0


def _parts_held(word: Word, held: Sequence[bool]) -> list[str]:
    """The parts of a word that are there, where not all of it is; of pairs of characters, the stretches that they make."""
    parts = [token.text for token, is_held in zip(word.tokens, held, strict=True) if is_held]
    return parts if word.wholes else _stretches(word, held)


def _stretches(word: Word, held: Sequence[bool]) -> list[str]:
    stretches: list[str] = []
    for at, is_held in enumerate(held):
        if is_held and at and held[at - 1]:
            stretches[-1] += word.tokens[at].text[-1]
        elif is_held:
            stretches.append(word.tokens[at].text)
    return stretches
