"""What doctor finds outside the store, in the test's hand: a node that sees whom the test says, addresses that answer."""

from __future__ import annotations

from nokosu.doctor.mesh import Outside
from nokosu.doctor.node import Node, Peer
from nokosu.testing import NEW_YEAR_MS, Store
from nokosu.testing import Peer as Device

VERSION = "1.0"


def answers(host: str, port: int, seconds: float) -> None:
    """Something listens everywhere."""


def nobody(host: str, port: int, seconds: float) -> None:
    """Nothing listens anywhere."""
    raise ConnectionRefusedError(111, "Connection refused")


def node_of(store: Store, *devices: Device, offset_ms: int | None = 0) -> Node:
    """A node that runs, and is connected to *devices* in the personal space."""
    peers = tuple(Peer(device=one.device, reachable=True, clock_offset_ms=offset_ms) for one in devices)
    return Node(running=True, answers=True, wanted=VERSION, version=VERSION, peers={store.personal.id: peers})


def outside_of(store: Store, *devices: Device, node: Node | None = None, now_ms: int = NEW_YEAR_MS) -> Outside:
    """All is well, and *devices* are connected."""
    return Outside(
        node=node or node_of(store, *devices),
        connect=answers,
        own_hosts=["192.168.1.5"],
        wall_clock=lambda: now_ms,
    )
