"""Who belongs to a space, written: devices admitted and revoked, secrets changed, spaces made and entered.

Each is a record like any other, through `Log.write`, inside the caller's transaction; `counting` has the rest follow. Only
`enter` takes records in: those that come with an invitation, through which this device learns whom the space consists of.
"""

from __future__ import annotations

from collections.abc import Sequence

from nokosu import ids, limits, records
from nokosu.errors import NotFound, RecordRefused, Refused, StoreDamaged, UsageError
from nokosu.identity import boxes
from nokosu.identity.secrets import key_id
from nokosu.records import Admission, Author, Cut, Hub, Kind, Record, Rekeying, Revocation, RosterContent
from nokosu.store import counting, roster, roster_fold
from nokosu.store.index import Index
from nokosu.store.log import Entry, Log, append_within
from nokosu.store.roster import Device, Member, Secret, Space
from nokosu.store.sqlite import Connection


def admit(log: Log, connection: Connection, space: Space, *, public_key: bytes, box_key: bytes, name: str) -> Record:
    """Let a device belong to *space*, or give it another name; the record that says so.

    The first time this device says who it is itself as well: its own word about its box key goes before anybody else's.

    Raises:
        Refused: the space is `local`; the device was revoked, or gives keys that are none; this device does not belong.
    """
    _check_may_be_shared(space)
    own_key = roster.own_public_key(connection)
    device = records.device_id(public_key)
    member = _member(connection, space, device)
    if member is not None and member.revoked:
        raise Refused(f"device {ids.grouped(device)} was revoked: it has to come back with a new key", field="device")
    if public_key != own_key and not _said(connection, space, records.device_id(own_key)):
        admit_self(log, connection, space)
    return _write(log, connection, space, [(Kind.ADMIT, _admission(public_key, box_key, name))])[0]


def admit_self(log: Log, connection: Connection, space: Space, name: str = "") -> Record:
    """Say in *space* which box key this device has, and what it is called: what a joiner does first."""
    own = roster.own_device(connection)
    box = boxes.public_key(roster.box_private_key(connection))
    return admit(
        log, connection, space, public_key=roster.own_public_key(connection), box_key=box, name=name or own.name
    )


def revoke(log: Log, connection: Connection, space: Space, device_id: bytes, random: ids.Random) -> list[Record]:
    """End a device: of its records only those count that are here now; the others get a new secret that it cannot open.

    The caller goes on with `Log.settle` after the transaction: a device may have written much.

    Raises:
        NotFound: it was never admitted. Refused: it is this device, or revoked already.
    """
    member = _member(connection, space, device_id)
    if member is None:
        raise NotFound(f"device: no {ids.grouped(device_id)} in the space {space.name!a}", field="device")
    if member.own:
        raise Refused("device: this one cannot revoke itself", hint="nokosu revoke, on another device", field="device")
    if member.revoked:
        raise Refused(f"device: {member.device.name!a} is revoked already", field="device")
    cut = _ends(connection, space, member.device)
    made = _write(log, connection, space, [(Kind.REVOKE, Revocation(device=device_id, cut=cut))])
    return made + rekey(log, connection, space, random)


def rekey(log: Log, connection: Connection, space: Space, random: ids.Random) -> list[Record]:
    """Give *space* a new secret, sealed to each of its devices."""
    current = roster.secrets(connection, space)[0]
    secret = random(roster.SECRET_BYTES)
    name = key_id(secret)
    sealed: list[tuple[bytes, bytes]] = []
    for member in roster.members(connection, space):
        if member.revoked or member.box_key is None or len(sealed) == limits.BOXES_MAX:
            continue
        purpose = counting.box_purpose(space.id, name, member.device.id)
        box = boxes.seal(secret, member.box_key, purpose=purpose, random=random)
        if box is not None:
            sealed.append((member.device.id, box))
    content = Rekeying(epoch=current.epoch + 1, key_id=name, previous=current.key_id, boxes=tuple(sealed))
    return _write(log, connection, space, [(Kind.REKEY, content)])


def set_hub(log: Log, connection: Connection, space: Space, hub: Hub) -> Record:
    """Say that *hub* serves *space*, or what else is so of it now; the record that says so.

    Raises:
        Refused: the space is `local`, or this device does not belong to it.
    """
    _check_may_be_shared(space)
    return _write(log, connection, space, [(Kind.HUB, hub)])[0]


def is_rekey_due(connection: Connection, space: Space) -> bool:
    """Whether the current secret is known to a revoked device, or not sent to one that belongs: two were revoked at once
    on two devices, or one was admitted where the new secret had not been heard of. Any member that knows it then calls
    `rekey`; for one that does not, nothing is due.
    """
    folded = counting.roster_of(connection, space)
    members = roster.members(connection, space)
    revoked = {member.device.id for member in members if member.revoked}
    if folded is None or not revoked:
        return False
    current = folded.rekeys[0].roster() if folded.rekeys else None
    if not isinstance(current, Rekeying):
        return True
    if roster.secrets(connection, space)[0].key_id != current.key_id:
        return False
    sent = {device for device, _ in current.boxes}
    left_out = [member for member in members if not member.revoked and member.device.id not in sent]
    return not sent.isdisjoint(revoked) or (
        len(sent) < limits.BOXES_MAX and any(boxes.is_key(member.box_key) for member in left_out)
    )


def create_space(connection: Connection, name: str, random: ids.Random) -> Space:
    """Make a space of this device alone, to invite others to.

    Raises:
        UsageError: it cannot be a name. Refused: there is one of that name.
    """
    wanted = space_name(name)
    if any(space.name == wanted for space in roster.spaces(connection)):
        raise Refused(f"space: there is one named {wanted!a} already", field="space")
    return roster.found_space(connection, wanted, random)


def space_name(name: str) -> str:
    """A name that a person, or an invitation, gives a space.

    Raises:
        UsageError: it is empty, too long, or not one plain line.
    """
    if not name or name != roster_fold.clean_name(name) or len(name) > limits.SPACE_NAME_CHARS_MAX:
        shown = ascii(name[: limits.SPACE_NAME_CHARS_MAX])
        raise UsageError(
            f"space: {shown} cannot be a name: a plain line of 1 to {limits.SPACE_NAME_CHARS_MAX} characters",
            field="space",
        )
    return name


def enter(
    log: Log,
    connection: Connection,
    *,
    id: bytes,
    name: str,
    founder: bytes,
    secrets: Sequence[Secret],
    records: Sequence[Record],
) -> Space:
    """Become a member of a space that this device was invited to: its secrets, and the records of its roster. What this
    device says of itself there, its box key above all, is its first record.

    Whoever is in it already, and was asleep when the secret changed, enters again: of the secrets told, only those that the
    roster names are taken for current, because who tells them may be anyone. The space's name is made unlike those that
    are here.

    Raises:
        RecordRefused: the roster does not admit this device, or is not what the founder and its members signed.
    """
    space = roster.space_with(connection, id)
    if space is None:
        first = min(secrets, key=lambda secret: secret.epoch)
        space = roster.add_space(connection, id, _unused_name(connection, name), founder, first)
    elif roster.founder(connection, space) != founder:
        raise RecordRefused("founder: not the one that this device knows the space by", field="founder")
    else:
        secrets = [secret for secret in secrets if secret.epoch > 0]  # the founding one is here, and there is only one
    for secret in secrets:
        roster.keep_secret(connection, space, secret)
    _take(connection, space, records)
    counting.settle(connection, Index(), space)  # which of the secrets is current, though no record was new
    own = roster.own_device(connection)
    member = _member(connection, space, own.id)
    if member is None or member.revoked:
        raise RecordRefused("device: this one is not among those admitted", field="device")
    if not _said(connection, space, own.id):
        admit_self(log, connection, space, member.device.name)
    return space


def roster_records(connection: Connection, space: Space) -> list[Record]:
    """The records that a joiner needs to know whom the space consists of.

    Raises:
        StoreDamaged: one of them is not what was written.
    """
    found = counting.roster_records(connection, space.n)
    if found is None:
        raise StoreDamaged(f"the roster of the space {space.name!a} is damaged", hint="nokosu verify")
    return found


def _take(connection: Connection, space: Space, welcome: Sequence[Record]) -> None:
    """Add roster records in whatever order they are in: an `admit` may open the door for the author of another one."""
    waiting = {record.hash: record for record in welcome if record.roster() is not None}
    index = Index()
    while waiting:
        known = {member.device.id for member in roster.members(connection, space)}
        ready = [record for record in waiting.values() if record.core.device in known]
        if not ready:
            raise RecordRefused("device: not one that was admitted to the space", field="device")
        append_within(connection, index, ready)
        for record in ready:
            del waiting[record.hash]


def _ends(connection: Connection, space: Space, device: Device) -> tuple[Cut, ...]:
    """The ends of all that is held of a device's logs: heads, and the last records behind each gap. Where a device made more
    logs than a record can name, those that hold most.
    """
    heads = connection.rows(
        "SELECT log.id, head.seq, head.hash FROM head JOIN log ON log.n = head.log WHERE log.space = ? AND log.device = ?",
        (space.n, device.n),
    )
    ahead = connection.rows(
        "SELECT log.id, record.seq, CAST(record.hash AS BLOB), CAST(record.header AS BLOB) FROM log "
        "JOIN record ON record.log = log.n WHERE log.space = ? AND log.device = ? AND NOT record.linked",
        (space.n, device.n),
    )
    followed = {_prev(header) for *_, header in ahead}
    ends = [Cut(*row) for row in heads]
    ends += [Cut(log, seq, hash) for log, seq, hash, _ in ahead if hash not in followed]
    return tuple(sorted(ends, key=lambda end: (-end.seq, end.log, end.hash))[: limits.CUTS_MAX])


def _prev(header: bytes) -> bytes:
    """What a header names as the one before it; nothing if it is damaged."""
    try:
        return records.read(header, b"", None).place.prev
    except RecordRefused:
        return b""


def _said(connection: Connection, space: Space, device: bytes) -> bool:
    """Whether a device's own word about itself is in the roster."""
    found = (
        record.roster() for record in counting.roster_records(connection, space.n) or () if record.core.device == device
    )
    return any(isinstance(content, Admission) and records.device_id(content.key) == device for content in found)


def _member(connection: Connection, space: Space, device_id: bytes) -> Member | None:
    return next((one for one in roster.members(connection, space) if one.device.id == device_id), None)


def _admission(public_key: bytes, box_key: bytes, name: str) -> Admission:
    if len(public_key) != records.PUBLIC_KEY_BYTES or len(box_key) != boxes.KEY_BYTES:
        raise Refused("key: not of 32 bytes", field="key")
    return Admission(key=public_key, box=box_key, name=roster_fold.clean_name(name))


def _check_may_be_shared(space: Space) -> None:
    if space.name == roster.LOCAL:
        raise Refused("space: local never leaves this device", hint="nokosu space create NAME", field="space")


def _unused_name(connection: Connection, name: str) -> str:
    taken = {space.name for space in roster.spaces(connection)}
    wanted = roster_fold.clean_name(name) or "shared"
    return next(
        one for one in (wanted, *(f"{wanted} {number}" for number in range(2, len(taken) + 3))) if one not in taken
    )


def _write(log: Log, connection: Connection, space: Space, said: Sequence[tuple[Kind, RosterContent]]) -> list[Record]:
    return log.write(
        connection, space, [Entry(kind=kind, memory="", author=Author(), content=content) for kind, content in said]
    )
