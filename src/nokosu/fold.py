"""The fold: the records of one memory in, what a person sees of it out. Pure.

The same set of records gives the same state, byte for byte, in whatever order they arrived, however often, and wherever
they were. Cause and effect is read from `after` alone and never from a clock; time only chooses which of several
*concurrent* versions is shown, and tells whether 30 days lie between a forget and the purge that follows it.

Who may purge. A purge hides the memory as a forget does, whoever wrote it. What it erases depends:

1. In a space of one person it erases the memory, whichever device wrote it.
2. In any other space it erases the memory if it follows a forget, or another purge, that still stands and lies at least
   `RESTORE_DAYS` before it in hybrid time.
3. Else it erases what is its device's own: records that this device wrote, and records that were made of nothing else:
   following them back through all they name ends in its records alone, and nothing on the way is missing. Whoever names
   somebody else's memory in a record of its own cannot erase the other's words with it, whatever time it claims.

A memory is purged when all that can hold text is erased. 1 and 3 rest on signatures. 2 rests on times, which a member may
lie about: it decides what is seen, and so the same on every device, but a device that did not write the text keeps it until
30 days after it saw that forget itself (`State.waits_for`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from enum import Enum, IntEnum
from typing import Final, Generic, TypeVar

from msgspec import Struct

from nokosu import clock, limits
from nokosu.records import Content, Kind, Record
from nokosu.times import DAY_MS

_HIDING: Final = (Kind.FORGET, Kind.PURGE)
_WORDLESS: Final = (Kind.FORGET, Kind.RESTORE, Kind.PURGE)
_RESTORE_MS: Final = limits.RESTORE_DAYS * DAY_MS


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
    the wall time of the latest forget that stands. `erased` holds the ids, in order, of the records whose bodies are not
    to be kept; of a purged memory all the others go as well, 30 days after any of the records `waits_for` was seen here.
    """

    status: Status
    versions: tuple[Version, ...]
    heads: tuple[bytes, ...]
    created: Record | None
    forgotten_ms: int | None
    erased: tuple[bytes, ...] = ()
    waits_for: tuple[bytes, ...] = ()

    @property
    def shown(self) -> Version | None:
        """The version that is shown; None when no text is left or known."""
        return self.versions[0] if self.versions else None

    @property
    def in_conflict(self) -> bool:
        """Whether several concurrent versions wait for an edit that settles them."""
        return len(self.versions) > 1


def fold(records: Iterable[Record], *, personal: bool = False) -> State:
    """Fold the records of one memory in one space. Only records of devices that count there may be given; *personal*: all
    these are one person's.
    """
    known = _by_id(records)
    ordered = sorted(known.values(), key=_time, reverse=True)
    heads = tuple(sorted(known.keys() - _ancestors(known, known.values())))
    snapshots = [record for record in ordered if record.core.kind in (Kind.SAVE, Kind.EDIT)]
    saves = [record for record in snapshots if record.core.kind == Kind.SAVE] or snapshots
    created = saves[-1] if saves else None
    standing = _standing_forgets(known, ordered)
    purge = _purge_of(known, standing, personal=personal)
    if purge.is_whole:
        return State(Status.PURGED, (), heads, created, None, purge.erased, purge.waits_for)
    versions = _maximal_versions(known, [record for record in snapshots if record.id not in purge.erased])
    if standing:
        forgotten_ms = max(record.core.wall for record in standing)
        return State(Status.FORGOTTEN, versions, heads, created, forgotten_ms, purge.erased)
    return State(Status.LIVE if versions else Status.UNKNOWN, versions, heads, created, None, purge.erased)


class Reach(Enum):
    """What a purge by some device erases of a memory at once; the rest of it is hidden."""

    ALL = "all"
    OWN = "own"
    NOTHING = "nothing"


def reach(records: Iterable[Record], *, device: bytes, personal: bool) -> Reach:
    """What a purge by *device* that follows *records* erases by the first and the third rule above."""
    known = _by_id(records)
    if personal:
        return Reach.ALL
    own = own_words(known.values(), {device})
    if _is_all(known, own):
        return Reach.ALL
    return Reach.OWN if any(known[id].core.kind not in _WORDLESS for id in own) else Reach.NOTHING


def is_overdue(records: Iterable[Record], now_ms: int) -> bool:
    """Whether a purge that is written now and follows *records* erases the memory by the second rule above."""
    known = _by_id(records)
    standing = _standing_forgets(known, known.values())
    return any(clock.wall_ms(record.core.hlc) + _RESTORE_MS <= now_ms for record in standing)


def _by_id(records: Iterable[Record]) -> dict[bytes, Record]:
    known: dict[bytes, Record] = {}
    for record in records:
        known[record.id] = min(record, known.get(record.id, record), key=_bodiless_last)
    return known


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


def _standing_forgets(known: Mapping[bytes, Record], found: Collection[Record]) -> list[Record]:
    """Forgets and purges that no restore follows. A concurrent edit or restore does not undo a forget: remove wins."""
    undone = _ancestors(known, [record for record in found if record.core.kind == Kind.RESTORE])
    return [record for record in found if record.core.kind in _HIDING and record.id not in undone]


class _Purge(Struct, frozen=True):
    """What the purges of a memory do to it; `erased` and `waits_for` as in `State`."""

    is_whole: bool
    erased: tuple[bytes, ...]
    waits_for: tuple[bytes, ...] = ()


_NO_PURGE: Final = _Purge(is_whole=False, erased=())


def _purge_of(known: Mapping[bytes, Record], standing: Iterable[Record], *, personal: bool) -> _Purge:
    purges = [record for record in known.values() if record.core.kind == Kind.PURGE]
    if not purges:
        return _NO_PURGE
    everything = {record.id for record in known.values() if record.core.kind != Kind.PURGE}
    if personal:
        return _Purge(is_whole=True, erased=tuple(sorted(everything)))
    own = own_words(known.values(), {record.core.device for record in purges}) & everything
    all_own = _is_all(known, own)
    overdue = [] if all_own else _overdue(known, standing)
    return _Purge(is_whole=all_own or bool(overdue), erased=tuple(sorted(own)), waits_for=tuple(sorted(overdue)))


def own_words(records: Iterable[Record], devices: Collection[bytes]) -> set[bytes]:
    """The ids of the records that are one of some devices' own; see the third rule above."""
    known = _by_id(records)
    maker: dict[bytes, bytes | None] = {}  # the one device in whose records following a record back ends
    for record in _causes_first(known):
        makers = {maker.get(cause) for cause in record.core.after} or {record.core.device}
        maker[record.id] = makers.pop() if len(makers) == 1 else None
    return {id for id, record in known.items() if record.core.device in devices or maker[id] in devices}


def _is_all(known: Mapping[bytes, Record], own: Collection[bytes]) -> bool:
    """Whether there is text, all of it is among *own*, and nothing that it was made of is missing."""
    words = [record for record in known.values() if record.core.kind not in _WORDLESS]
    return bool(words) and all(
        record.id in own and all(cause in known for cause in record.core.after) for record in words
    )


def _overdue(known: Mapping[bytes, Record], standing: Iterable[Record]) -> list[bytes]:
    """The standing forgets and purges that a purge follows by 30 days or more."""
    followed: dict[bytes, int] = {}  # the latest time of the purges that follow a record
    for record in reversed(_causes_first(known)):
        latest = max(followed.get(record.id, 0), record.core.hlc if record.core.kind == Kind.PURGE else 0)
        for cause in record.core.after:
            followed[cause] = max(latest, followed.get(cause, 0))
    return [
        record.id
        for record in standing
        if clock.wall_ms(followed.get(record.id, 0)) - clock.wall_ms(record.core.hlc) >= _RESTORE_MS
    ]


def _causes_first(known: Mapping[bytes, Record]) -> Sequence[Record]:
    """Some records, each after all of them that it follows; an id is a hash over those that it names, so there is no circle.

    Source: Kahn, "Topological sorting of large networks" (1962).
    """
    missing = {id: sum(cause in known for cause in set(record.core.after)) for id, record in known.items()}
    followers: dict[bytes, list[bytes]] = {}
    for id, record in known.items():
        for cause in set(record.core.after):
            followers.setdefault(cause, []).append(id)
    ready = [id for id, count in missing.items() if not count]
    for id in ready:  # grows on the way
        for follower in followers.get(id, ()):
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    return [known[id] for id in ready]


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
