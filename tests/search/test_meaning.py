"""Words and meaning together, with a stand-in that knows the meaning: what comes first, what is an answer, what stays hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from nokosu import asking
from nokosu.drafts import Draft, Query
from nokosu.filing import Scope
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from nokosu.search import engine, meaning
from nokosu.search.meaning import Near
from nokosu.store import projects
from nokosu.testing import DAY_MS, ManualClock


class Told:
    """Knows how near memories are, by their ids; remembers what it was asked."""

    def __init__(self, numbers: Mapping[str, int], near: Mapping[str, tuple[float, bool]]) -> None:
        self._near = {numbers[id]: Near(numbers[id], *known) for id, known in near.items()}
        self.scopes: Sequence[str] = ()
        self.wanted = 0

    def near(self, scopes: Sequence[str], wanted: int, candidates: Sequence[int]) -> Mapping[int, Near] | None:
        self.scopes, self.wanted = scopes, wanted
        return self._near


class Silent:
    def near(self, scopes: Sequence[str], wanted: int, candidates: Sequence[int]) -> Mapping[int, Near] | None:
        return None


def search(
    memory: Nokosu, words: str, near: Mapping[str, tuple[float, bool]], *, project: str | None = None, **filters: Any
) -> Hits:
    """Search with what is *near* the question: by id, its deviation and whether it answers."""
    query = Query(text=words, **filters)
    now = memory._wall_clock()  # noqa: SLF001 - the moment that the door would search at
    with memory.store()[0].reading() as connection:
        numbers: dict[str, int] = dict(connection.rows("SELECT id, n FROM memory"))
        scope = Scope()
        if project is not None:
            (found,) = projects.named(connection, project)
            scope = Scope(project=found.n, name=project)
        asked = asking.asked(connection, memory.config, query, scope, now)
        asked = msgspec.structs.replace(asked, meaning=Told(numbers, near))
        return asking.shown(connection, engine.search(connection, words, asked), scope, now)


def save(memory: Nokosu, text: str, **fields: Any) -> str:
    return memory.save(Draft(text=text, **fields)).id


def texts(hits: Hits) -> list[str]:
    return [hit.text for hit in hits.hits]


@pytest.fixture
def holds(memory: Nokosu) -> str:
    for number in range(20):
        save(memory, f"Notes of meeting {number} on lunch and other plans.")
    return save(memory, "Slot holds live in Postgres.")


def test_a_memory_without_any_word_of_the_question_is_found_by_its_meaning(memory: Nokosu, holds: str) -> None:
    (hit,) = search(memory, "where are reservations kept", {holds: (4.0, True)}).hits
    assert (hit.id, hit.meaning, hit.weak, hit.matched) == (holds, True, False, ())


def test_near_is_not_yet_an_answer_and_what_is_like_many_is_not_shown(memory: Nokosu, holds: str) -> None:
    found = search(memory, "where are reservations kept", {holds: (2.0, False)})
    assert [(hit.id, hit.weak) for hit in found.hits] == [(holds, True)]
    assert any("means quite the same" in note for note in found.notes)
    assert search(memory, "where are reservations kept", {holds: (0.9, False)}).hits == ()


def test_a_memory_that_says_all_of_it_comes_before_one_that_means_it(memory: Nokosu, holds: str) -> None:
    lunch = save(memory, "The canteen is closed.")
    found = search(memory, "slot holds Postgres", {lunch: (2.0, True), holds: (0.5, False)})
    assert [hit.id for hit in found.hits][:2] == [holds, lunch]
    assert [hit.meaning for hit in found.hits][:2] == [False, True]


def test_what_bears_a_name_comes_before_all_that_is_near_it(memory: Nokosu, holds: str) -> None:
    bears = save(
        memory,
        "In a long text about other things, among lunch and other plans, stands one word: rdzv_endpoint. "
        + "More. " * 60,
    )
    found = search(memory, "rdzv_endpoint", {holds: (6.0, True), bears: (-1.0, False)})
    assert [hit.id for hit in found.hits] == [bears, holds]


def test_a_chance_word_does_not_hide_what_is_meant(memory: Nokosu, holds: str) -> None:
    found = search(memory, "lunch break reservations stored somewhere safe", {holds: (4.0, True)})
    assert found.hits[0].id == holds


def test_a_memory_whose_meaning_is_not_known_yet_is_found_by_its_words(memory: Nokosu, holds: str) -> None:
    assert search(memory, "slot holds", {}).hits[0].id == holds


def test_forgotten_superseded_and_filtered_memories_stay_hidden(memory: Nokosu, holds: str) -> None:
    newer = save(memory, "They moved to Redis.", supersedes=(holds,), type="decision")
    gone = save(memory, "Reservations used to lie in files.")
    memory.forget(gone)
    near = {holds: (5.0, True), gone: (5.0, True)}
    found = search(memory, "where are reservations kept", near)
    assert [hit.id for hit in found.hits] == [newer], "the one that stands in its place is shown"
    assert (found.withheld["superseded"], found.withheld["forgotten"]) == (1, 1)
    both = search(memory, "where are reservations kept", near, include_superseded=True)
    assert [hit.id for hit in both.hits][:2] == [newer, holds]
    assert search(memory, "where are reservations kept", near, type="config").hits == ()


def test_a_time_that_the_question_names_narrows_meaning_too(memory: Nokosu, clock: ManualClock, holds: str) -> None:
    clock.now_ms += 40 * DAY_MS
    late = save(memory, "Bookings are in MySQL.")
    found = search(memory, "where were reservations kept in February", {holds: (5.0, True), late: (4.0, True)})
    assert [hit.id for hit in found.hits if not hit.weak] == [late]


def test_of_a_time_that_holds_no_word_the_nearest_comes_before_the_latest(memory: Nokosu, clock: ManualClock) -> None:
    clock.now_ms += 40 * DAY_MS
    near = save(memory, "Bookings are in MySQL.")
    clock.now_ms += DAY_MS
    late = save(memory, "The canteen is closed.")
    found = search(memory, "where were reservations kept in February", {near: (2.0, False)})
    assert [(hit.id, hit.weak) for hit in found.hits] == [(near, False), (late, False)]
    assert found.notes[0].endswith("the nearest in meaning of that time, and then its latest")


def test_what_stood_answers_where_the_time_itself_has_only_what_is_near(
    memory: Nokosu, clock: ManualClock, holds: str
) -> None:
    clock.now_ms += 40 * DAY_MS
    near = save(memory, "The canteen is closed.")
    found = search(memory, "who kept slot holds in February", {near: (5.0, False), holds: (1.0, False)})
    assert [hit.id for hit in found.hits if not hit.weak] == [holds]
    assert found.notes[0].startswith("what stood at the end of")


def test_the_project_comes_first_and_meaning_alone_answers_only_there(memory: Nokosu) -> None:
    ours = save(memory, "Slots live in Postgres.", project="app")
    theirs = save(memory, "Slots live in files.", project="other")
    near = {theirs: (6.0, True), ours: (3.0, True)}
    found = search(memory, "where are reservations kept", near, project="app")
    assert [(hit.id, hit.elsewhere, hit.weak) for hit in found.hits] == [(ours, False, False)]
    found = search(memory, "where are reservations kept", near, all_projects=True)
    assert [hit.id for hit in found.hits] == [theirs, ours]


def test_what_is_quoted_is_meant_to_the_letter(memory: Nokosu, holds: str) -> None:
    lunch = save(memory, "The canteen is closed.")
    assert [hit.id for hit in search(memory, '"slot holds"', {lunch: (9.0, True)}).hits] == [holds]


def test_where_the_meaning_is_not_known_in_time_the_answer_is_that_of_the_words(memory: Nokosu, holds: str) -> None:
    with memory.store()[0].reading() as connection:
        asked = asking.asked(connection, memory.config, Query(text="slot holds"), Scope(), 0)
        plain = engine.search(connection, "slot holds", asked)
        silent = engine.search(connection, "slot holds", msgspec.structs.replace(asked, meaning=Silent()))
    assert silent == plain


def test_the_score_is_a_squared_share_and_a_deviation() -> None:
    assert meaning.score(0.5, 0.0, Near(1, 2.0, answers=False)) == 0.25 * meaning.WORDS + 2
    assert meaning.score(3.0, 0.0, None) == meaning.WORDS
    assert meaning.score(0.0, 1.0, None) == meaning.ALL_WORDS
    assert meaning.score(0.0, 0.5, None) < 0.05


def test_a_hit_whose_words_are_enough_says_nothing_of_its_meaning(memory: Nokosu, holds: str) -> None:
    (first, *_) = search(memory, "slot holds live", {holds: (5.0, True)}).hits
    assert not first.meaning
