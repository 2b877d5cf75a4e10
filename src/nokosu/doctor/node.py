"""What the checks of the mesh ask the node: does it run, does it answer, and whom does it see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from nokosu import __version__, overview
from nokosu.config import Config
from nokosu.doctor import engine
from nokosu.doctor.engine import Space
from nokosu.errors import MeshError
from nokosu.mesh import control


class Peer(Struct, frozen=True, kw_only=True):
    """A node of another device, as this one's node sees it."""

    device: bytes
    reachable: bool
    clock_offset_ms: int | None = None


class Node(Struct, frozen=True, kw_only=True):
    """This device's node. Where it does not run, `why` and `hint` say more; `wanted` is the version of whoever asks.

    `peers` and `errors` are by the space's id; `spaces` is what it tells of each one's zenohd and storages.
    """

    running: bool
    wanted: str
    why: str = ""
    hint: str = ""
    answers: bool = False
    version: str = ""
    peers: Mapping[bytes, tuple[Peer, ...]] = {}
    errors: Mapping[bytes, str] = {}
    spaces: tuple[Space, ...] = ()


def asked(config: Config) -> Node:
    """Ask it; takes a few seconds at most."""
    found = overview.of_node(config)
    if not found.running:
        return Node(running=False, wanted=__version__, why=found.why, hint=found.hint)
    try:
        said = control.status(config)
    except MeshError:
        said = None
    if said is None:
        return Node(running=True, wanted=__version__, version=found.version)
    spaces = {bytes.fromhex(space["id"]): space for space in said["spaces"]}
    return Node(
        running=True,
        wanted=__version__,
        answers=True,
        version=said["version"],
        peers={id: tuple(map(_peer, space["peers"])) for id, space in spaces.items()},
        errors={id: space["error"] for id, space in spaces.items() if space["error"]},
        spaces=engine.spaces(said),
    )


def _peer(said: Mapping[str, Any]) -> Peer:
    return Peer(
        device=bytes.fromhex(said["device"]), reachable=said["reachable"], clock_offset_ms=said["clock_offset_ms"]
    )
