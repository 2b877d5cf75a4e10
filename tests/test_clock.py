"""The hybrid logical clock: never the same time twice, never before the wall clock, never far ahead of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nokosu import clock, limits
from tests.promises import promise

MILLIS = st.integers(0, 2**46)
TIMES = st.integers(0, 2**63 - 1)


@given(TIMES, MILLIS)
def test_a_tick_is_later_than_all_before_and_not_before_the_wall_clock(high: int, wall: int) -> None:
    ticked = clock.tick(high, wall)
    assert ticked > high
    assert clock.wall_ms(ticked) >= wall
    assert ticked == wall << 16 or ticked == high + 1


@given(st.lists(MILLIS, min_size=2, max_size=50))
def test_times_rise_however_the_wall_clock_jumps(walls: list[int]) -> None:
    high, seen = 0, []
    for wall in walls:
        high = clock.tick(high, wall)
        seen.append(high)
    assert seen == sorted(set(seen))


@promise("wrong-clocks")
@given(TIMES, TIMES, MILLIS)
def test_what_arrives_moves_our_clock_no_further_than_the_drift_bound(high: int, seen: int, wall: int) -> None:
    observed = clock.observe(high, seen, wall)
    assert observed >= high
    assert observed == high or clock.wall_ms(observed) <= wall + limits.DRIFT_MS_MAX
    if clock.wall_ms(seen) <= wall + limits.DRIFT_MS_MAX:
        assert observed >= seen


@given(st.lists(st.tuples(TIMES, MILLIS)))
def test_what_we_observe_in_another_order_moves_us_as_far(arrivals: list[tuple[int, int]]) -> None:
    def after(order: list[tuple[int, int]]) -> int:
        high = 0
        for seen, wall in order:
            high = clock.observe(high, seen, wall)
        return high

    assert after(arrivals) == after(arrivals[::-1])


def test_a_counter_that_runs_over_carries_into_the_milliseconds() -> None:
    assert clock.tick((7 << 16) + 0xFFFF, 7) == 8 << 16


def test_the_system_clock_counts_milliseconds_since_1970() -> None:
    assert 1_700_000_000_000 < clock.system_wall_clock() < 2**45
