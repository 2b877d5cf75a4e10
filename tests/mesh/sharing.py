"""Two homes that share their personal space, without a pairing: the second one enters as an invited device does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nokosu.clock import system_wall_clock
from nokosu.identity import boxes
from nokosu.mesh import joining
from nokosu.store import membership, roster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log
from tests.homes import Home

SPACE = "shared"


def free_port() -> int:
    """A port on the loopback that nobody has, and that the system gives to no connection of another test meanwhile."""
    return joining.free_port(os.urandom, "127.0.0.1")


@contextmanager
def opened(home: Home) -> Iterator[tuple[Database, Log]]:
    """The store of a home that has saved something."""
    database = Database(home.home / "nokosu.db")
    try:
        yield database, Log(database, Index(), wall_clock=system_wall_clock, random=os.urandom)
    finally:
        database.close()


def share(first: Home, *others: Home, name: str = SPACE) -> int:
    """Make a space on the first device and have the others enter it; it listens on the loopback, and they call it. The
    port.
    """
    port = free_port()
    keys = [_keys(other) for other in others]
    with opened(first) as (database, log), database.write() as connection:
        space = membership.create_space(connection, name, os.urandom)
        for other, (public, box) in zip(others, keys, strict=True):
            membership.admit(log, connection, space, public_key=public, box_key=box, name=other.name)
        roster.set_listening(connection, space, port, "127.0.0.1")
        device = roster.own_device(connection).id
        founder, secrets = roster.founder(connection, space), roster.secrets(connection, space)
        records = membership.roster_records(connection, space)
    for other in others:
        with opened(other) as (database, log), database.write() as connection:
            entered = membership.enter(
                log, connection, id=space.id, name=name, founder=founder, secrets=secrets, records=records
            )
            roster.set_address(connection, entered, device, f"127.0.0.1:{port}", "heard")
    return port


def _keys(home: Home) -> tuple[bytes, bytes]:
    home.save(f"The first note on {home.name}.")
    with opened(home) as (database, _), database.reading() as connection:
        return roster.own_public_key(connection), boxes.public_key(roster.box_private_key(connection))
