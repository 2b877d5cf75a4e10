"""Which of a space's secrets its devices still show and trust in TLS, while a new one is on its way to all of them.

A `rekey` reaches the others only if they still let us in. So the secret before it is trusted until the announcement of
every remaining device covers the record of the rekey, and until then certificates are signed with it, because whoever has
not heard of the new one trusts nothing else; after `DAYS_MAX` those who slept through it have to pair again.

Two devices may see this differently for a while: one has heard that all know the new secret, and lets the older one in no
more; another has not, and still shows it. So a node to which somebody is missing tries its `other` certificate now and
then.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from nokosu import times
from nokosu.records import Record, Rekeying
from nokosu.store import counting, roster, vectors
from nokosu.store.log import Head
from nokosu.store.roster import Secret, Space
from nokosu.store.sqlite import Connection

DAYS_MAX: Final = 30


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
    known = {secret.key_id: secret for secret in roster.secrets(connection, space)}
    current = next(iter(known.values()))
    rekeys = _rekeys(connection, space)
    trusted = [current]
    while (follows := _before(connection, space, rekeys.get(trusted[-1].key_id), now_ms)) in known:
        if known[follows] in trusted:
            break
        trusted.append(known[follows])
    return Trust(tuple(trusted), trusted[-1])


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


def _before(connection: Connection, space: Space, rekey: tuple[Record, Rekeying] | None, now_ms: int) -> bytes | None:
    """The key id of the secret that a rekey has replaced and that is still needed."""
    if rekey is None:
        return None
    record, said = rekey
    if now_ms - record.core.wall > DAYS_MAX * times.DAY_MS or _is_covered(connection, space, record):
        return None
    return said.previous


def _is_covered(connection: Connection, space: Space, record: Record) -> bool:
    """Whether every remaining device has announced that it holds *record*."""
    announced = {one.device: one.announcement.heads for one in vectors.known(connection, space)}
    held = Head(record.place.log, record.place.seq, record.hash)
    return all(
        vectors.covers(connection, space, announced.get(member.device.id, ()), held)
        for member in roster.members(connection, space)
        if not member.own and not member.revoked
    )
