"""The fold: the records of one memory in, what a person sees of it out. Pure.

The same set of records gives the same state, byte for byte, in whatever order they arrived, however often, and wherever
they were. Cause and effect is read from `after` alone and never from a clock; time only chooses which of several
*concurrent* versions is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import IntEnum
from typing import Generic, TypeVar

from msgspec import Struct

from nokosu.records import Content, Kind, Record


class Status(IntEnum):
    """What has become of a memory. Numbers are stored: never renumber."""

    LIVE = 0
    FORGOTTEN = 1
    PURGED = 2
    UNKNOWN = 3  # named by records that show nothing: kinds of a later version, or bodies not here yet
    DAMAGED = 4  # a record of it is not what was written; only the index says this, never the fold


class Version(Struct, frozen=True):
    """One snapshot of a memory and the record that holds it."""

    record: Record
    content: Content


class State(Struct, frozen=True):
    """A memory's visible state.

    `versions` holds what is shown first and then, if others are concurrent with it, those, latest first; `heads` the
    ids that the memory's next record names in `after`, in order; `created` the earliest save's record; `forgotten_ms`
    the wall time of the latest forget that stands.
    """

    status: Status
    versions: tuple[Version, ...]
    heads: tuple[bytes, ...]
    created: Record | None
    forgotten_ms: int | None

    @property
    def shown(self) -> Version | None:
        """The version that is shown; None when no text is left or known."""
        return self.versions[0] if self.versions else None

    @property
    def in_conflict(self) -> bool:
        """Whether several concurrent versions wait for an edit that settles them."""
        return len(self.versions) > 1


def fold(records: Iterable[Record]) -> State:
    """Fold the records of one memory in one space. Only records of devices that count there may be given."""
    known: dict[bytes, Record] = {}
    for record in records:
        known[record.id] = min(record, known.get(record.id, record), key=_bodiless_last)
    ordered = sorted(known.values(), key=_time, reverse=True)
    heads = tuple(sorted(known.keys() - _ancestors(known, known.values())))
    snapshots = [record for record in ordered if record.core.kind in (Kind.SAVE, Kind.EDIT)]
    saves = [record for record in snapshots if record.core.kind == Kind.SAVE] or snapshots
    created = saves[-1] if saves else None
    if any(record.core.kind == Kind.PURGE for record in ordered):
        return State(Status.PURGED, (), heads, created, None)
    versions = _maximal_versions(known, snapshots)
    standing = _standing_forgets(known, ordered)
    if standing:
        return State(Status.FORGOTTEN, versions, heads, created, max(record.core.wall for record in standing))
    return State(Status.LIVE if versions else Status.UNKNOWN, versions, heads, created, None)


def _bodiless_last(record: Record) -> tuple[bool, bytes]:
    """One record may lie in several places, scrubbed in some of them: which of them counts."""
    return (record.body is None, record.hash)


def _time(record: Record) -> tuple[int, bytes]:
    """The one order of records in time: ties are broken by record id."""
    return (record.core.hlc, record.id)


def _maximal_versions(known: Mapping[bytes, Record], snapshots: list[Record]) -> tuple[Version, ...]:
    """The snapshots that no other snapshot follows and whose content is here, latest first."""
    followed = _ancestors(known, snapshots)
    found = []
    for record in snapshots:
        content = record.content() if record.id not in followed else None
        if content is not None:
            found.append(Version(record, content))
    return tuple(found)


def _standing_forgets(known: Mapping[bytes, Record], ordered: list[Record]) -> list[Record]:
    """Forgets that no restore follows. A concurrent edit or restore does not undo a forget: remove wins."""
    undone = _ancestors(known, [record for record in ordered if record.core.kind == Kind.RESTORE])
    return [record for record in ordered if record.core.kind == Kind.FORGET and record.id not in undone]


def _ancestors(known: Mapping[bytes, Record], starts: Iterable[Record]) -> set[bytes]:
    """The ids that any of *starts* follows, through records of any kind; linear in the number of records."""
    seen: set[bytes] = set()
    waiting = [cause for record in starts for cause in record.core.after]
    while waiting:
        id = waiting.pop()
        if id not in seen:
            seen.add(id)
            if id in known:
                waiting.extend(known[id].core.after)
    return seen


Order = tuple[int, bytes]
"""Hybrid time of the version shown, and the memory's id: which of two memories is the later one."""

Node = TypeVar("Node", bound=Hashable)


class Supersessions(Generic[Node]):
    """Which memory hides which by superseding it, at one moment.

    *newer_of* gives the living memories that supersede one. Where memories supersede one another in a circle, the
    latest of them stays and the others are hidden, the same on every host.
    """

    def __init__(self, newer_of: Callable[[Node], Iterable[Node]], order_of: Callable[[Node], Order]) -> None:
        self._newer_of = newer_of
        self._order_of = order_of
        self._circles: dict[Node, list[Node]] = {}

    def hidden_by(self, memory: Node) -> Node | None:
        """The memory that hides *memory*, or None.

        Going on from that one ends at a memory that is shown: each step leads to a later one or leaves a circle.
        """
        newer = [other for other in self._newer_of(memory) if other != memory]
        latest = max(newer, key=self._order_of, default=memory)
        if self._order_of(latest) > self._order_of(memory) or not newer:
            return latest if newer else None
        circle = self._circle_of(memory)
        outside = [other for other in newer if other not in circle]
        latest = max(outside or circle, key=self._order_of)
        return latest if latest != memory else None

    def _circle_of(self, memory: Node) -> list[Node]:
        """*memory* and all that both supersede it and are superseded by it, through others.

        All circles above it are found on the way, once each, so the cost is linear in the links there are.

        Source: Gabow, "Path-based depth-first search for strong and biconnected components" (2000).
        """
        place = {memory: 0}
        path, starts = [memory], [0]  # what is still open, and where in it each circle found so far begins
        waiting = [(memory, iter(self._newer_of(memory)))] if memory not in self._circles else []
        while waiting:
            here, newer = waiting[-1]
            for other in newer:
                if other in self._circles:
                    continue
                if other not in place:
                    place[other] = len(path)
                    path.append(other)
                    starts.append(place[other])
                    waiting.append((other, iter(self._newer_of(other))))
                    break
                while starts[-1] > place[other]:
                    starts.pop()
            else:
                waiting.pop()
                if starts[-1] == place[here]:
                    circle = path[starts.pop() :]
                    del path[place[here] :]
                    self._circles.update(dict.fromkeys(circle, circle))
        return self._circles[memory]
