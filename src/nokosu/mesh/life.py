"""This process as the node of a home, whatever it carries: its lock, its signals, its control socket, and its end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

from nokosu import clock, node_process
from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.mesh.control import Request, Server
from nokosu.node_process import Lock, Running

Handler = Callable[[Request], Mapping[str, Any]]

logger = logging.getLogger(__name__)


class Life:
    """One of them, from its beginning until it is told to end. Use one in a process, in its main thread."""

    def __init__(self, config: Config, lock: Lock, essence: Path, *, version: str, wall_clock: clock.WallClock) -> None:
        """Take the home's lock, which stays the caller's. *essence* is the file without which there is nothing to carry."""
        self.woken = Event()
        self.is_stopping = False
        self.started = wall_clock()
        self.version = version
        self._config, self._lock, self._essence = config, lock, essence
        self._has_successor = False

    def stop(self) -> None:
        """Begin to end; from any thread, or a signal."""
        self.is_stopping = True
        self.woken.set()

    @contextmanager
    def serving(self, handlers: Mapping[str, Handler]) -> Iterator[None]:
        """Answer *handlers*' requests, and those to end, while the block lasts."""
        own = {"stop": self._stop, "restart": self._restart}
        path = node_process.socket_folder(self._config) / f"{node_process.short_name(self._config.home)}.control"
        server = Server(path, {**own, **handlers})
        try:
            self._lock.describe(
                Running(pid=os.getpid(), version=self.version, started=self.started, socket=str(server.path))
            )
            self._heed_signals()
            logger.info("node %s started, process %d", self.version, os.getpid())
            yield
        finally:
            server.close()

    def described(self) -> dict[str, Any]:
        """What a status begins with."""
        return {
            "pid": os.getpid(),
            "version": self.version,
            "started": self.started,
            "home": str(self._config.home),
        }

    def is_orphaned(self) -> bool:
        """Whether the home is gone, or another node's, or there is nothing to carry any more."""
        with suppress(OSError):
            mine, there = os.fstat(self._lock.descriptor), (self._config.home / node_process.LOCK_NAME).stat()
            return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino) or not self._essence.exists()
        return True

    def hand_over(self) -> None:
        """If it was asked to, go on as the version that is installed now, in the same process and with the same lock.

        Raises:
            MeshError: that version cannot be run.
        """
        if not self._has_successor:
            return
        command, environment = node_process.command(), node_process.environment(self._config)
        logger.info("making way for another version")
        self._lock.describe(Running())
        os.set_inheritable(self._lock.descriptor, True)
        try:
            os.execve(command[0], [*command, "--lock", str(self._lock.descriptor)], environment)  # noqa: S606 - no shell
        except OSError as error:
            raise MeshError(f"{command[0]} cannot be run ({error.strerror})", hint="nokosu node start") from error

    def _heed_signals(self) -> None:
        def handler(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _stop(self, _: Request) -> Mapping[str, Any]:
        self.stop()
        return {"pid": os.getpid()}

    def _restart(self, request: Request) -> Mapping[str, Any]:
        """Make way for a newer version: the one that has been installed in this one's place, else whichever its caller starts
        next. What is run is never the caller's to say: it may be an agent that is locked in, and this node is not.
        """
        self._has_successor = _installed_version() not in ("", self.version)
        return self._stop(request)


def _installed_version() -> str:
    """Which nokosu the interpreter of this process would load now; empty when it is not an installed one."""
    try:
        return metadata.version("nokosu")
    except metadata.PackageNotFoundError:
        return ""
