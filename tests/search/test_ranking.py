"""The order of what was found, and what of it is shown."""

from __future__ import annotations

from typing import Any

from nokosu import limits
from nokosu.search import ranking
from nokosu.search.ranking import Ranked
from nokosu.store.reading import MemoryRow


def row(name: str, **fields: Any) -> MemoryRow:
    values: dict[str, Any] = dict.fromkeys(MemoryRow.__struct_fields__)
    values |= {"n": sum(name.encode()), "id": name, "importance": None, "hlc": 0, "updated": 0} | fields
    return MemoryRow(**values)


def found(name: str, score: float, share: float = 1.0, **fields: Any) -> Ranked:
    ranked = {key: fields.pop(key) for key in ("elsewhere", "superseded_by") if key in fields}
    return Ranked(row(name, **fields), score, share=share, **ranked)


def names(ranked: Any) -> list[str]:
    return [one.row.id for one in ranked]


def test_importance_and_recency_break_ties_only() -> None:
    weak_but_dear = found("a", 1.0, importance=5, hlc=9)
    tied = [found("b", 2.0, hlc=1), found("c", 2.00001, hlc=2), found("d", 2.0, importance=1)]
    assert names(ranking.best_first([weak_but_dear, *tied])) == ["d", "c", "b", "a"]


def test_the_newest_come_first_among_those_about_as_relevant_as_the_best() -> None:
    several = [
        found("a", 10, updated=1),
        found("b", 8, updated=3),
        found("c", 7.5, updated=2),
        found("d", 3, updated=9),
    ]
    assert names(ranking.best_first(several, newest_first=True)) == ["b", "c", "a", "d"]
    assert names(ranking.best_first(several)) == ["a", "b", "c", "d"]
    assert ranking.best_first([], newest_first=True) == []


def test_where_something_may_be_an_answer_the_weak_follow_and_those_from_elsewhere_do_not() -> None:
    ordered = [
        found("a", 9, 0.9),
        found("b", 8, 0.2),
        found("c", 7, 0.6, elsewhere=True),
        found("d", 6, 0.7, elsewhere=True),
    ]
    shown, left_out = ranking.answers(ordered)
    assert names(shown) == ["a", "b", "d"]
    assert [one.weak for one in shown] == [False, True, False]
    assert left_out == 1


def test_where_nothing_may_be_an_answer_a_few_are_shown_as_weak() -> None:
    shown, left_out = ranking.answers([found(name, 1, ranking.ANSWER_SHARE) for name in "abcdefgh"])
    assert names(shown) == list("abcdefgh")[: limits.WEAK_HITS_MAX]
    assert all(one.weak for one in shown)
    assert left_out == 8 - limits.WEAK_HITS_MAX
    assert ranking.answers([]) == ([], 0)


def test_two_of_three_words_found_elsewhere_are_no_answer() -> None:
    shown, _ = ranking.answers([found("a", 9, 2 / 3, elsewhere=True)])
    assert shown[0].weak


def test_a_newer_memory_stands_above_what_it_superseded() -> None:
    chain = [found("a", 9, superseded_by="b"), found("x", 8), found("b", 1, superseded_by="c"), found("c", 0.5)]
    assert names(ranking.newer_above_older(chain)) == ["c", "b", "a", "x"]
