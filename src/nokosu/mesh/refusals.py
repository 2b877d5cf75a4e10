"""How often what other devices sent was refused, by device and reason: kept in the store, written now and then.

A hostile member can send without end; the count costs one small transaction in a few seconds, and its reasons and
devices are few: reasons are the fields of `RecordRefused`, and whoever is not in the roster is one device without id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from nokosu import limits
from nokosu.clock import WallClock
from nokosu.store.connection import Database
from nokosu.store.roster import Space

NOBODY = b""


class Refusals:
    """Counts of one space."""

    def __init__(self, database: Database, space: Space, wall_clock: WallClock) -> None:
        self.by_device: Counter[bytes] = Counter()
        self._database = database
        self._space = space
        self._wall_clock = wall_clock
        self._waiting: Counter[tuple[bytes, str]] = Counter()
        self._written_at: float | None = None

    def count(self, device: bytes, reason: str, members: Collection[bytes], times: int = 1) -> None:
        """Something that came in the name of *device* was refused."""
        name = device if device in members else NOBODY
        self._waiting[(name, reason or "other")] += times
        self.by_device[name] += times

    def due(self) -> float | None:
        """When `write` has something to do, in monotonic seconds; None: nothing was refused."""
        if not self._waiting:
            return None
        return 0.0 if self._written_at is None else self._written_at + limits.REFUSALS_EVERY_SECONDS

    def write(self, now: float) -> None:
        """Add what was counted to the table, if it is time."""
        due = self.due()
        if due is None or now < due:
            return
        waiting, self._waiting, self._written_at = self._waiting, Counter(), now
        wall = self._wall_clock()
        with self._database.write() as connection:
            for (device, reason), times in sorted(waiting.items()):
                connection.run(
                    "INSERT INTO refusal (space, device, reason, count, last_ms) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (space, device, reason) DO UPDATE SET count = count + excluded.count, last_ms = excluded.last_ms",
                    (self._space.n, device, reason, times, wall),
                )
