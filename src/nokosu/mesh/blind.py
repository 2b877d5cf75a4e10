"""The node of a blind hub: one zenohd for one space that this machine carries and cannot read.

There is no store, no secret and no exchange here: what the hub lacks, the devices push, and what they lack, they fetch. All
it does is to keep zenohd running with what its pairing gave it (`hub.json`), and to see who is there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from nokosu import ids, limits, node_process
from nokosu.config import HUB_NAME, Config
from nokosu.errors import MeshError, NotFound
from nokosu.mesh import addresses, hubs, keys, plan, preflight, supervisor
from nokosu.mesh.control import Request
from nokosu.mesh.hubs import BlindHub
from nokosu.mesh.life import Life
from nokosu.mesh.supervisor import Supervisor
from nokosu.mesh.transport import Settings, Transport
from nokosu.mesh.world import World
from nokosu.node_process import Lock
from nokosu.store.roster import Listening

_LOOK_SECONDS: Final = 2.0
_LOOPBACK: Final = ("127.", "::1", "localhost")

logger = logging.getLogger(__name__)


class BlindNode:
    """See above. Use one in a process, in its main thread."""

    def __init__(self, config: Config, lock: Lock, world: World) -> None:
        """As for `node.Node`."""
        self._config, self._wall_clock, self._monotonic = config, world.wall_clock, world.monotonic
        self._life = Life(config, lock, config.home / HUB_NAME, version=world.version, wall_clock=world.wall_clock)
        self._means = world.engine_means(config)
        self._hub = _load(config)
        self._supervisor = self._supervisor_of(self._hub)
        self._here: set[tuple[bytes, str]] = set()
        self._error = ""

    def run(self) -> None:
        """Carry the space until a signal or a request ends it; a request to restart replaces this process and does not
        return.

        Raises:
            MeshError: this process may neither listen nor call, so another one should be the node.
        """
        preflight.check(uses_loopback=lambda: self._hub.address.startswith(_LOOPBACK))
        with self._life.serving({"status": self._status, "sync": self._sync}):
            try:
                self._supervise()
            finally:
                logger.info("node ended")
        self._life.hand_over()

    # The main thread --------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Have zenohd run; after a fault, again, after a pause that grows."""
        pause = limits.FAULT_SECONDS_MIN
        while not self._life.is_stopping:
            began = self._monotonic()
            try:
                self._run_once()
                pause = limits.FAULT_SECONDS_MIN
            except NotFound:
                return  # it is no hub any more
            except MeshError as error:
                self._fail(error.message)
                if self._monotonic() - began > limits.FAULT_SECONDS_MAX:
                    pause = limits.FAULT_SECONDS_MIN
                self._pause(pause)
                pause = min(pause * 2, limits.FAULT_SECONDS_MAX)

    def _run_once(self) -> None:
        """One zenohd, from its start until another is needed, or the end."""
        hub, now = _load(self._config), self._wall_clock()
        if (hub.space, hub.zid) != (self._hub.space, self._hub.zid):
            self._supervisor = self._supervisor_of(hub)
        self._hub = hub
        transport = self._supervisor.open(self._settings(hub, now))
        try:
            transport.watch(f"{keys.space(hub.space)}/here/**", self._appeared, self._vanished)
            self._serve(transport, hub, hub.changes_at(now))
        finally:
            self._here = set()
            self._supervisor.close()

    def _serve(self, transport: Transport, hub: BlindHub, until_ms: int | None) -> None:
        while not self._life.is_stopping:
            self._life.woken.clear()
            if self._life.is_orphaned():
                logger.warning("the home is gone, or another node's")
                self._life.stop()
                return
            self._supervisor.check()
            transport.look()
            if self._error and self._is_ready():
                logger.info("it works again")
                self._error = ""
            if _load(self._config) != hub or (until_ms is not None and self._wall_clock() >= until_ms):
                return
            self._life.woken.wait(_LOOK_SECONDS)

    def _is_ready(self) -> bool:
        state = self._supervisor.state()
        return state is not None and state.ready

    def _settings(self, hub: BlindHub, now_ms: int) -> Settings:
        return Settings(
            tls=hub.tls(now_ms),
            listen=(plan.listened(Listening(hub.port, hub.address)),),
            connect=hub.peers,
            sockets=node_process.socket_folder(self._config),
            name=f"{node_process.short_name(self._config.home)}-{hub.space.hex()[:10]}",
        )

    def _supervisor_of(self, hub: BlindHub) -> Supervisor:
        return Supervisor(hub.space, self._means, zid=hub.zid)

    def _pause(self, seconds: float) -> None:
        until = self._monotonic() + seconds
        while not self._life.is_stopping and (left := until - self._monotonic()) > 0:
            self._life.woken.wait(left)
            self._life.woken.clear()

    def _fail(self, message: str) -> None:
        if message != self._error:
            logger.warning("%s", message)
        self._error = message

    # The transport's threads ------------------------------------------------------------------------------------------

    def _appeared(self, key: str) -> None:
        found = keys.parse_here(key)
        if found is not None:
            self._here = self._here | {found[1:]}

    def _vanished(self, key: str) -> None:
        found = keys.parse_here(key)
        if found is not None:
            self._here = self._here - {found[1:]}

    # Requests, each in a thread of its own ----------------------------------------------------------------------------

    def _status(self, _: Request) -> Mapping[str, Any]:
        hub, state = self._hub, self._supervisor.state()
        listening = Listening(hub.port, hub.address)
        space = {
            "name": hub.name,
            "id": hub.space.hex(),
            "port": hub.port if state is not None else None,
            "address": hub.address if state is not None else "",
            "addresses": list(addresses.reachable(listening.address, listening.port)),
            "queue": 0,
            "error": self._error,
            "links": [list(link) for link in state.connected] if state is not None else [],
            "peers": [],
            "engine": "zenohd",
            "zenohd": supervisor.told(state),
            "storages": [],
            "devices": sorted({ids.grouped(device) for device, _ in self._here}),
        }
        return {**self._life.described(), "error": "", "blind": True, "spaces": [space]}

    def _sync(self, _: Request) -> Mapping[str, Any]:
        """A blind hub compares nothing: the devices do."""
        return {"done": True, "spaces": []}


def _load(config: Config) -> BlindHub:
    hub = hubs.load(config.home)
    if hub is None:
        raise NotFound("this home is no hub", hint="nokosu hub init --blind")
    return hub
