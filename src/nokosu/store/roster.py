"""Who: this device, the spaces it is in, their secrets, and the devices whose records count in each. Reading only, but for
what no record tells: names of spaces, secrets, addresses. Who belongs to a space is written by `membership`, as records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from nokosu import ids, limits, records
from nokosu.errors import NotFound, RecordRefused, StoreDamaged
from nokosu.identity import boxes
from nokosu.identity.keys import SigningKey
from nokosu.identity.secrets import key_id
from nokosu.records import Hub, Record
from nokosu.store import roster_fold
from nokosu.store.sqlite import Connection

PERSONAL: Final = "personal"
LOCAL: Final = "local"
PRIVATE_KEY_BYTES: Final = 32
SECRET_BYTES: Final = 32


class Device(Struct, frozen=True):
    """A device: its number in this file, its id, and the name people gave it."""

    n: int
    id: bytes
    name: str


class Space(Struct, frozen=True):
    """Who shares: its number in this file, its id and its name."""

    n: int
    id: bytes
    name: str


class Member(Struct, frozen=True, kw_only=True):
    """A device that was ever admitted to a space.

    `box_key` is None for a founder that has not said its own; `admitted_ms` is 0 for a founder. `revoked` ones are no
    members any more: of their records only those before the cut count.
    """

    device: Device
    public_key: bytes
    box_key: bytes | None
    revoked: bool
    own: bool
    admitted_ms: int


class Secret(Struct, frozen=True):
    """A secret of a space: `epoch` is 0 for the one it was founded with."""

    key_id: bytes
    epoch: int
    secret: bytes


class Listening(Struct, frozen=True):
    """Where this device listens for the other devices of a space."""

    port: int
    address: str


# This device ----------------------------------------------------------------------------------------------------------


def found(connection: Connection, *, device_name: str, random: ids.Random) -> None:
    """Make this device's key, and the spaces `personal` and `local` with it as their only member."""
    private = random(PRIVATE_KEY_BYTES)
    add_device(connection, SigningKey(private).public, device_name, private)
    for name in (PERSONAL, LOCAL):
        found_space(connection, name, random)


def own_device(connection: Connection) -> Device:
    """This machine's device."""
    return Device(*_own(connection)[:3])


def own_public_key(connection: Connection) -> bytes:
    """The Ed25519 public key of this machine's device."""
    return bytes(_own(connection)[3])


def signing_key(connection: Connection) -> SigningKey:
    """The private key of this machine's device."""
    return SigningKey(_own(connection)[4])


def box_private_key(connection: Connection) -> bytes:
    """The X25519 private key of this machine's device: what others seal a new secret to."""
    return boxes.private_key(_own(connection)[4])


def _own(connection: Connection) -> tuple[int, bytes, str, bytes, bytes]:
    row = connection.row(
        "SELECT n, id, name, public_key, private_key FROM device WHERE private_key IS NOT NULL ORDER BY n"
    )
    if row is None:
        raise StoreDamaged("the store holds no device key", hint="restore a backup")
    n, id, name, public, private = row
    return n, id, name, public, private


def add_device(connection: Connection, public: bytes, name: str, private: bytes | None = None) -> Device:
    """Note a device; only this machine's own has a private key."""
    id = records.device_id(public)
    connection.run(
        "INSERT INTO device (id, public_key, private_key, name) VALUES (?, ?, ?, ?)", (id, public, private, name)
    )
    return Device(connection.last_insert_rowid(), id, name)


def device_with(connection: Connection, id: bytes) -> Device | None:
    """The device with that id, if it is known here."""
    row = connection.row("SELECT n, id, name FROM device WHERE id = ?", (id,))
    return Device(*row) if row is not None else None


# Spaces ---------------------------------------------------------------------------------------------------------------


def spaces(connection: Connection) -> list[Space]:
    """The spaces this device is in, oldest first."""
    return [Space(*row) for row in connection.rows("SELECT n, id, name FROM space ORDER BY n")]


def space_named(connection: Connection, name: str) -> Space:
    """The space of that name.

    Raises:
        NotFound: there is none; the message lists those that are.
    """
    all_spaces = spaces(connection)
    for space in all_spaces:
        if space.name == name:
            return space
    names = ", ".join(space.name for space in all_spaces)
    raise NotFound(f"space: no space named {name!a} (there are: {names})", field="space")


def space_with(connection: Connection, id: bytes) -> Space | None:
    """The space with that id, if this device is in it."""
    row = connection.row("SELECT n, id, name FROM space WHERE id = ?", (id,))
    return Space(*row) if row is not None else None


def found_space(connection: Connection, name: str, random: ids.Random) -> Space:
    """Make a space with this device as its founder and only member."""
    id, secret = random(ids.BINARY_ID_BYTES), random(SECRET_BYTES)
    return add_space(connection, id, name, own_public_key(connection), Secret(key_id(secret), 0, secret))


def add_space(connection: Connection, id: bytes, name: str, founder: bytes, secret: Secret) -> Space:
    """Note a space, the oldest of its secrets that is known, and who made it: a member by that alone."""
    connection.run(
        "INSERT INTO space (id, name, founder, secret) VALUES (?, ?, ?, ?)", (id, name, founder, secret.secret)
    )
    space = Space(connection.last_insert_rowid(), id, name)
    keep_secret(connection, space, secret)
    first = records.device_id(founder)
    maker = device_with(connection, first) or add_device(connection, founder, ids.grouped(first)[:9])
    connection.run("INSERT INTO member (space, device) VALUES (?, ?)", (space.n, maker.n))
    return space


def name_space(connection: Connection, space: Space, name: str) -> None:
    """Call a space so on this device; no other one here has that name."""
    connection.run("UPDATE space SET name = ? WHERE n = ?", (name, space.n))


def founder(connection: Connection, space: Space) -> bytes:
    """The public key of the device that made a space."""
    row = connection.row("SELECT founder FROM space WHERE n = ?", (space.n,))
    if row is None or row[0] is None:
        raise StoreDamaged(f"the store does not say who made the space {space.name!a}", hint="restore a backup")
    return bytes(row[0])


def is_shared(connection: Connection, space: Space) -> bool:
    """Whether another device was ever admitted to it, or invited, or a hub keeps it. `local` never is."""
    row = connection.row(
        "SELECT listen IS NOT NULL OR (SELECT count(*) FROM member WHERE member.space = space.n) > 1 FROM space WHERE n = ?",
        (space.n,),
    )
    return space.name != LOCAL and row is not None and (bool(row[0]) or bool(hubs(connection, space)))


def shared_spaces(connection: Connection) -> list[Space]:
    """The spaces that other devices are in too, or were invited to, or that a hub keeps, oldest first."""
    return [space for space in spaces(connection) if is_shared(connection, space)]


def members(connection: Connection, space: Space) -> list[Member]:
    """Everyone who was ever admitted to a space: its founder first, then in the order in which they came."""
    first = records.device_id(founder(connection, space))
    rows = connection.rows(
        "SELECT device.n, device.id, coalesce(nullif(member.name, ''), device.name), device.public_key, member.box_key, "
        "member.revoked, device.private_key IS NOT NULL, member.admitted "
        "FROM member JOIN device ON device.n = member.device WHERE member.space = ?",
        (space.n,),
    )
    own_box = boxes.public_key(box_private_key(connection))
    found = [
        Member(
            device=Device(n, id, name),
            public_key=public,
            box_key=own_box if own else box,
            revoked=bool(revoked),
            own=bool(own),
            admitted_ms=admitted,
        )
        for n, id, name, public, box, revoked, own, admitted in rows
    ]
    return sorted(found, key=lambda member: (member.device.id != first, member.admitted_ms, member.device.id))


# Secrets --------------------------------------------------------------------------------------------------------------


def secrets(connection: Connection, space: Space) -> list[Secret]:
    """The secrets of a space that this device knows: the current one, then those before it, the newest first."""
    rows = connection.rows(
        "SELECT key_id, epoch, secret FROM secret WHERE space = ? ORDER BY counts DESC, epoch DESC, hlc DESC, record DESC, key_id",
        (space.n,),
    )
    return [Secret(*row) for row in rows]


def keep_secret(connection: Connection, space: Space, secret: Secret) -> None:
    """Note a secret of a space; one that is known already stays as it is. But for the founding one, it is none of those to
    seal under until a `rekey` that counts names it.
    """
    connection.run(
        "INSERT OR IGNORE INTO secret (space, key_id, epoch, secret, counts) VALUES (?, ?, ?, ?, ?)",
        (space.n, secret.key_id, secret.epoch, secret.secret, secret.epoch == 0),
    )


# Hubs -----------------------------------------------------------------------------------------------------------------


def hubs(connection: Connection, space: Space) -> list[Hub]:
    """The hubs of a space, by name: without those that were retired, and those whose device is no member any more."""
    found = roster_fold.hubs(_counted(connection, space))
    if not found:
        return []
    belonging = {member.device.id for member in members(connection, space) if not member.revoked}
    return [hub for hub in found if not hub.retired and (hub.blind or hub.device in belonging)]


def _counted(connection: Connection, space: Space) -> Iterator[Record]:
    """The records of a space that name no memory and count; one that is damaged is left out, for `verify` to name."""
    rows = connection.rows(
        "SELECT CAST(record.header AS BLOB), CAST(record.signature AS BLOB), CAST(record.body AS BLOB), record.hash FROM record "
        "JOIN log ON log.n = record.log JOIN member ON member.space = log.space AND member.device = log.device "
        "WHERE record.memory = '' AND log.space = ? AND NOT record.cut ORDER BY record.n",
        (space.n,),
    )
    for header, signature, body, hash in rows:
        with suppress(RecordRefused):
            record = records.read(header, signature, body)
            if record.hash == hash and record.body_is_whole():
                yield record


# Where the devices are ------------------------------------------------------------------------------------------------


def listening(connection: Connection, space: Space) -> Listening | None:
    """Where this device listens for a space; None before anybody was invited to it."""
    row = connection.row("SELECT port, listen FROM space WHERE n = ? AND listen IS NOT NULL", (space.n,))
    return Listening(*row) if row is not None else None


def set_listening(connection: Connection, space: Space, port: int, address: str) -> None:
    """From now on this device listens for the devices of a space at *port* of *address*."""
    connection.run("UPDATE space SET port = ?, listen = ? WHERE n = ?", (port, address, space.n))


def stop_listening(connection: Connection, space: Space) -> None:
    """From now on this device does not listen for the devices of a space."""
    connection.run("UPDATE space SET port = NULL, listen = NULL WHERE n = ?", (space.n,))


def addresses(connection: Connection, space: Space, device_id: bytes) -> list[str]:
    """Where a device may be reached, host:port: what the user set, then what was heard last."""
    rows = connection.rows(
        "SELECT address FROM address WHERE space = ? AND device = ? ORDER BY source <> 'set', heard DESC, address",
        (space.n, device_id),
    )
    return [address for (address,) in rows]


def set_address(connection: Connection, space: Space, device_id: bytes, address: str, source: str) -> None:
    """Note where a device may be reached; *source* is "set" for what the user said, and "heard" for the rest, of which
    the latest few are kept.
    """
    connection.run(
        "INSERT INTO address (space, device, address, source, heard) "
        "VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(heard), 0) + 1 FROM address)) ON CONFLICT DO UPDATE SET "
        "heard = excluded.heard, source = CASE source WHEN 'set' THEN 'set' ELSE excluded.source END",
        (space.n, device_id, address, source),
    )
    connection.run(
        "DELETE FROM address WHERE space = ?1 AND device = ?2 AND source <> 'set' AND address NOT IN (SELECT address FROM "
        "address WHERE space = ?1 AND device = ?2 AND source <> 'set' ORDER BY heard DESC LIMIT ?3)",
        (space.n, device_id, limits.ADDRESSES_HEARD_MAX),
    )
