"""Publish: the log is the outbox.

`Outbox` finds this device's own records past a cursor, whoever on this machine wrote them, and seals each once. The cursor
lives in memory: after a restart nothing is put again, because the others compare vectors. `Announcer` decides when the
vector is told again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from nokosu import limits, records
from nokosu.errors import UnknownKey
from nokosu.mesh import keys, seal
from nokosu.mesh.seal import Keyring
from nokosu.records import Kind, Record, Rekeying
from nokosu.store.roster import Secret, Space
from nokosu.store.sqlite import Connection

AT_ONCE: Final = 128  # records put in one go


class Put(Struct, frozen=True):
    """A payload to be put under a key; *later_than* is the stamp of what lies there and must give way."""

    key: str
    payload: bytes
    later_than: int = 0


class Outbox:
    """This device's records of one space that were not put yet."""

    def __init__(self, space: Space) -> None:
        self.has_more = False
        self._space = space
        self._cursor: int | None = None
        self._arrived: set[bytes] = set()

    def arrived(self, hash: bytes) -> None:
        """A record of this device came from elsewhere: a copy of it wrote that, or it was ours before a restore."""
        self._arrived.add(hash)

    def next(self, connection: Connection, own: bytes) -> list[Record]:
        """The next records to put, in the order they were written; what is there at the first call counts as put."""
        row = connection.row("SELECT max(n) FROM record")
        end = (row and row[0]) or 0
        if self._cursor is None or end < self._cursor:
            self._cursor = end
        found = connection.rows(
            "SELECT record.n, CAST(header AS BLOB), CAST(signature AS BLOB), CAST(body AS BLOB) FROM record "
            "JOIN log ON log.n = record.log JOIN device ON device.n = log.device "
            "WHERE record.n > ? AND log.space = ? AND device.id = ? ORDER BY record.n LIMIT ?",
            (self._cursor, self._space.n, own, AT_ONCE),
        )
        self.has_more = len(found) == AT_ONCE
        self._cursor = found[-1][0] if self.has_more else end
        fresh = [records.read(header, signature, body) for _, header, signature, body in found]
        passed = {record.hash for record in fresh}
        fresh = [record for record in fresh if record.hash not in self._arrived]
        self._arrived = self._arrived - passed if self.has_more else set()
        return fresh


def sealed(record: Record, keyring: Keyring, *, under: bytes | None = None) -> bytes | None:
    """A record as it travels, whatever it is asked for as; None when it cannot be sealed so that the others can read it.

    *under* names a secret other than the current one. A `rekey` is always sealed under the secret that it follows:
    whoever slept since then has no newer one.
    """
    place = record.place
    said = record.roster() if record.core.kind == Kind.REKEY else None
    key_id = said.previous if isinstance(said, Rekeying) else under
    name = keys.rec(place.space, place.log, place.seq, record.hash)
    try:
        return keyring.seal(name, seal.pack(record), key_id=key_id)
    except UnknownKey:
        return None


def under_their_secrets(
    found: Iterable[Record], secrets: Iterable[Secret], keyring: Keyring
) -> Iterator[tuple[Record, bytes]]:
    """The roster's records in order, each with the secret that was current when it was written: whoever knows an older one
    reads up to the first `rekey`, finds the next secret in it, and reads on.
    """
    founding = min(secrets, key=lambda secret: secret.epoch)
    latest = (founding.epoch, founding.key_id)
    for record in sorted(found, key=lambda record: (record.core.hlc, record.id)):
        said = record.roster()
        yield record, latest[1]
        if isinstance(said, Rekeying) and keyring.knows(said.key_id):
            latest = max(latest, (said.epoch, said.key_id))


def puts(found: Iterable[Record], keyring: Keyring) -> list[Put]:
    """What to put for some records."""
    made = []
    for record in found:
        payload = sealed(record, keyring)
        if payload is not None:
            place = record.place
            made.append(Put(keys.rec(place.space, place.log, place.seq, record.hash), payload))
    return made


class Announcer:
    """When to announce: soon after the last change, about once a second while changes go on, and now and then."""

    def __init__(self) -> None:
        self._told: object = None
        self._told_at: float | None = None
        self._first_change: float | None = None
        self._last_change = 0.0
        self._is_urgent = False
        self._again_at: float | None = None

    def look(self, news: object, now: float) -> None:
        """This is what an announcement would say now."""
        if news == self._told:
            self._first_change = None
            return
        self._last_change = now
        if self._first_change is None:
            self._first_change = now

    def hurry(self, again_at: float | None = None) -> None:
        """Somebody new listens. What is put while the ways between nodes still change may be lost, so it is told once more
        at *again_at*.
        """
        self._is_urgent = True
        if again_at is not None:
            self._again_at = again_at

    @property
    def has_news(self) -> bool:
        """Whether an announcement would say more than the last one."""
        return self._first_change is not None

    def due(self, now: float) -> float:
        """When to announce next."""
        if self._told_at is None:
            return now
        if self._is_urgent:
            return self._told_at + limits.ANNOUNCE_QUIET_SECONDS
        if self._again_at is not None and self._again_at <= now:
            return self._again_at
        again = self._again_at if self._again_at is not None else math.inf
        return min(again, self._due_after_changes(self._told_at))

    def _due_after_changes(self, told_at: float) -> float:
        if self._first_change is None:
            return told_at + limits.ANNOUNCE_EVERY_SECONDS
        spaced = told_at + limits.ANNOUNCE_SPACING_SECONDS
        quiet = max(self._last_change + limits.ANNOUNCE_QUIET_SECONDS, spaced)
        return min(quiet, max(self._first_change + limits.ANNOUNCE_SPACING_SECONDS, spaced))

    def told(self, news: object, now: float) -> None:
        """It was announced."""
        self._told, self._told_at = news, now
        self._first_change, self._is_urgent = None, False
        if self._again_at is not None and self._again_at <= now:
            self._again_at = None
