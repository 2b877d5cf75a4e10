"""Key expressions: the names under which a space's records and vectors travel.

    nokosu/1/<space>/rec/<log>/<page>/<seq>-<hash>      one sealed record, write-once
    nokosu/1/<space>/vec/<device>                       a device's sealed announcement, overwritten
    nokosu/1/<space>/dev/<device>/rec/...               the same records, asked of one device
    nokosu/1/<space>/dev/<device>/vec                   its announcement
    nokosu/1/<space>/dev/<device>/rekey/...             the roster's records, each readable with the key before it
    nokosu/1/<space>/here/<device>/<node>               a liveliness token: that node is connected

Ids are in lower-case hex; `hash` is the first 16 bytes of the header's SHA-256, `page` is `(seq - 1) // PAGE_RECORDS`.
Whoever reads a name from elsewhere checks it against the record: a name proves nothing.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

ROOT: Final = "nokosu/1"
PAGE_RECORDS: Final = 1000
NAME_HASH_BYTES: Final = 16

_ID: Final = r"[0-9a-f]{32}"
_NUMBER: Final = r"0|[1-9][0-9]{0,15}"
_TAIL: Final = re.compile(rf"(?P<log>{_ID})/(?P<page>{_NUMBER})/(?P<seq>{_NUMBER})-(?P<hash>[0-9a-f]{{32}})")
_VEC: Final = re.compile(rf"{ROOT}/(?P<space>{_ID})/vec/(?P<device>{_ID})")
_HERE: Final = re.compile(rf"{ROOT}/(?P<space>{_ID})/here/(?P<device>{_ID})/(?P<node>[0-9a-f]{{1,32}})")


class Name(Struct, frozen=True):
    """Where a record says that it lies: `hash` is shortened to `NAME_HASH_BYTES`."""

    log: bytes
    seq: int
    hash: bytes


def space(id: bytes) -> str:
    """What all names of a space begin with."""
    return f"{ROOT}/{id.hex()}"


def page_of(seq: int) -> int:
    """The page that holds the record with number *seq*."""
    return (seq - 1) // PAGE_RECORDS


def tail(log: bytes, seq: int, hash: bytes) -> str:
    """The end of a record's name, the same below `rec` and below `dev`."""
    return f"{log.hex()}/{page_of(seq)}/{seq}-{hash[:NAME_HASH_BYTES].hex()}"


def rec(space_id: bytes, log: bytes, seq: int, hash: bytes) -> str:
    """The name of a record, and what its seal is bound to wherever it travels."""
    return rec_at(space_id, tail(log, seq, hash))


def rec_at(space_id: bytes, tail: str) -> str:
    """The name of the record whose name ends so, wherever it was found."""
    return f"{space(space_id)}/rec/{tail}"


def vec(space_id: bytes, device: bytes) -> str:
    """The name of a device's announcement, and what its seal is bound to wherever it travels."""
    return f"{space(space_id)}/vec/{device.hex()}"


def dev(space_id: bytes, device: bytes) -> str:
    """What everything that is asked of one device begins with."""
    return f"{space(space_id)}/dev/{device.hex()}"


def here(space_id: bytes, device: bytes, node: str) -> str:
    """The liveliness token of a node."""
    return f"{space(space_id)}/here/{device.hex()}/{node}"


def parse_tail(text: str) -> Name | None:
    """The record that a name's end is about; None when it is not such an end, or not the page of its number."""
    found = _TAIL.fullmatch(text)
    if found is None:
        return None
    seq = int(found["seq"])
    if seq < 1 or int(found["page"]) != page_of(seq):
        return None
    return Name(bytes.fromhex(found["log"]), seq, bytes.fromhex(found["hash"]))


def parse_vec(text: str) -> tuple[bytes, bytes] | None:
    """The space and the device of an announcement's name."""
    found = _VEC.fullmatch(text)
    return (bytes.fromhex(found["space"]), bytes.fromhex(found["device"])) if found else None


def parse_here(text: str) -> tuple[bytes, bytes, str] | None:
    """The space, the device and the node of a liveliness token."""
    found = _HERE.fullmatch(text)
    return (bytes.fromhex(found["space"]), bytes.fromhex(found["device"]), found["node"]) if found else None
