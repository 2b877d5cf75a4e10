"""The devices of the spaces that this one shares: listed, named by people, renamed and revoked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from nokosu import delivery, ids
from nokosu.errors import NotFound, Refused, UsageError
from nokosu.mesh import addresses
from nokosu.mesh.joining import Store
from nokosu.store import membership, roster
from nokosu.store.roster import Member, Space
from nokosu.store.roster_fold import clean_name
from nokosu.store.sqlite import Connection


class DeviceRow(Struct, frozen=True, kw_only=True):
    """A device of a space, as a listing shows it. `behind` counts our records that it lacks; `reachable` and
    `clock_offset_ms` are known while the node runs. `namesake`: another one of the space has the same name.
    """

    space: str
    name: str
    id: str
    this: bool
    revoked: bool
    last_seen: str | None
    behind: int
    version: str
    addresses: tuple[str, ...]
    namesake: bool
    reachable: bool | None = None
    clock_offset_ms: int | None = None


class Named(Struct, frozen=True):
    """A device that a person named, and where it is a member: with each space, its entry in the roster."""

    id: bytes
    name: str
    places: tuple[tuple[Space, Member], ...]


def shared(connection: Connection, name: str | None = None) -> list[Space]:
    """The spaces that are shared, or the one of that *name*.

    Raises:
        NotFound: there is none of that name.
    """
    return [roster.space_named(connection, name)] if name is not None else roster.shared_spaces(connection)


def listed(connection: Connection, spaces: Sequence[Space], version: str) -> list[DeviceRow]:
    """The devices of some spaces, this one with its *version*, from what they have announced."""
    rows = []
    for space in spaces:
        known = delivery.devices(connection, space, version)
        names = [one.name for one in known if not one.revoked]
        for one, member in zip(known, roster.members(connection, space), strict=True):
            rows.append(
                DeviceRow(
                    space=space.name,
                    name=one.name,
                    id=one.id,
                    this=one.this,
                    revoked=one.revoked,
                    last_seen=one.last_seen,
                    behind=one.behind,
                    version=one.version,
                    addresses=_addresses(connection, space, member),
                    namesake=names.count(one.name) > 1,
                )
            )
    return rows


def named(connection: Connection, text: str, spaces: Sequence[Space]) -> Named:
    """The device that a person means by its name, or by its id or a unique beginning of it.

    Raises:
        NotFound: none is called so. Refused: several are.
    """
    places: dict[bytes, list[tuple[Space, Member]]] = {}
    for space in spaces:
        for member in roster.members(connection, space):
            places.setdefault(member.device.id, []).append((space, member))
    found = _matching(places, lambda member: not member.revoked and member.device.name.casefold() == text.casefold())
    prefix = ids.binary_id_prefix(text)
    if not found and prefix is not None:
        found = _matching(places, lambda member: ids.grouped(member.device.id).replace("-", "").startswith(prefix))
    if not found:
        names = sorted({member.device.name for held in places.values() for _, member in held if not member.revoked})
        message = f"device: none is called {text[:60]!a} (there are: {', '.join(names) or 'none yet'})"
        raise NotFound(message, hint="nokosu devices", field="device")
    if len(found) > 1:
        several = ", ".join(ids.grouped(id)[:9] for id in found)
        raise Refused(f"device: {len(found)} devices are meant by {text!a}: say {several}", field="device")
    held = places[found[0]]
    return Named(found[0], held[0][1].device.name, tuple(held))


def rename(store: Store, device: Named, name: str) -> int:
    """Give a device another name in every space that it is a member of; in how many.

    Raises:
        UsageError: it cannot be a name.
        Refused: the device was revoked, or gave no keys.
    """
    if not name or clean_name(name) != name:
        raise UsageError(f"name: {name[:60]!a} cannot be a name: one short line", field="name")
    places = [(space, member) for space, member in device.places if not member.revoked]
    if not places:
        raise Refused(f"device: {device.name} was revoked", field="device")
    with store.database.write() as connection:
        for space, member in places:
            if member.own:
                membership.admit_self(store.log, connection, space, name)
            elif member.box_key is None:
                raise Refused(f"device: {device.name} has not been heard of yet", field="device")
            else:
                membership.admit(
                    store.log, connection, space, public_key=member.public_key, box_key=member.box_key, name=name
                )
    store.log.settle()
    return len(places)


class Revoked(Struct, frozen=True):
    """What a revocation did: the spaces it is about, and the devices that still have to hear of it."""

    name: str
    spaces: tuple[str, ...]
    to_hear: tuple[str, ...]


def revocable(device: Named) -> list[Space]:
    """The spaces that a device can be revoked from.

    Raises:
        Refused: it is this device, or revoked already.
    """
    if any(member.own for _, member in device.places):
        hint = "nokosu revoke, on another device; to leave no trace here, remove the home"
        raise Refused("device: this one cannot revoke itself", hint=hint, field="device")
    spaces = [space for space, member in device.places if not member.revoked]
    if not spaces:
        raise Refused(f"device: {device.name} is revoked already", field="device")
    return spaces


def revoke(store: Store, device: Named) -> Revoked:
    """End a device in the spaces that it was named in: what it wrote until now stays, what it writes later counts nowhere,
    and the others get a new secret.
    """
    spaces = revocable(device)
    to_hear: dict[str, None] = {}
    with store.database.write() as connection:
        for space in spaces:
            membership.revoke(store.log, connection, space, device.id, store.random)
            for member in roster.members(connection, space):
                if not member.own and not member.revoked:
                    to_hear[member.device.name] = None
    store.log.settle()
    return Revoked(device.name, tuple(space.name for space in spaces), tuple(to_hear))


def set_address(store: Store, device: Named, address: str) -> str:
    """Have this device's node call another one at *address* before all others that it knows; the address as it is kept.

    Raises:
        UsageError: it is no address. Refused: it is this device.
    """
    if any(member.own for _, member in device.places):
        raise Refused("device: this one is not called by itself", hint="nokosu invite --listen ADDRESS", field="device")
    parsed = str(addresses.parse(address))
    with store.database.write() as connection:
        for space, _ in device.places:
            roster.set_address(connection, space, device.id, parsed, "set")
    return parsed


def _matching(places: dict[bytes, list[tuple[Space, Member]]], matches: Callable[[Member], bool]) -> list[bytes]:
    return [id for id, held in places.items() if any(matches(member) for _, member in held)]


def _addresses(connection: Connection, space: Space, member: Member) -> tuple[str, ...]:
    if not member.own:
        return tuple(roster.addresses(connection, space, member.device.id))
    listening = roster.listening(connection, space)
    return addresses.reachable(listening.address, listening.port) if listening is not None else ()
