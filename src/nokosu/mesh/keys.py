"""Key expressions: the names under which a space's records and vectors travel.

    nokosu/1/<space>/rec/<log>/<page>/<seq>-<hash>      one sealed record, write-once
    nokosu/1/<space>/vec/<device>                       a device's sealed announcement, overwritten
    nokosu/1/<space>/dev/<device>/rec/...               the same records, asked of one device
    nokosu/1/<space>/dev/<device>/vec                   its announcement
    nokosu/1/<space>/dev/<device>/rekey/...             the roster's records, each readable with the key before it
    nokosu/1/<space>/here/<device>/<node>/<router>      a liveliness token: that node is connected, by that router

What only zenohds and their storages have; `rec/**` and `vec/**` are what the two storages of each keep:

    nokosu/1/<space>/vec/rekey/<log>/<page>/<seq>-<hash>   the roster's records, each under the secret of its time
    nokosu/1/<space>/vec/ready/<zid>                       written and read back by whoever starts that zenohd
    nokosu/1/<space>/hub/<version>/<fingerprint>/<zid>     a liveliness token: the storages of that zenohd answer

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
_ZID: Final = r"[1-9a-f][0-9a-f]{0,31}"
_TAIL: Final = re.compile(rf"(?P<log>{_ID})/(?P<page>{_NUMBER})/(?P<seq>{_NUMBER})-(?P<hash>[0-9a-f]{{32}})")
_VEC: Final = re.compile(rf"{ROOT}/(?P<space>{_ID})/vec/(?P<device>{_ID})")
_HUB: Final = re.compile(
    rf"{ROOT}/(?P<space>{_ID})/hub/(?P<version>[0-9A-Za-z.+-]{{1,32}})/(?P<fingerprint>[0-9a-f]{{1,32}})/(?P<zid>{_ZID})"
)
_HERE: Final = re.compile(rf"{ROOT}/(?P<space>{_ID})/here/(?P<device>{_ID})/(?P<node>{_ZID})/{_ZID}")


class Name(Struct, frozen=True):
    """Where a record says that it lies: `hash` is shortened to `NAME_HASH_BYTES`."""

    log: bytes
    seq: int
    hash: bytes


class Hub(Struct, frozen=True):
    """What a zenohd's token tells: its version, how its replication is set, and its own Zenoh id."""

    space: bytes
    version: str
    fingerprint: str
    zid: str


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


def rec_all(space_id: bytes) -> str:
    """All records."""
    return f"{space(space_id)}/rec/**"


def vec_all(space_id: bytes) -> str:
    """All announcements, and nothing else that lies below `vec`."""
    return f"{space(space_id)}/vec/*"


def rekey(space_id: bytes, tail: str) -> str:
    """The copy of a record of the roster that is sealed under the secret of its time; its seal is bound to `rec_at`."""
    return f"{space(space_id)}/vec/rekey/{tail}"


def ready(space_id: bytes, zid: str) -> str:
    """What is written and read back before a zenohd counts as serving its storages."""
    return f"{space(space_id)}/vec/ready/{zid}"


def hub(space_id: bytes, version: str, fingerprint: str, zid: str) -> str:
    """The liveliness token of a zenohd whose storages answer."""
    return f"{space(space_id)}/hub/{version}/{fingerprint}/{zid}"


def dev(space_id: bytes, device: bytes) -> str:
    """What everything that is asked of one device begins with."""
    return f"{space(space_id)}/dev/{device.hex()}"


def here(space_id: bytes, device: bytes, node: str, router: str) -> str:
    """The liveliness token of a node, and of the router that connects it: the node itself, or the zenohd beside it."""
    return f"{space(space_id)}/here/{device.hex()}/{node}/{router}"


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


def parse_hub(text: str) -> Hub | None:
    """What a zenohd's token says."""
    found = _HUB.fullmatch(text)
    return Hub(bytes.fromhex(found["space"]), found["version"], found["fingerprint"], found["zid"]) if found else None
