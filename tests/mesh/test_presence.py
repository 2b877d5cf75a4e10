"""Who is there, by tokens and connections."""

from __future__ import annotations

import pytest

from nokosu.mesh.presence import GONE_SECONDS, Presence

KEY = "nokosu/1/00/here/dd/abc"


class Told:
    """What was said, and a clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.presence = Presence(
            lambda key: self.said.append(f"+{key}"), lambda key: self.said.append(f"-{key}"), lambda: self.now
        )

    def look(self, *connected: str, after: float = 0.0) -> list[str]:
        self.now += after
        self.presence.look(set(connected))
        said, self.said = self.said, []
        return said


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_token_appears_and_vanishes_and_one_declared_again_does_both(told: Told) -> None:
    told.presence.declared(KEY)
    told.presence.declared(KEY)
    told.presence.ended(KEY)
    told.presence.ended(KEY)
    assert told.said == [f"+{KEY}", f"-{KEY}", f"+{KEY}", f"-{KEY}"]


def test_a_node_whose_connection_went_is_gone_though_its_token_stays_and_is_back_with_it(told: Told) -> None:
    told.presence.declared(KEY)
    assert told.look("abc") == [f"+{KEY}"]
    assert told.look() == [], "its token may be on the way"
    assert told.look(after=GONE_SECONDS) == [f"-{KEY}"]
    assert told.look(after=60) == []
    assert told.look("abc") == [f"+{KEY}"]


def test_a_node_that_was_gone_already_is_not_gone_again_when_its_token_goes(told: Told) -> None:
    told.presence.declared(KEY)
    told.look("abc")
    told.look()
    assert told.look(after=GONE_SECONDS) == [f"-{KEY}"]
    told.presence.ended(KEY)
    assert told.said == []
    told.presence.declared(KEY)
    assert told.said == [f"+{KEY}"]


def test_a_node_that_is_reached_through_others_stays_for_as_long_as_its_token(told: Told) -> None:
    told.presence.declared(KEY)
    assert told.look("another", after=60) == [f"+{KEY}"]
    assert told.look(after=60) == []


def test_whose_tokens_are_there_is_told_lost_or_not(told: Told) -> None:
    assert told.presence.routers() == set()
    told.presence.declared(KEY)
    told.look("abc")
    told.look()
    told.look(after=GONE_SECONDS)
    assert told.presence.routers() == {"abc"}
    told.presence.ended(KEY)
    assert told.presence.routers() == set()
