"""What the commands of the mesh do after their own work: finish what moves, see that a node runs, wait a little for it."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import msgspec

from nokosu import __version__, clock, ids, limits, node_process
from nokosu.cli import output
from nokosu.cli.layout import counted
from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.mesh import control, joining, storage_words
from nokosu.mesh.devices import DeviceRow
from nokosu.mesh.joining import Store
from nokosu.nokosu import Nokosu
from nokosu.store import moving
from nokosu.store.roster import Space

_LOOK_EVERY_S: Final = 0.1
_TELL_EVERY_S: Final = 2.0


def store_of(memory: Nokosu) -> Store:
    """The store of *memory*, as the mesh's own code takes it; made if there is none yet."""
    return Store(*memory.store(), random=os.urandom, version=__version__)


def move_all(store: Store) -> None:
    """Move what a join has begun to move, to its end."""
    while moving.move_some(store.database, store.log):
        pass


def start_node(memory: Nokosu) -> None:
    """See that the node runs, or say why it does not."""
    config = memory.config
    node_process.start_if_needed(config, memory.store()[0])
    if config.starts_node and node_process.is_stopped(config):
        output.note("Note: the node was stopped here, so nothing is sent or received: nokosu node start")


def first_sync(store: Store, config: Config, space: Space) -> None:
    """Wait for the memories of a space that was just joined, until the node says that all are here, or for a little while.

    It tells how many there are so far. Whatever is left comes by itself, after Ctrl-C too.
    """
    try:
        is_complete = _wait(store, config, space)
    except KeyboardInterrupt:
        is_complete = False
    if not is_complete:
        output.note("Not everything has arrived yet; the rest comes by itself: nokosu devices")


def _wait(store: Store, config: Config, space: Space) -> bool:
    """Whether everything was here in time; also where no node runs to wait for."""
    until = time.monotonic() + limits.FIRST_SYNC_SECONDS
    tell = time.monotonic() + _TELL_EVERY_S
    while node_process.is_running(config) and not _is_complete(config, space):
        now = time.monotonic()
        if now >= until:
            return False
        if now >= tell:
            tell = now + _TELL_EVERY_S
            with store.database.reading() as connection:
                here = joining.memories_of(connection, space)
            output.note(f"Fetching: {counted(here, 'memory', 'memories')} so far ...")
        time.sleep(_LOOK_EVERY_S)  # the node answers questions; it has no way to call back
    return True


def with_node(config: Config, rows: list[DeviceRow]) -> list[DeviceRow]:
    """The same rows, with what only the running node knows: who is connected, and whose clock is off."""
    peers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for space in _spaces(config):
        for peer in space["peers"]:
            peers.setdefault((space["name"], _grouped(peer["device"])), []).append(peer)
    return [_with_peers(row, peers.get((row.space, row.id), [])) for row in rows]


def _with_peers(row: DeviceRow, peers: list[dict[str, Any]]) -> DeviceRow:
    """A row with what the node knows of the device's nodes: there are two where its home was copied."""
    if not peers:
        return row
    offsets = [peer["clock_offset_ms"] for peer in peers if peer["clock_offset_ms"] is not None]
    return msgspec.structs.replace(
        row,
        reachable=any(peer["reachable"] for peer in peers),
        clock_offset_ms=max(offsets, key=abs) if offsets else None,
    )


def storages(config: Config) -> dict[str, list[str]]:
    """How far each storage is that the node knows of, in words, by the name of its space; nothing when no node runs."""
    now_ms = clock.system_wall_clock()
    return {
        str(space["name"]): [storage_words.told(one, now_ms) for one in space.get("storages", ())]
        for space in _spaces(config)
    }


def _is_complete(config: Config, space: Space) -> bool:
    """Whether the node is connected to another device of a space, and lacks nothing of what any such one has announced."""
    peers = [
        peer for one in _spaces(config) if one["id"] == space.id.hex() for peer in one["peers"] if peer["reachable"]
    ]
    return bool(peers) and all(peer["seen_ms"] is not None and not peer["missing"] for peer in peers)


def _spaces(config: Config) -> list[dict[str, Any]]:
    """What the node says of each space; nothing when none runs, or it cannot be asked yet."""
    try:
        status = control.status(config)
    except MeshError:
        return []
    return list(status["spaces"]) if status is not None else []


def _grouped(device: str) -> str:
    return ids.grouped(bytes.fromhex(device))
