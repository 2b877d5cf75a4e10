"""The fold: the records of one memory in, what a person sees of it out. Pure.

The same set of records gives the same state, byte for byte, in whatever order they arrived, however often, and wherever
they were. Cause and effect is read from `after` alone and never from a clock; time only chooses which of several
*concurrent* versions is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

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
    known = {record.id: record for record in records}
    ordered = sorted(known.values(), key=_latest_first)
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


def _latest_first(record: Record) -> tuple[int, bytes]:
    return (-record.core.hlc, record.id)


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
"""Hybrid time and record id of the version shown: which of two memories is the later one."""


def hidden_by(
    memory: str,
    newer_of: Callable[[str], Iterable[str]],
    older_of: Callable[[str], Iterable[str]],
    order_of: Callable[[str], Order],
) -> str | None:
    """The memory that hides *memory* by superseding it, or None.

    *newer_of* gives the living memories that supersede one, *older_of* those that a living memory supersedes. In a
    cycle of supersessions the latest memory stays and the others are hidden, the same on every host. Where several hide
    it, the latest of them is named.
    """
    newer = [other for other in newer_of(memory) if other != memory]
    if not newer:
        return None
    cycle = _cycle_of(memory, older_of)
    latest = max(cycle, key=order_of)
    hiding = [other for other in newer if memory != latest or other not in cycle]
    return max(hiding, key=order_of) if hiding else None


def _cycle_of(memory: str, older_of: Callable[[str], Iterable[str]]) -> set[str]:
    """*memory* and all that it both supersedes and is superseded by, through others; linear in the edges below it."""
    newer_of: dict[str, list[str]] = {}
    waiting, seen = [memory], {memory}
    while waiting:
        newer = waiting.pop()
        for older in older_of(newer):
            newer_of.setdefault(older, []).append(newer)
            if older not in seen:
                seen.add(older)
                waiting.append(older)
    waiting, cycle = [memory], {memory}
    while waiting:
        for newer in newer_of.get(waiting.pop(), ()):
            if newer not in cycle:
                cycle.add(newer)
                waiting.append(newer)
    return cycle
