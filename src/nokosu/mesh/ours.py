"""Ours: what every storage is to have of what we hold, and whether what it has is that.

Records under their names, with their text unless a purge has erased it; and, where the secret was changed, the roster's
records once more, each under the secret of its time, so that whoever slept can read from one to the next.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from nokosu.errors import RecordRefused, UnknownKey
from nokosu.mesh import holdings, keys, publisher, seal
from nokosu.mesh.holdings import Holdings, PageName
from nokosu.mesh.seal import Keyring
from nokosu.records import Record
from nokosu.store import counting, roster
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection


class Lies(Enum):
    """What lies in a storage under the name of one of our records."""

    RIGHT = "right"
    WITHOUT_TEXT = "without text"  # which no purge that we hold has taken
    OTHER = "other"
    UNKNOWN = "unknown"  # sealed under a key that is not here: its writer may know more than we do


class Ours:
    """What this device holds of one space, as far as it was looked at."""

    def __init__(self, space: Space, own: bytes) -> None:
        """*own* is this device."""
        self.holdings = Holdings(space)
        self.purged: dict[str, str] = {}  # names of records whose text was erased, and their memories
        self.owed: dict[str, None] = {}  # of those that have their text here, and may have lost it there
        self.copies: dict[str, bytes] = {}  # the roster's records, each under the secret of its time
        self.logs: set[bytes] = set()  # that this device writes, or wrote
        self.is_changed = self.has_purged = self.is_rekeyed = True  # since the last look
        self.has_met_unknown_key = False
        self._space, self._own = space, own

    @property
    def must_look(self) -> bool:
        """Whether anything may have changed since the last look."""
        return self.is_changed or self.has_purged or self.is_rekeyed

    def look_at_pages(self, connection: Connection) -> list[PageName]:
        """The pages that got records since the last look."""
        self.is_changed = False
        added = self.holdings.look(connection)
        if added:
            rows = connection.rows(
                "SELECT log.id FROM log JOIN device ON device.n = log.device WHERE log.space = ? AND device.id = ?",
                (self._space.n, self._own),
            )
            self.logs = {log for (log,) in rows}
        return added

    def look_at_purges(self, connection: Connection) -> bool:
        """Whether a text was erased since the last look."""
        if not self.has_purged:
            return False
        self.has_purged = False
        before, self.purged = self.purged, holdings.purged(connection, self._space)
        self.owed = dict.fromkeys(holdings.owed(connection, self._space))
        return bool(self.purged.keys() - before.keys())

    def look_at_roster(self, connection: Connection, keyring: Keyring) -> None:
        """Make the copies of the roster's records anew, if it has changed; none as long as there was one secret only."""
        if not self.is_rekeyed:
            return
        self.is_rekeyed = False
        self.copies = {}
        secrets = roster.secrets(connection, self._space)
        if len(secrets) < 2:
            return
        found = counting.roster_records(connection, self._space.n) or []
        for record, under in publisher.under_their_secrets(found, secrets, keyring):
            payload = publisher.sealed(record, keyring, under=under)
            if payload is not None:
                self.copies[keys.tail(record.place.log, record.place.seq, record.hash)] = payload

    def payload(self, connection: Connection, keyring: Keyring, tail: str) -> bytes | None:
        """Our record of that name, sealed as it is now, but without a text that is kept here of a purged memory for its time."""
        record = holdings.record(connection, self._space, tail)
        if record is None:
            return None
        if record.body is not None and holdings.is_purged(connection, self._space, record):
            record = msgspec.structs.replace(record, body=None)
        return publisher.sealed(record, keyring)

    def judge(self, tail: str, payload: bytes, keyring: Keyring) -> Lies:
        """What lies in a storage under the name of our record."""
        record = self._opened(tail, payload, keyring)
        if isinstance(record, Lies):
            return record
        if record.body is None:
            if tail in self.purged:
                return Lies.RIGHT
            return Lies.OTHER if tail in self.owed else Lies.WITHOUT_TEXT
        return Lies.OTHER if tail in self.purged else Lies.RIGHT

    def judge_copy(self, tail: str, payload: bytes, keyring: Keyring) -> Lies:
        """The same of a copy of a roster's record, which whoever knows the secret of its time is to read."""
        record = self._opened(tail, payload, keyring)
        if isinstance(record, Lies):
            return record
        ours = self.copies.get(tail)
        if ours is None:
            return Lies.RIGHT
        is_as_old = keyring.age(seal.key_id_of(payload)) >= keyring.age(seal.key_id_of(ours))
        return Lies.RIGHT if is_as_old else Lies.OTHER

    def _opened(self, tail: str, payload: bytes, keyring: Keyring) -> Record | Lies:
        """The record of that name; or what lies there instead."""
        try:
            record = seal.unpack(keyring.open(keys.rec_at(self._space.id, tail), payload))
        except UnknownKey:
            self.has_met_unknown_key = True
            return Lies.UNKNOWN
        except RecordRefused:
            return Lies.OTHER
        is_named_so = keys.tail(record.place.log, record.place.seq, record.hash) == tail
        return record if is_named_so else Lies.OTHER
