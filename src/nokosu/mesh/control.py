"""The control socket of a node: how commands on this machine ask it what it sees, and what they may tell it to do.

One line of JSON each way, and the connection is over. Imports neither Zenoh
nor anything that does. What a request is called here is what the node's handlers are called: `status`, `sync`, `stop`,
`restart`.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from nokosu import limits, node_process
from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.local_server import LocalServer

Request = Mapping[str, Any]
Handler = Callable[[Request], Mapping[str, Any]]

_ASK_SECONDS: Final = 3.0

logger = logging.getLogger(__name__)


# The node's side ------------------------------------------------------------------------------------------------------


class Server:
    """Answers requests."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        """Listen at *path*.

        Raises:
            MeshError: this process may not open a socket there.
        """
        self.path = path
        self._handlers = handlers
        try:
            self._server = LocalServer(path, self._serve, name="nokosu-control")
        except OSError as error:
            raise MeshError(
                f"no socket can be made at {path} ({error.strerror})", hint=f"ls -ld {path.parent}"
            ) from error

    def close(self) -> None:
        """Listen no more; what is being answered is still answered, if the process lives so long."""
        self._server.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as incoming:
            answer = self._answer(incoming.readline(limits.CONTROL_BYTES_MAX))
        connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            handler = self._handlers[request["do"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"failed": "not a request that this version knows"}
        try:
            return handler(request)
        except Exception as error:
            logger.exception("request failed: %s", request["do"])
            return {"failed": f"{type(error).__name__}: {error}"}


# A command's side -----------------------------------------------------------------------------------------------------


def status(config: Config) -> dict[str, Any] | None:
    """What the running node says of itself; None when none runs.

    `pid`, `version`, `started` (milliseconds since 1970), and `spaces`, each with `name`, `id`, `port`, `address`,
    `addresses`, `queue`, `error`, `links`, `peers`, `engine`, `zenohd` (the fields of `supervisor.EngineState`, None while it
    does not run) and `storages`. A peer has the fields of `peer_state.PeerState`, its ids in hex; a storage those of
    `storages.StorageState`, `pending` as a number, its `name` in the roster, and whether it is our `own`. A blind hub's node
    says `blind` as well, and of its space the `devices` that are connected.

    Raises:
        MeshError: it does not answer.
    """
    found = _described(config)
    if found is None:
        return None
    return node_process.ask(found, {"do": "status"}, seconds=_ASK_SECONDS)


def sync(config: Config, seconds: float, space: str = "") -> dict[str, Any] | None:
    """Have the node compare with every device, and wait up to *seconds* until all that it reaches hold the same; None when
    no node runs.

    `done` says whether it is so; `spaces` has for each, or for the one that is named, its `name` and `devices`: `device`,
    `name`, `reachable`, `equal`, `missing` (here), `behind` (there) and `seen_ms`; and its `hubs`, as in `status` the
    `storages`.

    Raises:
        MeshError: it does not answer.
    """
    found = _described(config)
    if found is None:
        return None
    request = {"do": "sync", "seconds": seconds, "space": space}
    return node_process.ask(found, request, seconds=seconds + _ASK_SECONDS)


def _described(config: Config) -> node_process.Running | None:
    """The node, once it can be asked: it may be starting just now."""
    until = time.monotonic() + _ASK_SECONDS
    while (found := node_process.running(config.home)) is not None:
        if (found.socket and Path(found.socket).exists()) or time.monotonic() > until:
            return found
        time.sleep(0.02)
    return None
