"""Which of a space's secrets its devices still show and trust in TLS, while a new one is on its way to all of them.

A `rekey` reaches the others only if they still let us in. So the secret before it is trusted until the announcement of
every remaining device covers the record of the rekey, and until then certificates are signed with it, because whoever has
not heard of the new one trusts nothing else; after `DAYS_MAX` those who slept through it have to pair again.

Two devices may see this differently for a while: one has heard that all know the new secret, another has not. Were the first
to drop the older one at once, it would turn the second away before that can hear. So a node goes on showing it for an hour
after it heard, and trusts it for another one (`Truster`); and a node to which somebody is missing all the same, as after it
was started anew, tries its `other` certificate now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Final

from msgspec import Struct

from nokosu import times
from nokosu.records import Record, Rekeying
from nokosu.store import counting, roster, vectors
from nokosu.store.log import Head
from nokosu.store.roster import Secret, Space
from nokosu.store.sqlite import Connection

DAYS_MAX: Final = 30
SHOWN_SECONDS: Final = 3600.0  # after all know the new secret: an announcement that says so comes each minute
TRUSTED_SECONDS: Final = 3600.0


class Trust(Struct, frozen=True):
    """The secrets whose certificates are let in, the current one first, and the one that signs ours."""

    trusted: tuple[Secret, ...]
    signer: Secret

    @property
    def is_changing(self) -> bool:
        """Whether another signer might be what the others want to see."""
        return len(self.trusted) > 1


def needed(connection: Connection, space: Space, now_ms: int) -> Trust:
    """What the records and announcements say now."""
    current = roster.secrets(connection, space)[0]
    trusted = [current, *(secret for secret, _ in ending(connection, space, now_ms))]
    return Trust(tuple(trusted), trusted[-1])


def ending(connection: Connection, space: Space, now_ms: int) -> list[tuple[Secret, int]]:
    """The secrets before the current one that are still needed, the latest first, each with the time (milliseconds since
    1970) when that is over, whoever still sleeps.
    """
    older = takewhile(lambda older: not older.is_covered, _older(connection, space, now_ms))
    return [(one.secret, one.until_ms) for one in older]


class Truster:
    """The same for a node that runs: what was needed a while ago still is shown and trusted."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._covered_at: dict[bytes, float] = {}

    def now(self, connection: Connection, space: Space, now_ms: int) -> Trust:
        """See `needed`."""
        now = self._monotonic()
        signer = roster.secrets(connection, space)[0]
        trusted = [signer]
        for older in _older(connection, space, now_ms):
            age = self._covered_for(older, now)
            if age >= SHOWN_SECONDS + TRUSTED_SECONDS:
                break
            trusted.append(older.secret)
            if age < SHOWN_SECONDS:
                signer = older.secret
        return Trust(tuple(trusted), signer)

    def _covered_for(self, older: _Older, now: float) -> float:
        if not older.is_covered:
            self._covered_at.pop(older.secret.key_id, None)
            return 0.0
        return now - self._covered_at.setdefault(older.secret.key_id, now)


def other(trust: Trust) -> Trust:
    """The same trust, and a certificate that others may rather want: by the current secret, or by the one before."""
    current = trust.trusted[0]
    return Trust(trust.trusted, trust.trusted[1] if trust.signer == current else current)


def _rekeys(connection: Connection, space: Space) -> dict[bytes, tuple[Record, Rekeying]]:
    """The records that made a secret, by its key id."""
    found: dict[bytes, tuple[Record, Rekeying]] = {}
    for record in counting.roster_records(connection, space.n) or ():
        said = record.roster()
        if isinstance(said, Rekeying):
            found[said.key_id] = (record, said)
    return found


class _Older(Struct, frozen=True):
    """A secret that was replaced, and whether every remaining device has announced that it knows by which; at `until_ms` it
    ends all the same.
    """

    secret: Secret
    is_covered: bool
    until_ms: int


def _older(connection: Connection, space: Space, now_ms: int) -> Iterator[_Older]:
    """The secrets before the current one, back to the first that nobody is waited for any more."""
    known = {secret.key_id: secret for secret in roster.secrets(connection, space)}
    rekeys = _rekeys(connection, space)
    at = next(iter(known))
    seen = {at}
    while at in rekeys:
        record, said = rekeys[at]
        at = said.previous
        until_ms = record.core.wall + DAYS_MAX * times.DAY_MS
        if at in seen or at not in known or now_ms > until_ms:
            return
        seen.add(at)
        yield _Older(known[at], _is_covered(connection, space, record), until_ms)


def _is_covered(connection: Connection, space: Space, record: Record) -> bool:
    """Whether every remaining device has announced that it holds *record*."""
    announced = {one.device: one.announcement.heads for one in vectors.known(connection, space)}
    held = Head(record.place.log, record.place.seq, record.hash)
    return all(
        vectors.covers(connection, space, announced.get(member.device.id, ()), held)
        for member in roster.members(connection, space)
        if not member.own and not member.revoked
    )
