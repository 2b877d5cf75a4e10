"""The order of what was found, and what of it is shown. Pure.

Relevance decides; importance and recency only break ties, and the id settles the rest. A memory that holds too little of a
question is no answer to it: where nothing better was found, the first few such are shown and marked as weak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, structs

from nokosu import limits
from nokosu.search.meaning import DEVIATION_MIN, Near
from nokosu.store.reading import MemoryRow

ELSEWHERE_SHARE_MAX: Final = 0.3  # of the places, kept for stronger hits from other projects
ANSWER_SHARE: Final = 0.45  # of a question's words: a memory that holds more of them may be an answer
ELSEWHERE_ANSWER_SHARE: Final = 0.67  # the same for one from another project, which has less in its favour
NEWEST_SCORE_SHARE: Final = 0.7  # of the best score: memories that score as much are put in the order of their times
_TOLERANCE: Final = 1e-9


class Ranked(Struct, frozen=True):
    """A memory found, its score, and the one that supersedes it, if that is not hidden.

    `held` are the tokens it was found by; `share`, told by them, is how much of the query it holds, from 0 to 1, and `matched`
    those words; `near` is how near its meaning is, where that is known; `weak` says that neither is enough for an answer.
    `in_place_of` is the superseded memory that was found by them; `below` the next in the chain above it that was found too.
    """

    row: MemoryRow
    score: float
    elsewhere: bool = False
    superseded_by: str | None = None
    held: int = 0
    share: float = 1.0
    matched: tuple[str, ...] = ()
    weak: bool = False
    in_place_of: str | None = None
    below: str | None = None
    near: Near | None = None

    @property
    def by_meaning(self) -> bool:
        """Whether it is here for what it means, as its words alone would not make it an answer."""
        return self.near is not None and self.near.deviation >= DEVIATION_MIN and not _holds_enough(self)


def best_first(found: Sequence[Ranked], *, newest_first: bool = False) -> list[Ranked]:
    """The order of relevance; with *newest_first* those that are about as relevant as the best come by their times."""
    ordered = sorted(found, key=_best_first)
    if not newest_first or not ordered:
        return ordered
    least = ordered[0].score * NEWEST_SCORE_SHARE
    count = sum(one.score >= least for one in ordered)
    return [*sorted(ordered[:count], key=_newest_first), *ordered[count:]]


def merged(
    inside: Sequence[Ranked], outside: Sequence[Ranked], wanted: int, *, newest_first: bool = False
) -> list[Ranked]:
    """The project's hits first; then, in the places left and in up to 3 of 10 others, stronger hits from elsewhere."""
    own = newer_above_older(best_first(inside, newest_first=newest_first))[:wanted]
    here = {ranked.row.n for ranked in inside}
    others = [
        structs.replace(ranked, elsewhere=True)
        for ranked in newer_above_older(best_first(outside, newest_first=newest_first))
        if ranked.row.n not in here
    ]
    kept = kept_elsewhere(wanted)
    taken = others[: wanted - len(own)]
    while len(taken) < min(kept, len(others)) and own and others[len(taken)].score > own[-1].score:
        own.pop()
        taken.append(others[len(taken)])
    return own + taken


def kept_elsewhere(wanted: int) -> int:
    """How many of the places are kept for stronger hits from other projects."""
    return int(wanted * ELSEWHERE_SHARE_MAX)


def answers(ordered: Sequence[Ranked]) -> tuple[list[Ranked], int]:
    """What is shown, the weak ones marked, and how many are not shown because they hold too little of the query.

    Where some may be answers, the weak ones of the same project follow them in their order; where none may be, a few are shown.
    """
    marked = [structs.replace(one, weak=_is_weak(one)) for one in ordered]
    if all(one.weak for one in marked):
        shown = marked[: limits.WEAK_HITS_MAX]
    else:
        shown = [one for one in marked if not (one.weak and one.elsewhere)]
    return shown, len(marked) - len(shown)


def newer_above_older(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Where a superseded memory and the one that superseded it are both shown, the newer one stands above, whatever the
    words say.
    """
    ordered: list[Ranked] = []
    by_id = {one.row.id: one for one in ranked}
    placed: set[str] = set()

    def place(one: Ranked) -> None:
        chain = [one]
        while (newer := by_id.get(_above(chain[-1]))) is not None and newer not in chain:
            chain.append(newer)
        for member in reversed(chain):
            if member.row.id not in placed:
                placed.add(member.row.id)
                ordered.append(member)

    for one in ranked:
        place(one)
    return ordered


def _above(one: Ranked) -> str:
    return one.below or one.superseded_by or ""


def rounded(score: float) -> float:
    """A score to four digits: what differs less is a tie, for importance and recency to break."""
    return float(f"{score:.4g}")


def _is_weak(one: Ranked) -> bool:
    """Whether it is no answer: neither by its words nor, in the project, by its meaning."""
    means_it = one.near is not None and one.near.answers and not one.elsewhere
    return not means_it and not _holds_enough(one)


def _holds_enough(one: Ranked) -> bool:
    return one.share > (ELSEWHERE_ANSWER_SHARE if one.elsewhere else ANSWER_SHARE) + _TOLERANCE


def _best_first(one: Ranked) -> tuple[float, int, int, str]:
    return (-rounded(one.score), -(one.row.importance or 0), -(one.row.hlc or 0), one.row.id)


def _newest_first(one: Ranked) -> tuple[int, str]:
    return (-(one.row.updated or 0), one.row.id)
