"""Searches in process: the words of a note as a person would pick them, and words by how common they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.corpus import SEED, Corpus
from bench.figures import Figure, Goal, p50_goal, p99_goal
from bench.floors import BareReader
from bench.measuring import Stopwatch
from bench.stores import Store
from nokosu.drafts import Query
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu

_QUERIES = 200
_QUERIES_OF_LARGE = 100
_LARGE = 100_000
_FLOOR_EVERY = 4  # a plain OR of 16 words takes long, and a median needs fewer
_COMMONEST = 6
_WORDS_RANKED = 60


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of query, the p50 and p99 that it is to keep to, and whether its floor asks for every word."""

    name: str
    texts: Callable[[int], list[str]]
    p50_most: float | None = None
    p99_most: float | None = None
    every: bool = True


def searching(stores: dict[int, Store], goal_size: int) -> list[Figure]:
    """Each kind of query on each store, with the caller in a project and for all projects."""
    figures = []
    for size, store in stores.items():
        if not size:
            continue
        for kind in _kinds(store):
            figures += _measured(store, kind, is_goal=size == goal_size)
    return figures


def questions(store: Store, count: int) -> list[str]:
    """Questions of 16 words about notes of a store."""
    corpus, pick = Corpus(SEED), random.Random(SEED)
    return [corpus.question(pick.choice(store.sample)) for _ in range(count)]


def _kinds(store: Store) -> list[_Kind]:
    corpus, pick = Corpus(SEED), random.Random(SEED)

    def from_notes(make: Callable[..., str]) -> Callable[[int], list[str]]:
        return lambda count: [make(pick.choice(store.sample)) for _ in range(count)]

    def ranked(first: int) -> Callable[[int], list[str]]:
        words = corpus.words_of_rank(first, first + _WORDS_RANKED)
        return lambda count: pick.choices(words, k=count)

    commonest = corpus.words_of_rank(0, _COMMONEST)
    return [
        _Kind("one keyword", from_notes(corpus.keyword), 1.5, 40),
        _Kind("two words", from_notes(corpus.two_words), 2, 15),
        _Kind("a question of 16 words", from_notes(corpus.question), 12, 50, every=False),
        _Kind("one rare keyword", ranked(6000)),
        _Kind("one middling keyword", ranked(300)),
        _Kind("one of the commonest keywords", lambda count: pick.choices(commonest, k=count // 2)),
    ]


def _measured(store: Store, kind: _Kind, *, is_goal: bool) -> list[Figure]:
    texts = kind.texts(_QUERIES_OF_LARGE if store.notes > _LARGE else _QUERIES)
    in_project, everywhere, bare = Stopwatch(), Stopwatch(), Stopwatch()
    hits = []
    reader = BareReader(store.file)
    with store.open() as memory:
        memory.search(Query(text=texts[0]))
        reader.search(texts[0], every=kind.every)
        for at, text in enumerate(texts):
            in_project.time(partial(_search, memory, text, all_projects=False))
            found = everywhere.time(partial(_search, memory, text, all_projects=True))
            hits.append(found.total)
            if at % _FLOOR_EVERY == 0:
                bare.time(partial(reader.search, text, every=kind.every))
    reader.close()
    total = sorted(hits)[len(hits) // 2]
    figures = []
    for where, watch in (("in a project", in_project), ("all projects", everywhere)):
        spread = watch.spread()
        goals: tuple[Goal, ...] = ()
        if is_goal and kind.p50_most is not None and kind.p99_most is not None:
            goals = (p50_goal(spread, kind.p50_most), p99_goal(spread, kind.p99_most))
        figures.append(
            Figure(
                f"search {kind.name}, {where}",
                store.notes,
                spread,
                floor=bare.spread(),
                floor_name=f"one FTS5 MATCH of {'all' if kind.every else 'any'} of the words, best 10 by rank, their bodies",
                goals=goals,
                remark=f"{total}{' or more' if total >= 1000 else ''} match",
            )
        )
    return figures


def _search(memory: Nokosu, text: str, *, all_projects: bool) -> Hits:
    return memory.search(Query(text=text, all_projects=all_projects))
