"""Times, and what they are compared with.

CPU time is that of this process, all its threads and, for child processes, theirs. On a busy machine it swells less than wall
time, but it swells: only a floor measured in the same minute makes a figure comparable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Spread:
    """Many times of the same thing, in milliseconds."""

    p50: float
    p99: float
    cpu_p50: float
    cpu_p99: float
    count: int


@dataclass(slots=True)
class Stopwatch:
    """Collects wall and CPU times."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def time(self, work: Callable[[], _T]) -> _T:
        """Do *work* and note how long it took."""
        cpu = time.process_time_ns()
        wall = time.perf_counter_ns()
        result = work()
        self.note((time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6)
        return result

    def note(self, wall_ms: float, cpu_ms: float) -> None:
        self.wall_ms.append(wall_ms)
        self.cpu_ms.append(cpu_ms)

    def spread(self) -> Spread:
        return Spread(
            p50=percentile(self.wall_ms, 50),
            p99=percentile(self.wall_ms, 99),
            cpu_p50=percentile(self.cpu_ms, 50),
            cpu_p99=percentile(self.cpu_ms, 99),
            count=len(self.wall_ms),
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that *percent* of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def busy_loop_ms() -> float:
    """CPU milliseconds of a fixed piece of work: tells how much slower the machine is while others use it."""
    watch = Stopwatch()
    for _ in range(9):
        watch.time(lambda: sum(number * number for number in range(200_000)))
    return watch.spread().cpu_p50
