"""A figure: what was measured, the bare floor beside it, and the goals it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.measuring import Spread


class Verdict(StrEnum):
    """Whether a goal is met; on a busy machine its CPU time may fit where the wall time does not."""

    MET = "met"
    MET_IN_CPU_TIME = "met in CPU time"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound, and what was measured for it."""

    what: str
    value: float
    most: float
    unit: str = "ms"
    cpu_value: float | None = None

    @property
    def verdict(self) -> Verdict:
        if self.value <= self.most:
            return Verdict.MET
        in_cpu_time = self.cpu_value is not None and self.cpu_value <= self.most
        return Verdict.MET_IN_CPU_TIME if in_cpu_time else Verdict.MISSED

    def __str__(self) -> str:
        return f"{self.what} ≤ {self.most:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `notes` is the size of the store; `value` a single number in `unit`, or `spread` many times of the same."""

    name: str
    notes: int | None = None
    spread: Spread | None = None
    value: float | None = None
    unit: str = "ms"
    floor: Spread | None = None
    floor_value: float | None = None
    floor_name: str = ""
    goals: tuple[Goal, ...] = ()
    remark: str = ""

    @property
    def ratio_to_floor(self) -> float | None:
        """How many floors it is: medians of wall time, or the single values."""
        if self.spread is not None and self.floor is not None:
            return self.spread.p50 / self.floor.p50
        if self.value is not None and self.floor_value:
            return self.value / self.floor_value
        return None

    @property
    def cpu_ratio_to_floor(self) -> float | None:
        """The same in CPU time."""
        return self.spread.cpu_p50 / self.floor.cpu_p50 if self.spread is not None and self.floor is not None else None


def p50_goal(spread: Spread, most: float) -> Goal:
    return Goal("p50", spread.p50, most, cpu_value=spread.cpu_p50)


def p99_goal(spread: Spread, most: float) -> Goal:
    return Goal("p99", spread.p99, most, cpu_value=spread.cpu_p99)


def growth(name: str, spreads: dict[int, Spread], small: int, large: int, most: float) -> Figure:
    """How much slower the larger store is, as a figure of its own."""
    value = spreads[large].p50 / spreads[small].p50
    in_cpu_time = spreads[large].cpu_p50 / spreads[small].cpu_p50
    goal = Goal(f"{_short(large)} / {_short(small)}", value, most, unit="", cpu_value=in_cpu_time)
    return Figure(name=name, value=value, unit="×", goals=(goal,), remark=f"{in_cpu_time:.2f} in CPU time")


def _short(count: int) -> str:
    return f"{count // 1000}k" if count >= 1000 else str(count)
