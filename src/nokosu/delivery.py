"""Where things have arrived: on how many devices of a space everything is, or one memory is.

Read off what the devices have announced of themselves: each signs the ends of the logs that it holds, hash for hash, so
that nothing counts as delivered because it was sent. A device whose log goes on where ours ends is taken to hold what
lies before, as it is when nothing was restored from a backup; but that a memory is forgotten or purged somewhere is only
told where the chain of hashes shows it. No network is asked, and the log is not scanned: the cost is a few rows for each
device and log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from nokosu import ids, times
from nokosu.fold import Status
from nokosu.memory import Delivery, DeviceStatus, Lagging, Memory, SpaceStatus
from nokosu.records import Position, Record
from nokosu.store import roster, vectors
from nokosu.store.index import counted_records, folded, waits_until
from nokosu.store.log import Head, heads
from nokosu.store.reading import MemoryRow
from nokosu.store.roster import Member, Space
from nokosu.store.sqlite import Connection
from nokosu.store.vectors import Holds, Known

PENDING_NAMED_MAX: Final = 5
REVOKED: Final = "this device was revoked here: what it saves reaches nobody"

_IN_EFFECT: Final = {Status.FORGOTTEN: (Status.FORGOTTEN, Status.PURGED), Status.PURGED: (Status.PURGED,)}
_VERBS: Final = {"forgotten": "forgotten on", "purged": "purged on"}


# A space ----------------------------------------------------------------------------------------------------------------


def devices(connection: Connection, space: Space, version: str) -> tuple[DeviceStatus, ...]:
    """The devices of *space*, the one that founded it first, each with how far it is; this one has *version*."""
    known = _known(connection, space)
    ours = heads(connection, space)
    holds = vectors.holder(connection, space)
    return tuple(
        _device(one, known.get(one.device.id), ours, holds, version) for one in roster.members(connection, space)
    )


def of_devices(devices: Sequence[DeviceStatus]) -> Delivery | None:
    """On how many of *devices* everything is that this device holds; None if this device is not one of them any more."""
    counted = [one for one in devices if not one.revoked]
    if not any(one.this for one in counted):
        return None
    pending = tuple(
        Lagging(device=one.name, device_id=one.id, behind=one.behind, last_seen=one.last_seen)
        for one in counted
        if one.behind
    )
    return Delivery(on=len(counted) - len(pending), devices=len(counted), pending=pending)


def _device(member: Member, known: Known | None, ours: Sequence[Head], holds: Holds, version: str) -> DeviceStatus:
    theirs = known.announcement.heads if known is not None else ()
    return DeviceStatus(
        name=member.device.name,
        id=ids.grouped(member.device.id),
        this=member.own,
        revoked=member.revoked,
        last_seen=None if member.own else _last_seen(known),
        behind=0 if member.own else vectors.behind(ours, theirs, holds),
        version=version if member.own else known.announcement.version if known else "",
    )


# A memory ---------------------------------------------------------------------------------------------------------------


def of_memory(connection: Connection, row: MemoryRow) -> Delivery | None:
    """On how many devices a memory is, with all its records; of a forgotten or purged one: where that has taken effect.

    None where its space is not shared, or this device is not a member of it any more.
    """
    space = roster.space_named(connection, row.space_name)
    if not roster.is_shared(connection, space):
        return None
    members = [one for one in roster.members(connection, space) if not one.revoked]
    if not any(one.own for one in members):
        return None
    found = counted_records(connection, row.space, row.id) or []
    known = _known(connection, space)
    pending = []
    for one in members:
        heard = known.get(one.device.id)
        there = found if one.own else _there(connection, space, found, heard, proven=row.status in _IN_EFFECT)
        kept = one.own and waits_until(connection, row.space, row.id) is not None
        if not kept and _is_done(connection, row, found, there, heard):
            continue
        behind = len(_ids(found) - _ids(there))
        about = ids.grouped(one.device.id)
        pending.append(Lagging(device=one.device.name, device_id=about, behind=behind, last_seen=_last_seen(heard)))
    return Delivery(on=len(members) - len(pending), devices=len(members), pending=tuple(pending))


def _is_done(
    connection: Connection, row: MemoryRow, found: Sequence[Record], there: Sequence[Record], heard: Known | None
) -> bool:
    """Whether what a memory is here has taken effect where, of its records *found*, those *there* are."""
    if row.status == Status.PURGED and heard is not None and row.id in heard.announcement.pending:
        return False
    if row.status in _IN_EFFECT:
        return folded(connection, row.space, there).status in _IN_EFFECT[Status(row.status)]
    return _ids(there) >= _ids(found)


def _there(
    connection: Connection, space: Space, found: Sequence[Record], heard: Known | None, *, proven: bool
) -> list[Record]:
    """Those of some records that a device holds, in any of their places; *proven*: by the chain of hashes alone."""
    theirs = heard.announcement.heads if heard is not None else ()
    holds = vectors.holder(connection, space)

    def is_there(place: Position, hash: bytes) -> bool:
        if vectors.covers(connection, space, theirs, Head(place.log, place.seq, hash)):
            return True
        above = (head for head in theirs if head.log == place.log and head.seq > place.seq)
        return not proven and any(not holds(head) for head in above)

    return [record for record in found if is_there(record.place, record.hash)]


def _ids(found: Iterable[Record]) -> set[bytes]:
    return {record.id for record in found}


# In words ---------------------------------------------------------------------------------------------------------------


def sentence(told: Delivery, now_ms: int, *, status: str = "", zone: tzinfo | None = None) -> str:
    """What a delivery tells, on one line: "on 3 of 4 devices; 12 records not yet on desk, last seen Tuesday".

    With the *status* of a memory it is about that one; *zone* is another place's time, for tests.
    """
    verb = _VERBS.get(status, "on")
    if told.devices == 1:
        return f"{verb} this device, the only one so far"
    parts = [f"{verb} {told.on} of {told.devices} devices"]
    for number, one in enumerate(told.pending[:PENDING_NAMED_MAX]):
        unit = "" if number else " records" if one.behind > 1 else " record"
        count = "" if status else f"{one.behind:,}{unit} "
        parts.append(f"{count}not yet on {one.device}, {last_seen(one.last_seen, now_ms, zone)}")
    if len(told.pending) > PENDING_NAMED_MAX:
        parts.append(f"and {len(told.pending) - PENDING_NAMED_MAX} more")
    return "; ".join(parts)


def told_of_memory(memory: Memory, now_ms: int) -> str:
    """What is to be said of a memory's delivery; empty where it is not shared."""
    return sentence(memory.delivery, now_ms, status=memory.status) if memory.delivery is not None else ""


def told_of_space(space: SpaceStatus, now_ms: int) -> str:
    """What is to be said of a space's delivery; empty where it is not shared."""
    if not space.shared:
        return ""
    if space.delivery is None:
        return REVOKED
    return sentence(space.delivery, now_ms)


def after(told: Delivery | None, id: str, now_ms: int, *, status: str) -> str:
    """The same right after a memory was forgotten or purged, with what to type to see more; empty where it is not
    shared.
    """
    if told is None or told.devices == 1:
        return ""
    if told.on > 1 or not told.pending:
        return sentence(told, now_ms, status=status)
    count = len(told.pending)
    others = f"{count} devices" if count > 1 else f"{told.pending[0].device}"
    return f"in effect here; {others} will follow: nokosu show {id} tells"


def last_seen(moment: str | None, now_ms: int, zone: tzinfo | None = None) -> str:
    """When a device was last heard of, as a person says it."""
    return f"last seen {times.day(times.parse(moment, field='last_seen'), now_ms, zone)}" if moment else "never seen"


# Below ------------------------------------------------------------------------------------------------------------------


def _known(connection: Connection, space: Space) -> Mapping[bytes, Known]:
    return {known.device: known for known in vectors.known(connection, space)}


def _last_seen(known: Known | None) -> str | None:
    return times.format_ms(known.seen_ms) if known is not None else None
