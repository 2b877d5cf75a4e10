"""Vectors: what one device has that another lacks, told from their heads alone, and the announcement that carries them.

`missing` is pure; whether a record is held is asked through an argument. Equal heads, hash for hash, are
equal logs: the hash of a header covers every header before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from nokosu import limits
from nokosu.errors import RecordRefused
from nokosu.identity import keys as signing
from nokosu.mesh import keys
from nokosu.mesh.seal import Keyring
from nokosu.store import vectors as store
from nokosu.store.log import Head
from nokosu.store.vectors import Ahead, Announcement, Holds, Known

_SIGNED_AS: Final = b"nokosu/1 vector\0"  # no header of a record begins so: one signature cannot pass for another
_STRINGS: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_ENCODER: Final = msgspec.msgpack.Encoder()


class Lack(Struct, frozen=True):
    """An end of a log that another device has and this one does not hold; `held` is the highest number that it does."""

    log: bytes
    seq: int
    hash: bytes
    held: int

    @property
    def records(self) -> int:
        """How many records are missing at least: a branch may be longer than its numbers tell."""
        return max(1, self.seq - self.held)


def missing(ours: Iterable[Head], theirs: Iterable[Head], holds: Holds) -> list[Lack]:
    """The ends that *theirs* has and we do not hold, by log and number. What is above all of ours in its log is not looked for."""
    mine = set(ours)
    held = store.longest(mine)
    return [
        Lack(head.log, head.seq, head.hash, held.get(head.log, 0))
        for head in sorted(set(theirs) - mine, key=_order)
        if head.seq > held.get(head.log, 0) or not holds(head)
    ]


class Heard(Struct, frozen=True):
    """An announcement that its device has signed, and the two strings it came in."""

    announcement: Announcement
    payload: bytes
    signature: bytes


def signed(announcement: Announcement, key: signing.SigningKey) -> Heard:
    """An announcement with its device's signature."""
    payload = store.encode(announcement)
    return Heard(announcement, payload, key.sign(_SIGNED_AS + payload))


def sealed(heard: Heard | Known, keyring: Keyring) -> bytes:
    """An announcement as it travels."""
    said = heard.announcement
    return keyring.seal(keys.vec(said.space, said.device), _ENCODER.encode((heard.payload, heard.signature)))


def opened(plain: bytes, space: bytes, device: bytes, public_key: bytes) -> Heard:
    """The announcement of *device* in what was opened, its signature checked.

    Raises:
        RecordRefused: it is none, or another device's, or of another space, or not signed by the device.
    """
    try:
        payload, signature = _STRINGS.decode(plain)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordRefused(f"vector: not two strings ({error})", field="vector") from None
    if not signing.verifies(public_key, signature, _SIGNED_AS + payload):
        raise RecordRefused("signature: not made by the device", field="signature")
    announcement = store.decode(payload)
    if (announcement.space, announcement.device) != (space, device):
        raise RecordRefused("vector: of another device or space", field="vector")
    return Heard(announcement, payload, signature)


def chains(rows: Iterable[tuple[Head, bytes]]) -> tuple[Ahead, ...]:
    """The chains among records behind a gap, each given with the hash it follows: each end, and how far back it is held."""
    prev = {head.hash: (head, before) for head, before in rows}
    followed = {before for _, before in prev.values()}
    found = []
    for head, link in prev.values():
        if head.hash in followed:
            continue
        first, before = head, link
        while before in prev:
            first, before = prev[before]
        found.append(Ahead(head.log, first.seq, head.seq, head.hash))
    return tuple(sorted(found, key=lambda one: (one.log, one.seq, one.hash))[: limits.AHEAD_MAX])


def _order(head: Head) -> tuple[bytes, int, bytes]:
    return (head.log, head.seq, head.hash)
