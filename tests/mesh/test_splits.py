"""A connection that takes the place of a lost one, while another stands, is what only one end takes for new."""

from __future__ import annotations

import pytest

from nokosu.mesh.splits import Splits

THEIRS = ("10.0.0.1:5000", "10.0.0.2:28123")  # they called
OURS = ("10.0.0.1:28123", "10.0.0.2:6000")
AGAIN = ("10.0.0.1:5000", "10.0.0.9:7000")


@pytest.fixture
def splits() -> Splits:
    made = Splits()
    made.added("a", THEIRS)
    made.added("a", OURS)
    return made


def test_two_that_call_each_other_are_not_split(splits: Splits) -> None:
    splits.added("a", OURS)  # told twice
    splits.removed("b", OURS)  # never heard of
    assert splits.found() == set()


def test_one_connection_that_is_lost_is_no_split(splits: Splits) -> None:
    splits.removed("a", THEIRS)
    assert splits.found() == set()


def test_a_new_one_in_the_place_of_a_lost_one_is_until_all_are_gone(splits: Splits) -> None:
    splits.removed("a", THEIRS)
    splits.added("a", AGAIN)
    assert splits.found() == {"a"}
    splits.removed("a", OURS)
    assert splits.found() == {"a"}, "it does not heal"
    splits.removed("a", AGAIN)
    assert splits.found() == set()


def test_both_lost_before_a_new_one_comes_is_a_new_beginning(splits: Splits) -> None:
    splits.removed("a", THEIRS)
    splits.removed("a", OURS)
    splits.added("a", AGAIN)
    splits.added("a", OURS)
    assert splits.found() == set()


def test_the_same_is_seen_by_who_only_looks_now_and_then(splits: Splits) -> None:
    splits.seen({"a": {THEIRS, OURS}})
    splits.seen({"a": {OURS, AGAIN}, "b": {THEIRS}})
    assert splits.found() == {"a"}
    splits.seen({"a": {AGAIN}, "b": {THEIRS}})
    assert splits.found() == {"a"}
    splits.seen({"b": {OURS}})
    assert splits.found() == set()
    splits.seen({"a": {AGAIN}, "b": {OURS}})
    assert splits.found() == set()
