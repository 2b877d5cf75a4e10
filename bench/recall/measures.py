"""What is measured of answers. Pure.

hit@k: a relevant note is among the first k. R@k: the share of the relevant units that are. MRR: the mean of 1 / the rank of the
first relevant hit, 0 where none is among the ten shown. Intervals are of the paired bootstrap over questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.recall.sets import NO_ANSWER, Question

SHOWN: Final = 10
_RESAMPLES: Final = 5_000
_SEED: Final = 20261123


@dataclass(frozen=True, slots=True)
class Answer:
    """What was shown for a question: units, best first, and how many hits were not marked as weak."""

    units: tuple[str, ...]
    strong: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How well a question was answered.

    `rank` is that of the first relevant hit, 0 for none; `strong` counts the hits that were not marked as weak. `in_order` is
    whether the successor stands above what it superseded when both are asked for; None where there is no such pair.
    """

    question: str
    kind: str
    shown: int
    strong: int
    rank: int
    recall_5: float
    recall_10: float
    wrong_first: bool
    in_order: bool | None = None

    @property
    def reciprocal(self) -> float:
        return 1 / self.rank if self.rank else 0.0

    def hit(self, k: int) -> float:
        """1 if a relevant note is among the first *k*."""
        return float(0 < self.rank <= k)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Summary:
    """The mean over some questions; None where it says nothing."""

    count: int
    hit_1: float
    hit_5: float
    hit_10: float
    recall_5: float
    recall_10: float
    mrr: float
    empty: float
    none_strong: float
    wrong_first: float
    in_order: float | None


def outcome(question: Question, answer: Answer, both: Answer | None = None) -> Outcome:
    """Compare an answer with the labels; *both* is the answer with superseded memories shown beside their successors."""
    relevant, units = set(question.relevant), answer.units[:SHOWN]
    rank = next((at for at, unit in enumerate(units, 1) if unit in relevant), 0)
    return Outcome(
        question=question.id,
        kind=question.kind,
        shown=len(units),
        strong=answer.strong,
        rank=rank,
        recall_5=_recall(units[:5], relevant),
        recall_10=_recall(units, relevant),
        wrong_first=bool(units) and units[0] in question.wrong_first,
        in_order=None if both is None else _in_order(question, both),
    )


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """The means of *outcomes*, which are not empty."""
    ordered = [one.in_order for one in outcomes if one.in_order is not None]
    return Summary(
        count=len(outcomes),
        hit_1=mean(one.hit(1) for one in outcomes),
        hit_5=mean(one.hit(5) for one in outcomes),
        hit_10=mean(one.hit(10) for one in outcomes),
        recall_5=mean(one.recall_5 for one in outcomes),
        recall_10=mean(one.recall_10 for one in outcomes),
        mrr=mean(one.reciprocal for one in outcomes),
        empty=mean(one.shown == 0 for one in outcomes),
        none_strong=mean(one.strong == 0 for one in outcomes),
        wrong_first=mean(one.wrong_first for one in outcomes),
        in_order=mean(ordered) if ordered else None,
    )


def by_kind(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by the kind of their question, in the order in which the kinds come; questions without an answer last."""
    kinds: dict[str, list[Outcome]] = {}
    for one in outcomes:
        kinds.setdefault(one.kind, []).append(one)
    return dict(sorted(kinds.items(), key=lambda item: item[0] == NO_ANSWER))


def answered(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those of questions that have an answer."""
    return [one for one in outcomes if one.kind != NO_ANSWER]


def difference(
    ours: Sequence[Outcome], theirs: Sequence[Outcome], value: Callable[[Outcome], float]
) -> tuple[float, float, float]:
    """How much more *ours* are worth than *theirs* on the same questions: the mean, and its 95 % interval."""
    other = {one.question: one for one in theirs}
    pairs = [value(one) - value(other[one.question]) for one in ours if one.question in other]
    if not pairs:
        return 0.0, 0.0, 0.0
    pick = random.Random(_SEED)
    means = sorted(mean(pick.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    return mean(pairs), means[int(_RESAMPLES * 0.025)], means[int(_RESAMPLES * 0.975) - 1]


def mean(values: Iterable[float]) -> float:
    """The mean; 0 of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _recall(units: Sequence[str], relevant: set[str]) -> float:
    return len(relevant & set(units)) / len(relevant) if relevant else 0.0


def _in_order(question: Question, both: Answer) -> bool | None:
    """Whether the right answer stands above each wrong one that is shown; None if none of them is shown."""
    rank = {unit: at for at, unit in reversed(list(enumerate(both.units)))}
    wrong = [rank[unit] for unit in question.wrong_first if unit in rank]
    if not wrong:
        return None
    right = min((rank[unit] for unit in question.relevant if unit in rank), default=len(both.units))
    return right < min(wrong)
