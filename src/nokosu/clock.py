"""The hybrid logical clock: wall time where it moves forward, a counter where it does not.

A time is one 63-bit integer: 48 bits of milliseconds since 1970 above 16 bits of counter, so that comparing integers
compares times. The functions are pure; the store keeps the high-water mark and moves it in the transaction that
writes the record, so neither a clock set back nor a restart repeats a time.

Source: Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical Clocks" (OPODIS 2014); the bound on drift follows
uhlc.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from nokosu import limits

COUNTER_BITS: Final = 16

WallClock = Callable[[], int]
"""Gives milliseconds since 1970-01-01T00:00:00Z."""


def system_wall_clock() -> int:
    """The machine's clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def tick(high_water: int, wall_ms: int) -> int:
    """The time of our next record: after *high_water*, and not before *wall_ms*.

    A counter that runs over carries into the milliseconds, which the order does not notice.
    """
    return max(wall_ms << COUNTER_BITS, high_water + 1)


def observe(high_water: int, seen: int, wall_ms: int) -> int:
    """Our new high-water mark after a record with the time *seen* arrived.

    A record from the future moves it by at most `limits.DRIFT_MS_MAX` ahead of *wall_ms*: one wrong clock must not
    drag every other along.
    """
    bound = (wall_ms + limits.DRIFT_MS_MAX + 1 << COUNTER_BITS) - 1
    return max(high_water, min(seen, bound))


def wall_ms(hlc: int) -> int:
    """The milliseconds of a hybrid time."""
    return hlc >> COUNTER_BITS
