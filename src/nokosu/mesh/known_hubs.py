"""The hubs of the spaces that this device is in: listed, named by people, found elsewhere, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from nokosu import limits
from nokosu.errors import NotFound, Refused, UsageError
from nokosu.mesh import addresses
from nokosu.mesh.joining import Store
from nokosu.records import Hub
from nokosu.store import membership, roster
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection


class HubRow(Struct, frozen=True, kw_only=True):
    """A hub of a space, as a listing shows it. `this` is this device; `current` is false for a blind one that was paired
    under an older secret and has to be paired again. While the node runs, `reached` says whether it is connected, `lacking`
    how many records are not proven to lie there, and `problem` what is wrong with it.
    """

    space: str
    name: str
    zid: str
    blind: bool
    this: bool
    addresses: tuple[str, ...]
    current: bool
    namesake: bool
    reached: bool | None = None
    lacking: int | None = None
    problem: str = ""


def listed(connection: Connection, spaces: Iterable[Space]) -> list[HubRow]:
    """The hubs of some spaces, by name."""
    return [row for space in spaces for row in _of_space(connection, space)]


def _of_space(connection: Connection, space: Space) -> list[HubRow]:
    own, found = roster.own_device(connection).id, roster.hubs(connection, space)
    names = [hub.name for hub in found]
    return [
        HubRow(
            space=space.name,
            name=hub.name,
            zid=hub.zid,
            blind=hub.blind,
            this=hub.device == own,
            addresses=hub.addresses,
            current=is_current(connection, space, hub),
            namesake=names.count(hub.name) > 1,
        )
        for hub in found
    ]


def is_current(connection: Connection, space: Space, hub: Hub) -> bool:
    """Whether a hub's certificate is of the secret that the space has now; a reading hub makes its own."""
    return not hub.blind or hub.key_id == roster.secrets(connection, space)[0].key_id


def of_this_device(connection: Connection) -> list[tuple[Space, Hub]]:
    """The spaces of which this device is a hub."""
    own = roster.own_device(connection).id
    spaces = roster.shared_spaces(connection)
    return [(space, hub) for space in spaces for hub in roster.hubs(connection, space) if hub.device == own]


def named(connection: Connection, text: str, spaces: Sequence[Space]) -> tuple[Space, Hub]:
    """The hub that a person means by its name, or by a beginning of its Zenoh id.

    Raises:
        NotFound: none is called so. Refused: several are.
    """
    known = [(space, hub) for space in spaces for hub in roster.hubs(connection, space)]
    found = [one for one in known if one[1].name.casefold() == text.casefold()]
    if not found and len(text) >= limits.ID_PREFIX_CHARS_MIN:
        found = [one for one in known if one[1].zid.startswith(text.casefold())]
    if not found:
        names = ", ".join(sorted({hub.name for _, hub in known})) or "none yet"
        raise NotFound(f"hub: none is called {text[:60]!a} (there are: {names})", hint="nokosu hub list", field="hub")
    if len(found) > 1:
        several = ", ".join(f"{hub.zid[:8]} in {space.name}" for space, hub in found)
        hint = "say a beginning of its id, or --space NAME"
        raise Refused(f"hub: {len(found)} are meant by {text!a}: {several}", hint=hint, field="hub")
    return found[0]


def set_addresses(store: Store, space: Space, hub: Hub, given: Sequence[str]) -> tuple[str, ...]:
    """Have every device call a hub at *given*, each HOST:PORT, and nowhere else; the addresses as they are kept.

    Raises:
        UsageError: one is no address, or there are more than a hub may have.
    """
    if len(given) > limits.ADDRESSES_MAX:
        raise UsageError(f"address: {len(given)} are more than {limits.ADDRESSES_MAX}", field="address")
    found = tuple(dict.fromkeys(str(addresses.parse(one)) for one in given))
    with store.database.write() as connection:
        membership.set_hub(store.log, connection, space, msgspec.structs.replace(hub, addresses=found))
    return found


def remove(store: Store, space: Space, hub: Hub) -> None:
    """Have no device call a hub any more."""
    with store.database.write() as connection:
        membership.set_hub(store.log, connection, space, msgspec.structs.replace(hub, retired=True))
