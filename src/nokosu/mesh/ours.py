"""Ours: what every storage is to have of what we hold, and whether what it has is that.

Records under their names, with their text unless a purge has erased it; and, where the secret was changed, the roster's
records once more, each under the secret of its time, so that whoever slept can read from one to the next.
"""

from __future__ import annotations

from nokosu.errors import RecordRefused, UnknownKey
from nokosu.mesh import holdings, keys, publisher, seal
from nokosu.mesh.holdings import Holdings, PageName
from nokosu.mesh.seal import Keyring
from nokosu.store import counting, roster
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection


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
        """Our record of that name, sealed as it is now."""
        record = holdings.record(connection, self._space, tail)
        return publisher.sealed(record, keyring) if record is not None else None

    def is_held(self, tail: str, payload: bytes, keyring: Keyring) -> bool | None:
        """Whether what lies in a storage is our record of that name, with its text unless that was erased."""
        try:
            record = seal.unpack(keyring.open(keys.rec_at(self._space.id, tail), payload))
        except UnknownKey:
            self.has_met_unknown_key = True
            return None  # its writer may know more than we do
        except RecordRefused:
            return False
        if keys.tail(record.place.log, record.place.seq, record.hash) != tail:
            return False
        return tail not in (self.purged if record.body is not None else self.owed)

    def is_copy(self, tail: str, payload: bytes, keyring: Keyring) -> bool | None:
        """Whether a copy of a roster's record can be read by whoever knows the secret of its time."""
        try:
            record = seal.unpack(keyring.open(keys.rec_at(self._space.id, tail), payload))
        except UnknownKey:
            self.has_met_unknown_key = True
            return None
        except RecordRefused:
            return False
        ours = self.copies.get(tail)
        if ours is None or keys.tail(record.place.log, record.place.seq, record.hash) != tail:
            return ours is None
        return keyring.age(seal.key_id_of(payload)) >= keyring.age(seal.key_id_of(ours))
