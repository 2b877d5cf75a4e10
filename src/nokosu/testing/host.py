"""A host of the loopback mesh: a real store, the real exchange and shelf over it, and a clock that may be wrong."""

from __future__ import annotations

import random as standard_random
from collections.abc import Callable
from pathlib import Path

from nokosu.config import DATABASE_NAME, Config
from nokosu.identity import boxes
from nokosu.mesh.exchange import Exchange
from nokosu.mesh.shelf import Shelf
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.store import connection as store_connection
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log
from nokosu.store.roster import Space
from nokosu.testing.network import Timeline

EPOCH_MS = 1_767_225_600_000


class SkewedClock:
    """The wall clock of one host: the mesh's time and what it is wrong by, in milliseconds."""

    def __init__(self, timeline: Timeline) -> None:
        self.skew_ms = 0
        self._timeline = timeline

    def __call__(self) -> int:
        return EPOCH_MS + int(self._timeline.now * 1000) + self.skew_ms


class Bytes:
    """Random bytes of one source."""

    def __init__(self, source: standard_random.Random) -> None:
        self._source = source

    def __call__(self, size: int) -> bytes:
        return self._source.randbytes(size)


class Host:
    """One device's home, and the node on it while it runs."""

    def __init__(self, number: int, home: Path, timeline: Timeline, random: standard_random.Random) -> None:
        self.number = number
        self.name = f"host{number}"
        self.clock = SkewedClock(timeline)
        self.random = Bytes(random)
        self.config = Config(
            home=home, user_home=home, author=Author(agent="sim", host=self.name), device_name=self.name
        )
        self.exchange: Exchange | None = None
        self.node = ""
        self.names: dict[str, bytes] = {}  # all nodes that ran here, and of which device
        self.is_removed = False  # revoked, or gone: nothing is expected of it any more
        self._timeline = timeline
        self._last_stamp = 0

    def create(self) -> None:
        """Make the store, with this device's key."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        store_connection.create(self.path, lambda fresh: roster.found(fresh, device_name=self.name, random=self.random))
        self.open()

    @property
    def path(self) -> Path:
        """Where the store lies."""
        return self.config.home / DATABASE_NAME

    def open(self) -> None:
        """Open the store, as its user and as its node do."""
        self.memory = Nokosu(self.config, wall_clock=self.clock, random=self.random)
        self.database = Database(self.path)
        self.log = Log(self.database, Index(), wall_clock=self.clock, random=self.random)
        self.shelf_database = Database(self.path)
        with self.database.reading() as connection:
            self.device = roster.own_device(connection).id

    def start(self, space: bytes, node: str, version: str = "1") -> None:
        """Start the node for a space."""
        self.node = node
        self.names[node] = self.device
        self.space = self.space_with(space)
        self.shelf = Shelf(self.shelf_database, self.space, random=self.random)
        self._last_stamp = 0  # Zenoh's clock never goes back while a session stands, and does with the next
        self.exchange = Exchange(
            self.database,
            self.log,
            self.space,
            node=node,
            wall_clock=self.clock,
            monotonic=lambda: self._timeline.now,
            random=self.random,
            version=version,
            addresses=lambda: (f"10.0.0.{self.number}:4000",),
        )

    def stamp(self, later_than: int) -> int:
        """What Zenoh stamps a sample with now."""
        self._last_stamp = max((self.clock() << 32) // 1000, self._last_stamp + 1, later_than + 1)
        return self._last_stamp

    def stop(self) -> None:
        """End the node, as a kill does: what it had in memory is gone."""
        self.exchange = None

    def close(self) -> None:
        """Close the store."""
        self.stop()
        self.memory.close()
        self.database.close()
        self.shelf_database.close()

    def replace(self, copy: Path) -> None:
        """Put an older copy in the place of the store, and open it."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(copy.read_bytes())
        self.open()

    def public_keys(self) -> tuple[bytes, bytes]:
        """This device's keys, to sign and to seal for: what it gives when it joins."""
        with self.database.reading() as connection:
            return roster.own_public_key(connection), boxes.public_key(roster.box_private_key(connection))

    def space_with(self, id: bytes) -> Space:
        """The space of that id."""
        with self.database.reading() as connection:
            return next(space for space in roster.spaces(connection) if space.id == id)

    def write(self, action: Callable[[Nokosu], None]) -> None:
        """Do something as the user, and let the node see that the store changed."""
        action(self.memory)
        if self.exchange is not None:
            self.exchange.store_changed()
