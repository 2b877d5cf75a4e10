"""Whether a text says anything new: the same in other order or form is not, another number, name or a denial is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.search.alike import Said, clauses

LONG = "The staging database of the booking service listens behind the harbour's load balancer with two replicas"


def says_nothing_new(text: str, *before: str) -> bool:
    said = Said()
    for one in before:
        said.add(clauses(one))
    return said.holds(list(clauses(text)))


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Deploys run from the main branch only.", "Deploys run from the main branch only."),
        ("Deploys run from the main branch only.", "From the main branch only, deploy runs"),
        ("- Deploys run from\n  the `main` branch only", "Deploys run from the main branch"),
        ("Run the tests with `make test`. They need Postgres 15.", "They need Postgres 15; run tests with make test"),
        ("本番環境のデプロイは金曜日にはしない。", "本番環境のデプロイは金曜日にはしない"),
    ],
)
def test_the_same_in_another_form_is_not_new(before: str, text: str) -> None:
    assert says_nothing_new(text, before)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (f"{LONG} on port 6543", f"{LONG} on port 6544"),
        (LONG, f"{LONG}: 6543"),
        (f"{LONG} in Germany", f"{LONG} in France"),
        (f"{LONG} by get_user", f"{LONG} by get_users"),
        ("The staging database listens on port 6543", "The staging database listens on port 6544"),
        (
            "The nightly import for Germany runs before the invoices",
            "The nightly import for France runs before the invoices",
        ),
        ("Deploys do not run from the main branch", "Deploys run from the main branch"),
        ("Deploys run from the main branch", "Deploys never run from the main branch"),
        ("本番環境のデプロイは金曜日にする", "本番環境のデプロイは金曜日にはしない"),
        ("get_user_by_id returns null for merged users", "get_user_by_name returns null for merged users"),
        ("Staging uses port 1. Production uses port 2.", "Production uses port 1."),
        ("Use the new tabs", "Use tabs"),
        ("We moved the queue from Redis to Postgres.", "We moved the queue from Postgres to Redis."),
        ("Use Postgres instead of Redis for the queue.", "Use Redis instead of Postgres for the queue."),
        ("Prefer tabs over spaces in makefiles", "Prefer spaces over tabs in makefiles"),
        ("Timeout goes from 30 s to 60 s for uploads", "Timeout goes from 60 s to 30 s for uploads"),
        ("The worker writes to the queue, the API reads from the cache", "The API writes to the queue"),
        ("Deploys run from main", "Deploys run from main, and so do the nightly imports of all the invoices"),
    ],
)
def test_another_number_name_or_denial_is_new(before: str, text: str) -> None:
    assert not says_nothing_new(text, before)


def test_what_several_said_between_them_is_not_new() -> None:
    before = ("Deploys run from the main branch only.", "The release job refuses other refs.")
    assert says_nothing_new("Deploys run from the main branch only: the release job refuses other refs.", *before)


@given(st.text())
def test_a_text_that_was_said_is_not_new_and_one_without_words_never_was(text: str) -> None:
    has_words = any(clauses(text))
    assert says_nothing_new(text, text) is has_words
    assert not says_nothing_new(text)


def test_of_a_very_long_text_the_beginning_is_compared() -> None:
    words = " ".join(f"word{at}" for at in range(limits.TEXT_BYTES_MAX))
    (clause,) = clauses(words)
    assert sum(map(len, clause.words)) <= limits.COMPARED_CHARS_MAX
