"""Words and meaning together: how the score of a memory is made of both. Pure.

A score by words is a share of what the query could attain, not of what the best hit attains: a chance word would be as good as a
perfect match then, and drown the rest. The share is squared, so that a few words of many say little and most of them nearly all. A
score by meaning is how far a memory's cosine is above the mean of all, in standard deviations. `WORDS` weighs the one against the
other. The more memories there are, the further the nearest of them is from the mean, so a memory that holds every word of the query
gets `ALL_WORDS` besides: who asks for a name by that name wants what bears it. All were chosen on the development half
(docs/recall.md) and are the same for everyone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

WORDS: Final = 12.0  # what all that the words could attain is worth, in standard deviations
ALL_WORDS: Final = 8.0  # what it is worth to hold every word; of most of them next to nothing
NEAREST: Final = 50  # memories by meaning that are looked at beside those by words,
NEAREST_OF_A_TIME: Final = 400  # and where a filter by time will let only some of them through
_NEARLY: Final = 8  # the power that leaves .43 of nine words of ten, and nothing of one of two
DEVIATION_MIN: Final = 1.0  # of a memory that holds no word of the query: below this it is noise


class Near(Struct, frozen=True, array_like=True):
    """How near a memory is to the query: its deviation, and whether it is near enough to be an answer without any word."""

    n: int
    deviation: float
    answers: bool


class Meaning(Protocol):
    """What knows the meaning of one query, and of the memories; it may be slow, or not be there."""

    def near(self, scopes: Sequence[str], wanted: int, candidates: Sequence[int]) -> Mapping[int, Near] | None:
        """The *wanted* nearest memories within each of the filters *scopes*, and those of *candidates* that it knows, by number.
        None when it does not know in time.
        """
        ...


def score(share: float, coverage: float, near: Near | None) -> float:
    """The score of a memory that has this *share* of what the words could attain, and holds a *coverage* of them, from 0 to 1; one
    without a known meaning has the mean.
    """
    by_words = WORDS * min(share, 1.0) ** 2 + ALL_WORDS * coverage**_NEARLY
    return by_words + (near.deviation if near is not None else 0.0)


def is_noise(held: int, near: Near | None) -> bool:
    """Whether a memory that was found is no more like the query than many."""
    return not held and (near is None or near.deviation < DEVIATION_MIN)
