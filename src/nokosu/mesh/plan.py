"""What a space's transport is opened with, as the store has it now: where to listen, whom to call, what to show and trust."""

from __future__ import annotations

import socket

from msgspec import Struct

from nokosu import limits
from nokosu.mesh import addresses
from nokosu.mesh.trust import Trust, Truster
from nokosu.store import roster, vectors
from nokosu.store.connection import Database
from nokosu.store.roster import Listening, Space
from nokosu.store.sqlite import Connection

Heard = list[tuple[bytes, str]]
"""Devices, and addresses that they announced and that were not noted yet."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a transport is opened with. `own` is this device; `endpoints` are the addresses of each other one, and `hubs`
    those of each blind hub, by its Zenoh id: a reading hub is a device like the others.
    """

    own: bytes
    listening: Listening | None
    endpoints: dict[bytes, tuple[str, ...]]
    hubs: dict[str, tuple[str, ...]] = {}
    trust: Trust
    is_revoked: bool

    def moved(self, since: Plan) -> set[bytes]:
        """The devices of which this plan has an address that the one before had not."""
        return {device for device, known in self.endpoints.items() if set(known) - set(since.endpoints.get(device, ()))}

    def hubs_moved(self, since: Plan) -> set[str]:
        """The blind hubs of which this plan has an address that the one before had not."""
        return {zid for zid, known in self.hubs.items() if set(known) - set(since.hubs.get(zid, ()))}

    def dialled(self) -> tuple[str, ...]:
        """The addresses to call: one of each hub and device before a second of any."""
        everybody = [*self.hubs.values(), *self.endpoints.values()]
        most = max(map(len, everybody), default=0)
        found = [known[at] for at in range(most) for known in everybody if at < len(known)]
        return tuple(dict.fromkeys(found))[: limits.ADDRESSES_DIALLED_MAX]

    def listened(self) -> tuple[str, ...]:
        """The addresses to listen at."""
        return (listened(self.listening),) if self.listening is not None else ()


def listened(where: Listening) -> str:
    """The address to listen at, as a carrier takes it."""
    host = where.address
    if host in addresses.ANYWHERE:
        host = "::" if _speaks_ipv6() else "0.0.0.0"  # noqa: S104 - the person's word, by `invite`
    return addresses.shown(host, where.port)


def read(database: Database, space: Space, truster: Truster, now_ms: int) -> Plan:
    """Read the plan; where the devices are by what they announced is noted in passing, for when they are not heard."""
    with database.reading() as connection:
        plan, heard = _plan(connection, space, truster, now_ms)
    if heard:
        with database.write() as connection:
            for device, address in heard:
                roster.set_address(connection, space, device, address, "heard")
    return plan


def _plan(connection: Connection, space: Space, truster: Truster, now_ms: int) -> tuple[Plan, Heard]:
    members = roster.members(connection, space)
    hubs = roster.hubs(connection, space)
    at_hubs = {hub.device: list(filter(addresses.is_address, hub.addresses)) for hub in hubs if not hub.blind}
    announced = {one.device: one.announcement.addresses for one in vectors.known(connection, space)}
    endpoints: dict[bytes, tuple[str, ...]] = {}
    heard: Heard = []
    for device in (member.device.id for member in members if not member.own and not member.revoked):
        known = roster.addresses(connection, space, device)
        told = list(filter(addresses.is_address, announced.get(device, ())))
        noted = told[: limits.ADDRESSES_HEARD_MAX]
        if not set(noted) <= set(known):
            heard += [(device, address) for address in reversed(noted)]  # its first one is to be tried first
        whole = dict.fromkeys([*filter(addresses.is_address, known), *at_hubs.get(device, ()), *told])
        endpoints[device] = tuple(whole)[: limits.ADDRESSES_PER_DEVICE_MAX]
    plan = Plan(
        own=roster.own_device(connection).id,
        listening=roster.listening(connection, space),
        endpoints=endpoints,
        hubs={hub.zid: tuple(filter(addresses.is_address, hub.addresses)) for hub in hubs if hub.blind},
        trust=truster.now(connection, space, now_ms),
        is_revoked=any(member.own and member.revoked for member in members),
    )
    return plan, heard


def _speaks_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::", 0))
    except OSError:
        return False
    return True
