"""A storage of the loopback mesh: what a zenohd with RocksDB does, as far as others can tell.

The latest stamp wins and an older one is dropped in silence, but for the first seconds, in which an older one replaces it;
nothing is forced to the disk, so a power cut takes the end of what was written; it can be wiped and put back. It knows no
secret: all it has are names, stamps and payloads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

KEPT_MAX: Final = 4_000  # writes that a power cut may take
_FRESH_SECONDS: Final = 10.0  # measured with zenohd 1.10.2: what was put so lately is not compared with


class Stored(Struct, frozen=True):
    """A value and when it was put, as NTP64; `since` is when it came, in seconds."""

    stamp: int
    payload: bytes
    since: float = -_FRESH_SECONDS


class SimulatedStorage:
    """Two storages of one zenohd, `rec` and `vec`; `number` is its place in the network."""

    def __init__(self, number: int, zid: str, space: str) -> None:
        self.number = number
        self.zid = zid
        self.is_running = True
        self.runs = 1  # how often it was started: each time it declares a new token
        self.values: dict[str, Stored] = {}
        self._bases = (f"{space}/rec/", f"{space}/vec/")
        self._written: dict[
            str, list[tuple[str, Stored | None]]
        ] = {}  # of each of the two, what each write has replaced

    def put(self, key: str, value: Stored, *, now: float | None = None) -> None:
        """A sample came, *now*; or replication has brought one."""
        if now is not None:
            value = Stored(value.stamp, value.payload, now)
        before = self.values.get(key)
        base = next((base for base in self._bases if key.startswith(base)), None)
        if base is None or (before is not None and before.stamp >= value.stamp and not _is_fresh(before, now)):
            return
        self.values[key] = value
        written = self._written.setdefault(base, [])
        written.append((key, before))
        del written[:-KEPT_MAX]

    def serve(self, selector: str) -> list[tuple[str, Stored]]:
        """All that a question matches."""
        if "*" not in selector:
            return [(selector, self.values[selector])] if selector in self.values else []
        return sorted(self._matching(selector))

    def copy(self) -> dict[str, Stored]:
        """All that it has, to put back later."""
        return dict(self.values)

    def restore(self, values: dict[str, Stored]) -> None:
        """An older copy is put back, or nothing."""
        self.values, self._written = dict(values), {}

    def lose_power(self, *shares: float) -> None:
        """The end of what was written of late is gone: a share of it for `rec`, and one for `vec`."""
        for base, share in zip(self._bases, shares, strict=True):
            written = self._written.get(base, [])
            for _ in range(int(len(written) * share)):
                key, before = written.pop()
                if before is None:
                    self.values.pop(key, None)
                else:
                    self.values[key] = before

    def align(self, other: SimulatedStorage) -> None:
        """Replication: both have the latest of either, and no subscriber hears of it."""
        for here, there in ((self, other), (other, self)):
            for key, value in list(there.values.items()):
                here.put(key, value)

    def _matching(self, selector: str) -> Iterator[tuple[str, Stored]]:
        end = "**" if selector.endswith("/**") else "$*" if selector.endswith("-$*") else "*"
        prefix = selector.removesuffix(end)
        for key, value in self.values.items():
            if key.startswith(prefix) and (end == "**" or "/" not in key[len(prefix) :]):
                yield key, value


def _is_fresh(before: Stored, now: float | None) -> bool:
    return now is not None and now < before.since + _FRESH_SECONDS
