"""Announcements: the next one of this device, and what is written down of everybody's.

They are kept in the store so that whoever asks how far the devices are knows it without asking the mesh, and so that the
shelf can serve ours.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from nokosu import clock, limits
from nokosu.errors import RecordRefused
from nokosu.identity.keys import SigningKey
from nokosu.mesh import vectors
from nokosu.mesh.vectors import Heard
from nokosu.store import vectors as store_vectors
from nokosu.store.connection import Database
from nokosu.store.log import Head
from nokosu.store.roster import Space
from nokosu.store.vectors import Ahead, Announcement

News = tuple[tuple[Head, ...], tuple[str, ...], tuple[Ahead, ...]]
"""What an announcement says that may change: heads, pending purges, chains behind a gap."""


class Announced:
    """The announcements of one space."""

    def __init__(
        self, database: Database, space: Space, own: bytes, *, counter: int, key: SigningKey, node: str, version: str,
        wall_clock: clock.WallClock, addresses: Callable[[], tuple[str, ...]],
    ) -> None:  # fmt: skip
        """*own* is this device and *counter* that of its last announcement; the others as of `Exchange`."""
        self.write_at: float | None = None
        self.has_written = False  # when it wrote things down last, there was anything to commit
        self._database, self._space, self._own = database, space, own
        self._counter, self._key, self._node, self._version = counter, key, node, version
        self._wall_clock, self._addresses = wall_clock, addresses
        self._kept: dict[bytes, tuple[object, float]] = {}  # what was written down of each device's, and until when
        self._unwritten: dict[bytes, Heard] = {}

    def next(self, news: News, name: str, now: float) -> Heard:
        """This device's next announcement; *name* is how it is called. It is written down at once: its counter must not be used
        again.
        """
        heard = vectors.signed(self._made(name, *news), self._key)
        self._counter = heard.announcement.counter
        self.keep(heard, now)
        self._write()
        return heard

    def go_beyond(self, counter: int) -> None:
        """This device has announced with that counter before."""
        self._counter = max(self._counter, counter)

    def keep(self, heard: Heard, now: float) -> None:
        """Write an announcement down, together with others, within a second; one that says nothing new once a minute."""
        said = heard.announcement
        news = (said.heads, said.pending, said.ahead, said.name, said.version, said.addresses)
        before, until = self._kept.get(said.device, (None, 0.0))
        if news != before or now >= until:
            self._kept[said.device] = (news, now + limits.ANNOUNCE_EVERY_SECONDS)
            self._unwritten[said.device] = heard
            if self.write_at is None:
                self.write_at = now + limits.ANNOUNCE_SPACING_SECONDS

    def write_down(self, now: float) -> None:
        """What is to be kept, if its time has come."""
        if self.write_at is not None and self.write_at <= now:
            self._write()

    def _write(self) -> None:
        waiting, self._unwritten, self.write_at = self._unwritten, {}, None
        self.has_written = False
        wall = self._wall_clock()
        kept = []
        with self._database.write() as connection:
            for heard in waiting.values():
                with suppress(RecordRefused):  # a device that has been taken out of the roster meanwhile
                    kept.append(store_vectors.keep(connection, self._space, heard.payload, heard.signature, wall))
        self.has_written = any(kept)

    def _made(
        self, name: str, heads: tuple[Head, ...], pending: tuple[str, ...], ahead: tuple[Ahead, ...]
    ) -> Announcement:
        wall = self._wall_clock()
        return Announcement(
            v=1,
            space=self._space.id,
            device=self._own,
            node=self._node,
            counter=max(self._counter + 1, wall),
            wall=wall,
            name=name[: limits.DEVICE_NAME_CHARS_MAX],
            version=self._version,
            addresses=self._addresses()[: limits.ADDRESSES_MAX],
            heads=heads,
            pending=pending,
            ahead=ahead,
        )
