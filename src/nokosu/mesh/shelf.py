"""Shelf: answers what others ask of this device, from a database object of its own and beside the thread that writes.

It serves one space and nothing else, in the order of a log, a few rows at a time, so that no question keeps a view of the
store open. What it does not understand it answers with nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from nokosu import ids, limits, records
from nokosu.mesh import keys, publisher, vectors
from nokosu.mesh.seal import Keyring
from nokosu.records import Record
from nokosu.store import counting, roster
from nokosu.store import vectors as store_vectors
from nokosu.store.connection import Database
from nokosu.store.roster import Secret, Space
from nokosu.store.sqlite import Connection

_ROWS: Final = 64  # read in one view of the store
_SELECTOR_CHARS_MAX: Final = 256
_NUMBER: Final = r"[1-9][0-9]{0,15}"
_RECORDS: Final = re.compile(
    r"rec/(?P<log>[0-9a-f]{32})/"
    rf"(?:(?P<all>\*\*)|(?P<page>0|{_NUMBER})/(?:(?P<every>\*)|(?P<seq>{_NUMBER})-(?P<hash>\$\*|[0-9a-f]{{32}})))"
    rf"(?:\?from=(?P<first>{_NUMBER});to=(?P<last>{_NUMBER}))?"
)

Answer = tuple[str, bytes]
"""Key and payload."""


class Asked(Struct, frozen=True):
    """Records of one log by number, first to last; `hash` is the beginning of one's hash, or empty."""

    log: bytes
    first: int
    last: int
    hash: bytes


def parse(tail: str) -> Asked | None:
    """What a selector below `dev/<device>/` asks for; None when it asks for no records."""
    found = _RECORDS.fullmatch(tail) if len(tail) <= _SELECTOR_CHARS_MAX else None
    if found is None:
        return None
    first, last, hash = 1, limits.SEQ_MAX, b""
    if found["seq"] is not None:
        first = last = int(found["seq"])
        if int(found["page"]) != keys.page_of(first):
            return None
        hash = b"" if found["hash"] == "$*" else bytes.fromhex(found["hash"])
    elif found["page"] is not None:
        first = int(found["page"]) * keys.PAGE_RECORDS + 1
        last = first + keys.PAGE_RECORDS - 1
    if found["first"] is not None:
        first, last = max(first, int(found["first"])), min(last, int(found["last"]))
    return Asked(bytes.fromhex(found["log"]), first, last, hash)


class Shelf:
    """The records and the announcement of this device, for whoever asks."""

    def __init__(self, database: Database, space: Space, *, random: ids.Random) -> None:
        """Take a database object that nobody else uses; *random* gives the nonces of what is sealed."""
        self._database = database
        self._space = space
        self._random = random
        self._secrets: list[Secret] = []
        self._keyring: Keyring | None = None
        with database.reading() as connection:
            self._own = roster.own_device(connection).id

    def serve(self, selector: str) -> Iterator[Answer]:
        """The answers to one question, as they are read.

        Raises:
            StoreError: the store cannot be read.
        """
        if selector == f"{keys.space(self._space.id)}/vec/*":
            return self._announcements(f"{keys.space(self._space.id)}/vec")
        base = f"{keys.dev(self._space.id, self._own)}/"
        if not selector.startswith(base):
            return iter(())
        tail = selector[len(base) :]
        if tail == "vec":
            return self._own_announcement(base)
        if tail == "rekey/**":
            return self._roster(base)
        asked = parse(tail)
        return self._records(base, asked) if asked is not None else iter(())

    def _records(self, base: str, asked: Asked) -> Iterator[Answer]:
        with self._database.reading() as connection:
            logs = connection.rows("SELECT n FROM log WHERE id = ? AND space = ?", (asked.log, self._space.n))
        for (log,) in logs:  # one, unless a device lies about another's
            yield from self._records_of(base, log, asked)

    def _records_of(self, base: str, log: int, asked: Asked) -> Iterator[Answer]:
        seq, n = asked.first, 0
        while True:
            with self._database.reading() as connection:
                keyring = self._current(connection)
                rows = connection.rows(_PAGE_SQL, (log, seq, seq, n, asked.last, _ROWS))
            for row in rows:
                record = records.read(*row[1:])
                seq, n = record.place.seq, row[0]
                if record.hash.startswith(asked.hash):
                    yield from _answer(f"{base}rec", record, keyring)
            if len(rows) < _ROWS:
                return

    def _roster(self, base: str) -> Iterator[Answer]:
        """See `publisher.under_their_secrets`."""
        with self._database.reading() as connection:
            keyring = self._current(connection)
            found = counting.roster_records(connection, self._space.n) or []
        for record, under in publisher.under_their_secrets(found, self._secrets, keyring):
            yield from _answer(f"{base}rekey", record, keyring, under=under)

    def _own_announcement(self, base: str) -> Iterator[Answer]:
        for key, payload in self._announcements(f"{base}vec"):
            if key.endswith(f"vec/{self._own.hex()}"):
                yield f"{base}vec", payload

    def _announcements(self, base: str) -> Iterator[Answer]:
        with self._database.reading() as connection:
            keyring = self._current(connection)
            known = store_vectors.known(connection, self._space)
        for one in known:
            yield f"{base}/{one.device.hex()}", vectors.sealed(one, keyring)

    def _current(self, connection: Connection) -> Keyring:
        secrets = roster.secrets(connection, self._space)
        if self._keyring is None or secrets != self._secrets:
            self._secrets, self._keyring = secrets, Keyring(secrets, random=self._random)
        return self._keyring


# What waits behind a gap as well: nobody else may have it any more.
_PAGE_SQL: Final = (
    "SELECT n, CAST(header AS BLOB), CAST(signature AS BLOB), CAST(body AS BLOB) FROM record "
    "WHERE log = ? AND seq >= ? AND (seq, n) > (?, ?) AND seq <= ? ORDER BY seq, n LIMIT ?"
)


def _answer(base: str, record: Record, keyring: Keyring, under: bytes | None = None) -> Iterator[Answer]:
    payload = publisher.sealed(record, keyring, under=under)
    if payload is not None:
        place = record.place
        yield f"{base}/{keys.tail(place.log, place.seq, record.hash)}", payload
