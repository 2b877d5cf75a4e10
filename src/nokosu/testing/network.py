"""A network made of faults, and the time it happens in: one seed, one run.

Nothing here knows what it carries. Every delay, loss, repetition and failure is drawn from one source of randomness, and
counted, so that a run can say which faults it has met.
"""

from __future__ import annotations

import heapq
import random as standard_random
from collections import Counter
from collections.abc import Callable

from msgspec import Struct


class Faults(Struct, frozen=True, kw_only=True):
    """How bad a network is. Probabilities are of single messages; times are in seconds."""

    lose: float = 0.0
    repeat: float = 0.0
    delay_max: float = 0.01
    slow: float = 0.0
    slow_max: float = 60.0
    break_off: float = 0.0  # an answer ends in the middle

    @classmethod
    def drawn(cls, random: standard_random.Random) -> Faults:
        """Some faults often, others not at all: runs that differ find more than runs that are all alike."""
        return cls(
            lose=random.choice((0.0, 0.05, 0.3)),
            repeat=random.choice((0.0, 0.1, 0.5)),
            delay_max=random.choice((0.01, 0.5, 3.0)),
            slow=random.choice((0.0, 0.02, 0.1)),
            break_off=random.choice((0.0, 0.1, 0.3)),
        )


class Timeline:
    """What will happen, in order of time; virtual seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, what: Callable[[], None]) -> None:
        """Have something happen; at the same time, what was said first comes first."""
        self._count += 1
        heapq.heappush(self._waiting, (max(time, self.now), self._count, what))

    def run_until(self, time: float) -> None:
        """Let everything up to that moment happen."""
        while self._waiting and self._waiting[0][0] <= time:
            self.now, _, what = heapq.heappop(self._waiting)
            what()
        self.now = max(self.now, time)


class Network:
    """Links between places, named by number, each open or cut in each direction."""

    def __init__(self, timeline: Timeline, random: standard_random.Random, fired: Counter[str]) -> None:
        self.faults = Faults()
        self._timeline = timeline
        self._random = random
        self._fired = fired
        self._cut: set[tuple[int, int]] = set()
        self._latest: dict[tuple[int, int], float] = {}

    def is_open(self, source: int, target: int) -> bool:
        """Whether what is sent in this direction may arrive."""
        return (source, target) not in self._cut

    def cut(self, source: int, target: int) -> None:
        """Let nothing through in this direction."""
        self._cut.add((source, target))

    def mend(self, source: int, target: int) -> None:
        """Let everything through in this direction."""
        self._cut.discard((source, target))

    def send(self, source: int, target: int, arrive: Callable[[], None]) -> None:
        """One message, which may be lost, repeated, late, or overtaken by the next."""
        faults = self.faults
        if not self.is_open(source, target) or self._happens("lose", faults.lose):
            return
        for _ in range(2 if self._happens("repeat", faults.repeat) else 1):
            self._deliver(source, target, self._delay(), arrive)

    def ask(self, source: int, target: int, answer: Callable[[], None], fail: Callable[[], None]) -> None:
        """A question: *answer* is called when it arrives, or *fail* at once when it never will."""
        if not (self.is_open(source, target) and self.is_open(target, source)) or self._happens(
            "lose question", self.faults.lose
        ):
            fail()
            return
        self._timeline.at(self._timeline.now + self._delay(), answer)

    def broken_off_after(self, count: int) -> int | None:
        """After how many of *count* answers the rest is lost, or None."""
        if count and self._happens("break off", self.faults.break_off):
            return self._random.randrange(count)
        return None

    def delay(self) -> float:
        """How long one way takes this time."""
        return self._delay()

    def _deliver(self, source: int, target: int, delay: float, arrive: Callable[[], None]) -> None:
        def check_and_arrive() -> None:
            if self.is_open(source, target):
                arrive()

        time = self._timeline.now + delay
        link = (source, target)
        if time < self._latest.get(link, 0.0):
            self._fired["reorder"] += 1
        self._latest[link] = max(time, self._latest.get(link, 0.0))
        self._timeline.at(time, check_and_arrive)

    def _delay(self) -> float:
        if self._happens("delay", self.faults.slow):
            return self._random.uniform(0.0, self.faults.slow_max)
        return self._random.uniform(0.0, self.faults.delay_max)

    def _happens(self, what: str, probability: float) -> bool:
        happens = probability > 0.0 and self._random.random() < probability
        self._fired[what] += happens
        return happens
