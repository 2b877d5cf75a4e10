"""What a storage of the mesh was once seen to hold, page by page. A hint: lost, it costs a comparison and nothing else.

It lies in this database, so that a copy of it that is put back knows as much as it holds itself.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from nokosu import limits
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection


class Proof(Struct, frozen=True):
    """When a storage was looked at last, in milliseconds since 1970; by device, the stamps of the announcements it had;
    by log, each page that it has: its number, how many records, and the row of the last; and the names of what it was given
    of late, which it may lose again.
    """

    seen_ms: int
    stamps: dict[bytes, int]
    pages: dict[bytes, list[tuple[int, int, int]]]
    recent: list[str]


_DECODER: Final = msgspec.msgpack.Decoder(Proof)
_ENCODER: Final = msgspec.msgpack.Encoder()


def keep(connection: Connection, space: Space, zid: str, proof: Proof) -> None:
    """Write down what a storage holds; those not looked at for longest make room."""
    connection.run(
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (_name(space, zid), _ENCODER.encode(proof))
    )
    found = _all(connection, space)
    for name in sorted(found, key=lambda name: -found[name].seen_ms)[limits.STORAGES_MAX :]:
        connection.run("DELETE FROM meta WHERE name = ?", (name,))


def known(connection: Connection, space: Space, zid: str) -> Proof | None:
    """What was written down of a storage."""
    return _all(connection, space).get(_name(space, zid))


def _all(connection: Connection, space: Space) -> dict[str, Proof]:
    prefix = _name(space, "")
    found = {}
    for name, value in connection.rows(
        "SELECT name, value FROM meta WHERE name >= ? AND name < ?", (prefix, f"{prefix}~")
    ):
        try:
            found[name] = _DECODER.decode(value)
        except (msgspec.DecodeError, TypeError):  # a later version's: it is proven again
            continue
    return found


def _name(space: Space, zid: str) -> str:
    return f"storage {space.id.hex()} {zid}"
