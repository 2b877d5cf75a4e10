"""What other devices announce of themselves, made by hand: how far each is, without a mesh."""

from __future__ import annotations

from collections.abc import Iterable

from nokosu.records import Record
from nokosu.store import roster, vectors
from nokosu.store.connection import Database
from nokosu.store.log import Head
from nokosu.store.vectors import Announcement
from nokosu.testing import NEW_YEAR_MS, Peer


def heads_of(held: Iterable[Record]) -> tuple[Head, ...]:
    """The vector of a device that holds just these records, each log of them from its first one on."""
    held = list(held)
    followed = {(record.place.log, record.place.prev) for record in held}
    return tuple(
        Head(record.place.log, record.place.seq, record.hash)
        for record in held
        if (record.place.log, record.hash) not in followed
    )


def announce(
    database: Database,
    peer: Peer,
    heads: Iterable[Head],
    *,
    seen_ms: int = NEW_YEAR_MS,
    wall: int | None = None,
    version: str = "1.0",
    pending: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
) -> None:
    """Have *peer* say that it holds *heads*, heard at *seen_ms*; a later call says something newer."""
    with database.write() as connection:
        space = roster.space_with(connection, peer.space)
        assert space is not None
        before = [known.counter for known in vectors.known(connection, space) if known.device == peer.device]
        payload = vectors.encode(
            Announcement(
                v=vectors.FORMAT,
                space=peer.space,
                device=peer.device,
                node="0f",
                counter=max(before, default=0) + 1,
                wall=seen_ms if wall is None else wall,
                name=peer.name,
                version=version,
                addresses=addresses,
                heads=tuple(heads),
                pending=pending,
            )
        )
        assert vectors.keep(connection, space, payload, peer.key.sign(payload), seen_ms)
