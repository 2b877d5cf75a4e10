"""Who: this device, the spaces it is in, and the devices whose records count in each."""

from __future__ import annotations

from msgspec import Struct

from nokosu import ids, records
from nokosu.errors import NotFound, StoreDamaged
from nokosu.identity.keys import SigningKey
from nokosu.store.sqlite import Connection

PERSONAL = "personal"
LOCAL = "local"
PRIVATE_KEY_BYTES = 32
SECRET_BYTES = 32


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


def found(connection: Connection, *, device_name: str, random: ids.Random) -> None:
    """Make this device's key, and the spaces `personal` and `local` with it as their only member."""
    private = random(PRIVATE_KEY_BYTES)
    own = add_device(connection, SigningKey(private).public, device_name, private)
    for name in (PERSONAL, LOCAL):
        space = add_space(connection, random(ids.BINARY_ID_BYTES), name, random(SECRET_BYTES))
        admit(connection, space, own)


def add_device(connection: Connection, public: bytes, name: str, private: bytes | None = None) -> Device:
    """Note a device; only this machine's own has a private key."""
    id = records.device_id(public)
    connection.run(
        "INSERT INTO device (id, public_key, private_key, name) VALUES (?, ?, ?, ?)", (id, public, private, name)
    )
    return Device(connection.last_insert_rowid(), id, name)


def add_space(connection: Connection, id: bytes, name: str, secret: bytes) -> Space:
    """Note a space and its secret."""
    connection.run("INSERT INTO space (id, name, secret) VALUES (?, ?, ?)", (id, name, secret))
    return Space(connection.last_insert_rowid(), id, name)


def admit(connection: Connection, space: Space, device: Device) -> None:
    """From now on the records of *device* count in *space*."""
    connection.run("INSERT OR IGNORE INTO member (space, device) VALUES (?, ?)", (space.n, device.n))


def own_device(connection: Connection) -> Device:
    """This machine's device."""
    row = connection.row("SELECT n, id, name FROM device WHERE private_key IS NOT NULL ORDER BY n")
    if row is None:
        raise StoreDamaged("the store holds no device key", hint="restore a backup")
    return Device(*row)


def signing_key(connection: Connection) -> SigningKey:
    """The private key of this machine's device."""
    row = connection.row("SELECT private_key FROM device WHERE private_key IS NOT NULL ORDER BY n")
    if row is None:
        raise StoreDamaged("the store holds no device key", hint="restore a backup")
    return SigningKey(row[0])


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
