"""What a search shows, in which order, and what it says of what it does not show."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu.config import Config, ProjectConfig
from nokosu.drafts import Change, Draft, Filters, Query
from nokosu.errors import NotFound, UsageError
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.testing import HOUR_MS, ManualClock, Peer, SeededRandom, Store
from tests.promises import promise

At = Callable[..., Nokosu]


@pytest.fixture
def at(config: Config, clock: ManualClock) -> Iterator[At]:
    """The same store for somebody who works in a project: `at("app")`; in none: `at()`."""
    opened: list[Nokosu] = []

    def open_at(project: str | None = None, **settings: Any) -> Nokosu:
        here = msgspec.structs.replace(config, project=project, **settings)
        opened.append(Nokosu(here, wall_clock=clock, random=SeededRandom(len(opened))))
        return opened[-1]

    yield open_at
    for one in opened:
        one.close()


def texts(hits: Hits) -> list[str]:
    return [hit.text for hit in hits.hits]


def search(memory: Nokosu, words: str, **filters: Any) -> Hits:
    return memory.search(Query(text=words, **filters))


def save(memory: Nokosu, text: str, **fields: Any) -> str:
    return memory.save(Draft(text=text, **fields)).id


# Order ----------------------------------------------------------------------------------------------------------------


@promise("relevance-first")
def test_twenty_chatty_important_notes_do_not_bury_the_exact_one(memory: Nokosu) -> None:
    for number in range(20):
        save(memory, f"Team meeting {number}: we talked about the cache at length, also lunch.", importance=5)
    save(memory, "Cache invalidation key is the tenant id, not the user id.", importance=1)
    assert texts(search(memory, "cache invalidation tenant"))[0].startswith("Cache invalidation key")


def test_importance_breaks_a_tie_and_then_recency_does(memory: Nokosu, clock: ManualClock) -> None:
    for text, importance in (("beta port one", None), ("beta port two", 3), ("beta port six", None)):
        clock.advance(ms=HOUR_MS)
        save(memory, text, importance=importance)
    assert texts(search(memory, "beta")) == ["beta port two", "beta port six", "beta port one"]


def test_the_same_store_gives_the_same_answer(memory: Nokosu, config: Config, clock: ManualClock) -> None:
    memory.save_many([Draft(text=f"same words number {number}") for number in range(30)])
    first = search(memory, "same words", limit=20)
    assert search(memory, "same words", limit=20) == first
    with Nokosu(config, wall_clock=clock) as again:
        assert search(again, "same words", limit=20) == first
    assert texts(search(memory, "same words", limit=5)) == texts(first)[:5]


def test_an_empty_query_gives_the_latest_first(memory: Nokosu, clock: ManualClock) -> None:
    ids = []
    for number in range(12):
        clock.advance(ms=1)
        ids.append(save(memory, f"note {number}"))
    clock.advance(ms=1)
    memory.edit(ids[3], Change(text="note 3, edited"))
    for words in ("", "   ", "\n"):
        found = search(memory, words, limit=3)
        assert texts(found) == ["note 3, edited", "note 11", "note 10"]
        assert (found.total_is_exact, found.total >= 3) == (False, True)
    assert search(memory, "", limit=20).total == 12


# Projects -------------------------------------------------------------------------------------------------------------


@promise("project-first")
def test_the_current_project_comes_first_and_three_of_ten_places_go_elsewhere(at: At) -> None:
    app, other = at("app"), at("other")
    for number in range(20):
        save(app, f"The deploy of part {number} has a long story with many more words that say little about it.")
    for number in range(20):
        save(other, f"deploy deploy {number}")
    found = search(app, "deploy").hits
    assert [hit.project for hit in found] == ["app"] * 7 + ["other"] * 3
    assert [hit.elsewhere for hit in found] == [False] * 7 + [True] * 3
    assert search(app, "deploy").project == "app"


def test_weaker_hits_from_elsewhere_take_only_places_that_are_free(at: At) -> None:
    app, other = at("app"), at("other")
    for number in range(3):
        save(app, f"deploy deploy {number}")
    for number in range(20):
        save(other, f"The deploy of part {number} has a long story with many more words that say little about it.")
    assert [hit.project for hit in search(app, "deploy").hits] == ["app"] * 3 + ["other"] * 7
    for number in range(3, 13):
        save(app, f"deploy deploy {number}")
    assert {hit.project for hit in search(app, "deploy").hits} == {"app"}


def test_a_project_named_restricts_and_all_projects_ranks_alike(at: At) -> None:
    app, other = at("app"), at("other")
    save(app, "The deploy of the app is described here at some length, in many words.")
    save(other, "deploy")
    assert texts(search(app, "deploy", project="other")) == ["deploy"]
    assert [hit.elsewhere for hit in search(app, "deploy", project="other").hits] == [False]
    assert [hit.project for hit in search(app, "deploy", all_projects=True).hits] == ["other", "app"]
    assert not any(hit.elsewhere for hit in search(app, "deploy", all_projects=True).hits)


def test_a_project_without_memories_finds_nothing_of_others(at: At, tmp_path: Path) -> None:
    save(at("app"), "deploy")
    folder = tmp_path / "empty"
    folder.mkdir()
    found = search(at("app"), "deploy", project=str(folder))
    assert (texts(found), found.total) == ([], 0)
    assert texts(at("app").list(Filters(project=str(folder)))) == []


def test_the_latest_of_a_project_are_of_that_project(at: At) -> None:
    app = at("app")
    save(app, "one")
    save(at("other"), "two")
    save(app, "three")
    assert texts(app.list(Filters())) == ["three", "one"]
    assert texts(app.list(Filters(all_projects=True))) == ["three", "two", "one"]
    assert app.list(Filters()).total == 2


@promise("kept-apart")
def test_a_search_that_may_not_look_elsewhere_stays_inside(at: At) -> None:
    save(at("client"), "client deploy")
    save(at("other"), "other deploy")
    alone = at("client", search_elsewhere=False)
    assert texts(search(alone, "deploy")) == ["client deploy"]
    assert texts(search(at("new", search_elsewhere=False), "deploy")) == []
    assert texts(at("new", search_elsewhere=False).list(Filters())) == []


@promise("kept-apart")
def test_a_project_kept_apart_neither_shows_others_nor_is_shown_to_them(at: At) -> None:
    apart = {"client": ProjectConfig(search_elsewhere=False)}
    client, other = at("client", projects=apart), at("other", projects=apart)
    save(client, "client deploy")
    save(other, "other deploy")
    assert texts(search(client, "deploy")) == ["client deploy"]
    assert texts(search(other, "deploy")) == ["other deploy"]
    assert texts(search(at(projects=apart), "deploy")) == ["other deploy"]
    assert texts(at(projects=apart).list(Filters())) == ["other deploy"]
    assert texts(search(other, "deploy", project="client")) == ["client deploy"]


@promise("kept-apart")
def test_what_supersedes_a_memory_from_elsewhere_stays_elsewhere(at: At) -> None:
    old = save(at("client"), "the client deploys on Mondays")
    save(at("other"), "the client deploys on Fridays now", supersedes=(old,))
    assert texts(search(at("client", search_elsewhere=False), "deploys")) == []
    assert texts(search(at("client"), "deploys", project="client")) == []
    shown = search(at("client"), "deploys Mondays").hits
    assert [(hit.project, hit.elsewhere) for hit in shown] == [("other", True)]


def test_hits_elsewhere_are_found_however_many_better_ones_a_filter_hides(at: At, clock: ManualClock) -> None:
    app, other = at("app"), at("other")
    save(app, "nothing to see here")
    other.save_many([Draft(text=f"lamp lamp {number}") for number in range(260)])
    clock.advance(days=1)
    other.save_many(
        [Draft(text=f"At last there is word of one more lamp, in a long line: {number}") for number in range(5)]
    )
    found = search(app, "lamp", since="2026-01-02")
    assert (len(found.hits), found.total) == (5, 5)


# Filters --------------------------------------------------------------------------------------------------------------


def test_each_filter_narrows(config: Config, clock: ManualClock) -> None:
    for agent, fields in (
        ("codex", {"type": "bug", "tags": ("Http", "tls")}),
        ("claude-code", {"type": "decision", "tags": ("http",)}),
    ):
        here = msgspec.structs.replace(config, author=Author(agent=agent))
        with Nokosu(here, wall_clock=clock) as memory:
            save(memory, f"the proxy, said {agent}", **fields)
    with Nokosu(config, wall_clock=clock) as memory:
        for words in ("proxy", ""):
            assert texts(search(memory, words, type="bug")) == ["the proxy, said codex"]
            assert texts(search(memory, words, agent="Claude-Code")) == ["the proxy, said claude-code"]
            assert len(texts(search(memory, words, tags=("HTTP",)))) == 2
            assert texts(search(memory, words, tags=("http", "tls"))) == ["the proxy, said codex"]
            assert texts(search(memory, words, tags=("ht",))) == []
            assert len(texts(search(memory, words, device="LAPTOP"))) == 2
            assert len(texts(search(memory, words, space="personal"))) == 2
            assert texts(search(memory, words, space="local")) == []
        with pytest.raises(NotFound, match="laptop"):
            search(memory, "proxy", device="desktop")
        with pytest.raises(NotFound, match="personal, local"):
            search(memory, "proxy", space="team")


def test_since_and_until_bound_when_a_memory_was_last_written(memory: Nokosu, clock: ManualClock) -> None:
    for day in range(1, 6):
        save(memory, f"written on day {day}")
        clock.advance(days=1)
    for words in ("written", ""):
        assert set(texts(search(memory, words, since="2026-01-03", until="2026-01-04"))) == {
            "written on day 3",
            "written on day 4",
        }
        assert texts(search(memory, words, since="2026-01-05T00:00:00Z")) == ["written on day 5"]
        assert texts(search(memory, words, until="2026-01-01T00:00:00.000Z")) == ["written on day 1"]
        assert texts(search(memory, words, until="2025-12-31")) == []


def test_superseded_forgotten_and_expired_are_shown_on_demand(memory: Nokosu, clock: ManualClock) -> None:
    old = save(memory, "the port is 80")
    save(memory, "the port is 8080", supersedes=(old,))
    memory.forget(save(memory, "the port is 99"))
    save(memory, "the port is 77 today", expires="2026-01-01")
    clock.advance(days=2)
    found = search(memory, "port")
    assert texts(found) == ["the port is 8080"]
    assert found.withheld == {"superseded": 1, "forgotten": 1, "expired": 1}
    everything = search(memory, "port", include_superseded=True, include_forgotten=True, include_expired=True)
    assert len(everything.hits) == 4
    assert everything.withheld == {}
    by_text = {hit.text: hit for hit in everything.hits}
    assert by_text["the port is 80"].superseded_by == by_text["the port is 8080"].id
    assert by_text["the port is 99"].status == "forgotten"
    assert by_text["the port is 77 today"].expired
    shown = texts(everything)
    assert shown.index("the port is 8080") < shown.index("the port is 80")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('"rolling restart"', ["do a rolling restart"]),
        ('"restart rolling"', []),
        ('"rolling restart" do', ["do a rolling restart"]),
        ("rolling restart", ["do a rolling restart", "restart it, then keep on rolling"]),
    ],
)
def test_a_quoted_phrase_stands_side_by_side(memory: Nokosu, words: str, found: list[str]) -> None:
    save(memory, "do a rolling restart")
    save(memory, "restart it, then keep on rolling")
    assert sorted(texts(search(memory, words))) == found


# Why, and whether at all --------------------------------------------------------------------------------------------


@promise("few-rather-than-noise")
def test_each_hit_says_by_which_words_it_came(memory: Nokosu) -> None:
    save(memory, "The nightly backup writes to the cold bucket.")
    save(memory, "The bucket is versioned.")
    found = search(memory, "which bucket does the nightly backup use?")
    assert [hit.matched for hit in found.hits] == [("bucket", "nightly", "backup"), ("bucket",)]
    assert [hit.weak for hit in found.hits] == [False, True]
    assert search(memory, '"nightly backup" bucket').hits[0].matched == ("nightly backup", "bucket")
    assert search(memory, "").hits[0].matched == ()


@promise("few-rather-than-noise")
def test_a_question_without_an_answer_brings_few_hits_and_says_so(memory: Nokosu) -> None:
    memory.save_many(
        [Draft(text=f"The customer number {number} is in the ledger, by and large.") for number in range(30)]
    )
    found = search(memory, "what does a customer in Osaka pay for premium parcels?")
    assert (len(found.hits), found.total, found.withheld) == (5, 5, {"weak": 25})
    assert all(hit.weak and hit.matched == ("customer",) for hit in found.hits)
    assert any("may be no answer" in note for note in found.notes)
    known = search(memory, "customer number in ledger")
    assert (len(known.hits), any(hit.weak for hit in known.hits), known.withheld) == (10, False, {})


@promise("few-rather-than-noise")
def test_weak_hits_from_elsewhere_are_left_out_beside_an_answer(at: At) -> None:
    app, other = at("app"), at("other")
    save(app, "The kiosk prints on thermal paper.")
    save(other, "The kiosk is blue.")
    save(other, "Every kiosk prints on thermal paper here.")
    found = search(app, "on which thermal paper does the kiosk print today evening?")
    assert [(hit.project, hit.weak) for hit in found.hits] == [("app", False), ("other", False)]
    assert found.withheld == {"weak": 1}


# Times that a question names ------------------------------------------------------------------------------------------


@promise("a-question-may-name-a-time")
def test_a_question_about_a_month_finds_what_was_written_then(memory: Nokosu, clock: ManualClock) -> None:
    for month, text in ((31, "the port is 80"), (28, "the port is 8080"), (31, "the port is 9090")):
        save(memory, text)
        clock.advance(days=month)
    found = search(memory, "what was the port in February?")
    assert texts(found) == ["the port is 8080"]
    assert found.notes == ("memories of 2026-02-01 to 2026-02-28 only, as the question asks",)
    assert set(texts(search(memory, "what is the port?"))) == {"the port is 80", "the port is 8080", "the port is 9090"}
    assert set(texts(search(memory, "port since February"))) == {"the port is 8080", "the port is 9090"}


@promise("a-question-may-name-a-time")
def test_what_was_superseded_later_stood_at_the_time(memory: Nokosu, clock: ManualClock) -> None:
    old = save(memory, "the port is 80")
    clock.advance(days=40)
    new = save(memory, "the port is 8080", supersedes=(old,))
    clock.advance(days=1)
    (hit,) = search(memory, "which port in January?").hits
    assert (hit.id, hit.superseded_by) == (old, new)
    assert texts(search(memory, "which port as of January?")) == ["the port is 80"]
    assert texts(search(memory, "which port in February?")) == ["the port is 8080"]
    assert texts(search(memory, "which port?")) == ["the port is 8080"]


def test_what_stood_at_the_end_of_a_month_is_shown_where_it_answers_better(memory: Nokosu, clock: ManualClock) -> None:
    save(memory, "bookings are paged by offset and limit")
    clock.advance(days=35)
    save(memory, "bookings are printed on blue paper")
    clock.advance(days=35)
    save(memory, "bookings are paged by offset no more")
    found = search(memory, "how were bookings paged, by which offset, in February?")
    assert texts(found) == ["bookings are paged by offset and limit", "bookings are printed on blue paper"]
    assert found.notes == (
        "what stood at the end of 2026-02-01 to 2026-02-28: it answers better than what was written then",
    )
    assert texts(search(memory, "what colour did bookings have in February?")) == ["bookings are printed on blue paper"]


def test_what_stood_at_a_time_that_is_hinted_at_is_shown_below_what_superseded_it(
    memory: Nokosu, clock: ManualClock
) -> None:
    clock.advance(days=70)
    old = save(memory, "The spectrum has 64 mel bands")
    clock.advance(days=100)
    new = save(memory, "The spectrum has 128 mel bands", supersedes=(old,))
    clock.advance(days=1)
    assert [hit.id for hit in search(memory, "how many mel bands in spring?").hits] == [new, old]
    assert [hit.id for hit in search(memory, "how many mel bands?").hits] == [new]
    assert [hit.id for hit in search(memory, "how many mel bands in summer?").hits] == [new], (
        "it had been superseded by then"
    )


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("project", [None, "app", "other"])
def test_what_a_hint_lets_be_shown_never_stands_without_what_superseded_it(
    at: At, clock: ManualClock, project: str | None, limit: int
) -> None:
    app = at("app")
    clock.advance(days=70)
    old = save(app, "The spectrum has 64 mel bands")
    clock.advance(days=100)
    new = save(app, "A spectrum of mel: its lowest, its middle and its highest part", supersedes=(old,))
    save(app, "mel bands are what the spectrum has")
    clock.advance(days=1)
    found = [hit.id for hit in search(at(project), "how many mel bands in spring?", limit=limit).hits]
    assert new in found
    assert old not in found or found.index(new) < found.index(old)


def test_what_a_hint_lets_be_shown_stands_below_the_end_of_its_chain_too(memory: Nokosu, clock: ManualClock) -> None:
    clock.advance(days=70)
    old = save(memory, "The spectrum has 64 mel bands")
    clock.advance(days=90)
    between = save(memory, "It has twice as many now", supersedes=(old,))
    clock.advance(days=10)
    new = save(memory, "Now it is done in quite another way", supersedes=(between,))
    clock.advance(days=1)
    assert [hit.id for hit in search(memory, "how many mel bands in spring?").hits] == [new, old]


def test_what_a_hint_would_show_is_withheld_where_a_filter_keeps_away_what_superseded_it(
    memory: Nokosu, clock: ManualClock
) -> None:
    clock.advance(days=70)
    old = save(memory, "The spectrum has 64 mel bands", tags=("audio",))
    clock.advance(days=100)
    save(memory, "Now it is done in quite another way", supersedes=(old,))
    clock.advance(days=1)
    found = search(memory, "how many mel bands in spring?", tags=("audio",))
    assert (texts(found), found.total, found.withheld) == ([], 0, {"superseded": 1})


def test_a_summary_written_soon_after_a_month_is_of_it(memory: Nokosu, clock: ManualClock) -> None:
    clock.advance(days=33)
    save(memory, "January: the move to the new port", type="summary")
    save(memory, "the port is new", type="note")
    clock.advance(days=30)
    assert texts(search(memory, "port in January")) == ["January: the move to the new port"]


def test_a_time_without_the_words_gives_its_latest_and_one_without_memories_all(
    memory: Nokosu, clock: ManualClock
) -> None:
    save(memory, "the port is 80")
    clock.advance(days=31)
    save(memory, "the lamp is blue")
    clock.advance(days=60)
    found = search(memory, "which printer in February?")
    assert (texts(found), found.notes) == (
        ["the lamp is blue"],
        ("none of 2026-02-01 to 2026-02-28 holds a word of the question: these are the latest of that time",),
    )
    assert texts(search(memory, "what did we do in January?")) == ["the port is 80"]
    found = search(memory, "which port last week?")
    assert (texts(found), len(found.notes)) == (["the port is 80"], 1)
    assert "there are none of" in found.notes[0]


def test_a_filter_of_time_is_taken_instead_of_the_words(memory: Nokosu, clock: ManualClock) -> None:
    save(memory, "the march of the port")
    clock.advance(days=1)
    assert texts(search(memory, "port in March", since="2026-01-01")) == ["the march of the port"]


def test_the_latest_comes_first_among_those_that_answer_alike(memory: Nokosu, clock: ManualClock) -> None:
    for number in (1, 2, 3):
        save(memory, f"Benchmark run {number}: accuracy of the bird classifier" + " and more words" * number)
        clock.advance(days=30)
    save(memory, "The accuracy of clocks")
    assert texts(search(memory, "benchmark accuracy classifier"))[0].startswith("Benchmark run 1")
    assert texts(search(memory, "latest benchmark accuracy classifier"))[0].startswith("Benchmark run 3")
    assert texts(search(memory, "the latest"))[0] == "The accuracy of clocks"


def test_a_month_beside_a_noun_only_counts_for_more(memory: Nokosu, clock: ManualClock) -> None:
    save(memory, "benchmark of the parser")
    clock.advance(days=31)
    save(memory, "benchmark of the printer")
    clock.advance(days=40)
    assert texts(search(memory, "the February benchmark")) == ["benchmark of the printer", "benchmark of the parser"]
    assert texts(search(memory, "the January benchmark")) == ["benchmark of the parser", "benchmark of the printer"]


# Totals ---------------------------------------------------------------------------------------------------------------


@promise("answers-tell-the-truth")
def test_the_total_counts_what_the_filters_let_through(memory: Nokosu, clock: ManualClock) -> None:
    memory.save_many([Draft(text=f"early lamp {number}") for number in range(90)])
    clock.advance(days=1)
    memory.save_many([Draft(text=f"late lamp {number}") for number in range(70)])
    assert (search(memory, "lamp").total, search(memory, "lamp").total_is_exact) == (160, True)
    late = search(memory, "lamp", since="2026-01-02")
    assert (late.total, late.total_is_exact, len(late.hits)) == (70, True, 10)
    assert search(memory, "lamp", until="2026-01-01").total == 90


@promise("answers-tell-the-truth")
def test_the_total_leaves_out_what_is_withheld(memory: Nokosu, clock: ManualClock) -> None:
    saved = memory.save_many([Draft(text=f"lamp number {number}") for number in range(80)])
    for one in saved[:15]:
        memory.forget(one.id)
    save(memory, "lamp of today", expires="2026-01-01")
    clock.advance(days=1)
    found = search(memory, "lamp")
    assert (found.total, found.total_is_exact) == (65, True)
    assert found.withheld == {"forgotten": 15, "expired": 1}
    assert search(memory, "lamp", include_forgotten=True).total == 80


@promise("answers-tell-the-truth")
def test_the_total_of_a_search_from_a_project_counts_all_projects(at: At) -> None:
    app, other = at("app"), at("other")
    save(app, "lamp of the app")
    other.save_many([Draft(text=f"lamp number {number}") for number in range(70)])
    assert search(app, "lamp").total == 71
    assert search(app, "lamp", project="app").total == 1
    apart = {"other": ProjectConfig(search_elsewhere=False)}
    other.save_many([Draft(text=f"lamp {number}", project="third") for number in range(60)])
    assert search(at("app", projects=apart), "lamp").total == 61


def test_a_total_that_is_not_exact_is_never_too_high(memory: Nokosu) -> None:
    saved = memory.save_many([Draft(text=f"lamp number {number}") for number in range(120)])
    memory.save(Draft(text="one list of them all", supersedes=tuple(one.id for one in saved[:30])))
    found = search(memory, "lamp")
    everything = search(memory, "lamp", limit=100)
    assert len(everything.hits) == 91  # the list stands in for what it supersedes
    assert 60 <= found.total <= 91
    assert found.total == 91 or not found.total_is_exact


def test_nothing_found_is_said_plainly(memory: Nokosu) -> None:
    assert search(memory, "anything").notes == ("nothing is saved yet: nokosu save TEXT",)
    save(memory, "something")
    assert (search(memory, "nowhere").hits, search(memory, "nowhere").total) == ((), 0)
    assert search(memory, "!!!").notes == ("nothing to search for: give a word",)


# Every query is text --------------------------------------------------------------------------------------------------


@promise("any-query-is-text")
@pytest.mark.parametrize("seed", range(4))
def test_five_thousand_queries_of_fts_metacharacters_raise_nothing(memory: Nokosu, seed: int) -> None:
    memory.save_many([Draft(text=f"note {number} about AND or NEAR, title:x and x*y") for number in range(5)])
    signs = [*"\"'()*:^-+{}[]\\/|&%_,.;~!?<>=@#$\t "]
    pieces = [*signs, "AND", "OR", "NOT", "NEAR(", "NEAR/2", "x", "col:", "note", "é", "東京", "٣"]
    choice = random.Random(seed)
    for _ in range(5_000):
        memory.search(Query(text="".join(choice.choices(pieces, k=choice.randint(1, 12)))))


@promise("any-query-is-text")
@pytest.mark.parametrize(
    "words", ['"', "AND", "NEAR(", "*", "x NOT", "-x", "col:x", "(" * 1000, "'; DROP TABLE record; --", "%", "\\"]
)
def test_a_query_of_the_corpus_is_literal_text(memory: Nokosu, words: str) -> None:
    save(memory, "x and y")
    memory.search(Query(text=words))
    assert memory.status().memories == 1


def test_a_query_longer_than_a_question_is_refused(memory: Nokosu) -> None:
    with pytest.raises(UsageError, match=r"query: 1025 bytes, at most 1024"):
        search(memory, "x" * 1025)
    search(memory, "x" * 1024)


# Supersession in a search ---------------------------------------------------------------------------------------------


def test_a_search_for_old_words_answers_with_what_superseded_them(memory: Nokosu) -> None:
    first = save(memory, "the runner is Jenkins")
    second = save(memory, "builds moved to GitHub", supersedes=(first,))
    third = save(memory, "builds moved to Forgejo", supersedes=(second,))
    found = search(memory, "Jenkins")
    assert [hit.id for hit in found.hits] == [third]
    assert found.withheld == {"superseded": 1}
    assert memory.get(first).superseded_by == second


@promise("newer-above-older")
def test_a_superseded_memory_that_is_shown_has_its_successor_above_it_whatever_the_words(memory: Nokosu) -> None:
    old = save(memory, "the runner is Jenkins", importance=5)
    new = save(memory, "builds moved to GitHub", supersedes=(old,))
    found = search(memory, "Jenkins runner", include_superseded=True)
    assert [hit.id for hit in found.hits] == [new, old]
    assert [hit.id for hit in search(memory, "Jenkins runner", include_superseded=True, limit=1).hits] == [new]


def test_a_newer_memory_that_is_gone_hides_nothing(memory: Nokosu, clock: ManualClock) -> None:
    old = save(memory, "the runner is Jenkins")
    newer = save(memory, "the runner is Forgejo", supersedes=(old,))
    assert memory.get(old).superseded_by == newer
    memory.forget(newer)
    assert texts(search(memory, "Jenkins")) == ["the runner is Jenkins"]
    assert memory.get(old).superseded_by is None
    memory.restore(newer)
    assert texts(search(memory, "Jenkins")) == ["the runner is Forgejo"]
    memory.edit(newer, Change(expires="2026-01-01"))
    clock.advance(days=2)
    assert texts(search(memory, "Jenkins")) == ["the runner is Jenkins"]
    memory.edit(newer, Change(expires=""))
    assert texts(search(memory, "Jenkins")) == ["the runner is Forgejo"]
    memory.edit(newer, Change(supersedes=()))
    assert texts(search(memory, "Jenkins")) == ["the runner is Jenkins"]


def test_supersession_in_circles_neither_hangs_a_search_nor_hides_all(store: Store) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    store.admit(peer)
    names = {letter: letter * 12 for letter in "xyz0"}
    links = {
        "x": "y0",
        "z": "x",
        "y": "x",
        "0": "z",
    }  # one circle, in which climbing to the latest newer one turns round
    for letter in "xzy0":
        older = tuple(names[one] for one in links[letter])
        store.log.append(peer.save(f"circle {letter}", memory=names[letter], supersedes=older))
    assert texts(search(opened(store), "circle")) == ["circle 0"]


def test_a_chain_of_thousands_is_answered_with_its_end(store: Store) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    store.admit(peer)
    length = 1_500
    names = [f"{number:012}" for number in range(length)]
    chain = [
        peer.save(
            f"link {number}", memory=names[number], supersedes=(names[number + 1],) if number + 1 < length else ()
        )
        for number in range(length)
    ]
    store.log.append_many(chain)
    memory = opened(store)
    assert texts(search(memory, "link")) == ["link 0"]
    assert texts(memory.list(Filters())) == ["link 0"]


def opened(store: Store) -> Nokosu:
    """The store as `Nokosu` sees it."""
    home = store.database.path.parent
    return Nokosu(Config(home=home, user_home=home, author=Author()), wall_clock=ManualClock())
