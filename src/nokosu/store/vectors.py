"""What each device last announced of itself: how far it is, where it listens, which purges it has yet to carry out.

An announcement is signed by its device, so whoever passes it on can change nothing; its counter rises, so an old one does
not replace a newer one. Only that a device *has* records is taken from it; who counts comes from the roster alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from nokosu import ids, limits, records
from nokosu.errors import RecordRefused
from nokosu.store import chain
from nokosu.store.log import Head
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection

FORMAT: Final = 1

Holds = Callable[[Head], bool]
"""Whether a record is held here without a gap, by its log, number and hash."""

_WRITTEN_AGAIN_MS: Final = 60_000  # an announcement that says nothing new is written down this often

_Id = Annotated[bytes, Meta(min_length=ids.BINARY_ID_BYTES, max_length=ids.BINARY_ID_BYTES)]
_Int = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, Meta(max_length=limits.DEVICE_NAME_CHARS_MAX)]
_Address = Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX)]


class Ahead(Struct, frozen=True):
    """Records that a device holds behind a gap, in a chain from number `first` to the end `seq`, whose header's hash is
    `hash`. Where nobody has what is missing before them, nobody's heads ever reach them.
    """

    log: bytes
    first: int
    seq: int
    hash: bytes


class Announcement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device says of itself in one space.

    `node` is the Zenoh id of the node that speaks; `wall` its clock, in milliseconds since 1970; `heads` the device's vector;
    `ahead` what has been waiting behind a gap for a while; `pending` the memories whose purge it has not fully carried out.
    """

    v: int
    space: _Id
    device: _Id
    node: _Name
    counter: _Int
    wall: _Int
    name: _Name = ""
    version: _Name = ""
    addresses: Annotated[tuple[_Address, ...], Meta(max_length=limits.ADDRESSES_MAX)] = ()
    heads: tuple[Head, ...] = ()
    pending: tuple[str, ...] = ()
    ahead: Annotated[tuple[Ahead, ...], Meta(max_length=limits.AHEAD_MAX)] = ()


class Known(Struct, frozen=True):
    """The last announcement of a device, when this device saw it, and the two strings that it came in."""

    device: bytes
    counter: int
    seen_ms: int
    announcement: Announcement
    payload: bytes
    signature: bytes


_DECODER: Final = msgspec.msgpack.Decoder(Announcement)
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode(announcement: Announcement) -> bytes:
    """The bytes that are signed and sent."""
    return _ENCODER.encode(announcement)


def decode(payload: bytes) -> Announcement:
    """Read an announcement and check its bounds; the signature is the receiver's to check.

    Raises:
        RecordRefused: it is none, or breaks a bound.
    """
    if len(payload) > limits.VECTOR_BYTES_MAX:
        raise RecordRefused(f"vector: {len(payload)} bytes, at most {limits.VECTOR_BYTES_MAX}", field="vector")
    try:
        announcement = _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordRefused(f"vector: not an announcement ({error})", field="vector") from None
    if announcement.v != FORMAT or not all(map(_is_head, announcement.heads)):
        raise RecordRefused("vector: not an announcement of this format", field="vector")
    if not all(_is_head(Head(one.log, one.seq, one.hash)) and 0 < one.first <= one.seq for one in announcement.ahead):
        raise RecordRefused("vector: not valid behind a gap", field="vector")
    if not all(map(ids.is_memory_id, announcement.pending)):
        raise RecordRefused("vector: names no memory", field="vector")
    return announcement


def keep(connection: Connection, space: Space, payload: bytes, signature: bytes, seen_ms: int) -> bool:
    """Keep an announcement whose signature was checked, if it is newer than what is here, and says something else or is a
    minute younger; whether it was written.

    Raises:
        RecordRefused: it is not of this space, or its device was never admitted to it.
    """
    said = decode(payload)
    row = connection.row(
        "SELECT device.n FROM device JOIN member ON member.device = device.n WHERE device.id = ? AND member.space = ?",
        (said.device, space.n),
    )
    if said.space != space.id or row is None:
        raise RecordRefused("vector: not of a device of this space", field="device")
    before = connection.row(
        "SELECT counter, seen_ms, payload FROM vector WHERE space = ? AND device = ?", (space.n, row[0])
    )
    if before is not None and not _is_news(said, seen_ms, *before):
        return False
    connection.run(
        "INSERT OR REPLACE INTO vector (space, device, counter, seen_ms, payload, signature) VALUES (?, ?, ?, ?, ?, ?)",
        (space.n, row[0], said.counter, seen_ms, payload, signature),
    )
    return True


def known(connection: Connection, space: Space) -> list[Known]:
    """The last announcement of each device of a space, by device id."""
    rows = connection.rows(
        "SELECT device.id, vector.counter, vector.seen_ms, vector.payload, vector.signature FROM vector "
        "JOIN device ON device.n = vector.device WHERE vector.space = ? ORDER BY device.id",
        (space.n,),
    )
    return [
        Known(device, counter, seen_ms, decode(payload), payload, signature)
        for device, counter, seen_ms, payload, signature in rows
    ]


def holder(connection: Connection, space: Space) -> Holds:
    """See `Holds`, of *space*."""

    def holds(head: Head) -> bool:
        row = connection.row(
            "SELECT 1 FROM log JOIN record ON record.log = log.n "
            "WHERE log.id = ? AND log.space = ? AND record.seq = ? AND record.hash = ? AND record.linked",
            (head.log, space.n, head.seq, head.hash),
        )
        return row is not None

    return holds


def behind(ours: Iterable[Head], theirs: Iterable[Head], holds: Holds) -> int:
    """How many of our records a device with the heads *theirs* lacks, as far as those tell; of a branch, one at least. Pure.

    Where it has ends that we do not hold, it may have ours too, below them: those count when we have fetched them.
    """
    others = set(theirs)
    reached = longest(others)
    unknown = {head.log for head in others if not holds(head)}
    count = 0
    for head in set(ours) - others:
        there = reached.get(head.log, 0)
        if there < head.seq:
            count += head.seq - there
        elif head.log not in unknown:
            count += 1  # its ends are ours too, and none follows this one: a branch that it lacks
    return count


def longest(heads: Iterable[Head]) -> dict[bytes, int]:
    """The highest number of each log among some heads."""
    found: dict[bytes, int] = {}
    for head in heads:
        found[head.log] = max(head.seq, found.get(head.log, 0))
    return found


def covers(connection: Connection, space: Space, heads: Iterable[Head], held: Head) -> bool:
    """Whether a vector covers one record, named by its place and held here: one of its heads is that record, or follows it.

    A head that is not here says nothing about which branch it is on, so it covers nothing.
    """
    later = [head for head in heads if head.log == held.log and head.seq >= held.seq]
    end = (held.seq, held.hash)
    return any(
        (head.seq, head.hash) == end or chain.leads_to(connection, space.n, held.log, (head.seq, head.hash), end)
        for head in later
    )


def _is_news(said: Announcement, seen_ms: int, counter: int, written_ms: int, payload: bytes) -> bool:
    if said.counter <= counter:
        return False
    before = decode(payload)
    same = msgspec.structs.replace(said, counter=before.counter, wall=before.wall) == before
    return not same or not written_ms <= seen_ms < written_ms + _WRITTEN_AGAIN_MS


def _is_head(head: Head) -> bool:
    return (
        len(head.log) == ids.BINARY_ID_BYTES and len(head.hash) == records.HASH_BYTES and 0 < head.seq <= limits.SEQ_MAX
    )
