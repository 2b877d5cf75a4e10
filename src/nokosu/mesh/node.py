"""The node: the process that carries the records of this home's shared spaces, one runner for each.

It holds the home's lock, watches the store for what others write, answers the control socket, and notices spaces that are
shared from now on or not any more. It ends within two seconds of being told to, whatever Zenoh does.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from threading import Condition, Event, Thread
from types import FrameType
from typing import Any, Final

import msgspec

from nokosu import __version__, clock, ids, node_process
from nokosu.config import Config
from nokosu.errors import MeshError, NokosuError, NotFound, StoreError
from nokosu.mesh import watch
from nokosu.mesh.control import Request, Server
from nokosu.mesh.exchange import PeerState
from nokosu.mesh.runner import SpaceRunner
from nokosu.mesh.session import Means, Report
from nokosu.mesh.transport import Settings, Transport
from nokosu.mesh.watch import Watch
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.node_process import Lock, Running
from nokosu.store import moving, roster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log

_LOOK_SECONDS: Final = 60.0  # the spaces are looked at again, though nobody has written
_LOOK_SECONDS_MIN: Final = 1.0
_WATCH_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = tuple(0.003 * 2**step for step in range(11))  # a commit is seen so long after its bytes
_END_SECONDS: Final = 1.6  # of the two that a person waits at most
_STATUS_SECONDS: Final = 1.5
_SYNC_SECONDS_MAX: Final = 3600.0
_BEGIN_SECONDS: Final = 3.0  # a space that was shared a moment ago has a runner by then
_SWITCH_SECONDS: Final = 0.001  # a callback waits no longer than this for a thread that computes
_DENIED: Final = frozenset({errno.EPERM, errno.EACCES})

logger = logging.getLogger(__name__)


class Node:
    """All shared spaces of one home, until it is told to stop. Use one in a process, in its main thread."""

    def __init__(
        self,
        config: Config,
        lock: Lock,
        *,
        wall_clock: clock.WallClock = clock.system_wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        random: ids.Random = os.urandom,
        open_transport: Callable[[Settings], Transport] = ZenohTransport,
        version: str = __version__,
    ) -> None:
        """Take the home's lock, which stays the caller's. The others are for tests: time, randomness, what carries the
        traffic, and which nokosu this is.
        """
        self._config = config
        self._lock = lock
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._random = random
        self._open_transport = open_transport
        self._version = version
        self._started = wall_clock()
        self._runners: dict[bytes, SpaceRunner] = {}
        self._woken = Event()
        self._changed = Condition()  # there are other runners
        self._is_stopping = False
        self._is_stale = True
        self._has_successor = False
        self._error = ""

    def run(self) -> None:
        """Carry records until a signal or a request ends it; a request to restart replaces this process and does not return.

        Raises:
            NotFound: there is no store yet.
            MeshError: this process may neither listen nor call, so another one should be the node.
            StoreError: the store cannot be opened at all.
        """
        if not self._config.database.exists():
            raise NotFound("nothing is saved yet, so there is nothing to share", hint="nokosu save TEXT; nokosu invite")
        sys.setswitchinterval(_SWITCH_SECONDS)
        database = Database(self._config.database)
        try:
            _check_network(database)
            means = self._means()
            server = Server(means.sockets / f"{means.name}.control", self._handlers())
            try:
                self._describe(server)
                self._heed_signals()
                Thread(target=self._watch, name="nokosu-watch", daemon=True).start()
                logger.info("node %s started, process %d", self._version, os.getpid())
                self._supervise(database, means)
            finally:
                server.close()
                self._end_all()
        finally:
            database.close()
        if self._has_successor:
            self._hand_over()

    def stop(self) -> None:
        """Begin to end; from any thread, or a signal."""
        self._is_stopping = True
        self._woken.set()

    # The main thread --------------------------------------------------------------------------------------------------

    def _supervise(self, database: Database, means: Means) -> None:
        log = Log(database, Index(), wall_clock=self._wall_clock, random=self._random)
        looked_at = -_LOOK_SECONDS
        while not self._is_stopping:
            self._woken.clear()
            now = self._monotonic()
            if now >= looked_at + (_LOOK_SECONDS_MIN if self._is_stale else _LOOK_SECONDS):
                self._is_stale, looked_at = False, now
                if self._is_orphaned():
                    logger.warning("the home is gone, or another node's")
                    return
                self._look(database, log, means)
            pause = _LOOK_SECONDS_MIN if self._is_stale else _LOOK_SECONDS
            self._woken.wait(max(looked_at + pause - self._monotonic(), 0.0))

    def _look(self, database: Database, log: Log, means: Means) -> None:
        """Start and end runners as the store has it now, and go on with what an interrupted join has left."""
        try:
            with database.reading() as connection:
                shared = {space.id: space for space in roster.shared_spaces(connection)}
            while not self._is_stopping and moving.move_some(database, log):
                self._is_stale = True
        except StoreError as error:
            if error.message != self._error:
                logger.warning("the store: %s", error.message)
            self._error, self._is_stale = error.message, True
            return
        self._error = ""
        for id, runner in list(self._runners.items()):
            if shared.get(id) != runner.space:  # left, or renamed
                logger.info("space %s ends", id.hex())
                runner.stop()
                runner.ended(_END_SECONDS)
                del self._runners[id]
        for id, space in shared.items():
            if id not in self._runners:
                logger.info("space %s begins", id.hex())
                self._runners[id] = SpaceRunner(space, means)
                self._runners[id].start()
        with self._changed:
            self._changed.notify_all()

    def _end_all(self) -> None:
        until = self._monotonic() + _END_SECONDS
        runners = list(self._runners.values())
        for runner in runners:
            runner.stop()
        have_ended = [runner.ended(max(until - self._monotonic(), 0.0)) for runner in runners]
        if not all(have_ended):
            logger.warning("a connection did not close in time; the end of the process closes it")
        logger.info("node ended")

    def _hand_over(self) -> None:
        """Go on as the version that is installed now, in the same process and with the same lock."""
        command, environment = node_process.command(), node_process.environment(self._config)
        logger.info("making way for another version")
        self._lock.describe(Running())
        os.set_inheritable(self._lock.descriptor, True)
        try:
            os.execve(command[0], [*command, "--lock", str(self._lock.descriptor)], environment)  # noqa: S606 - no shell
        except OSError as error:
            raise MeshError(f"{command[0]} cannot be run ({error.strerror})", hint="nokosu node start") from error

    def _is_orphaned(self) -> bool:
        with suppress(OSError):
            mine, there = os.fstat(self._lock.descriptor), (self._config.home / node_process.LOCK_NAME).stat()
            return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino) or not self._config.database.exists()
        return True

    def _means(self) -> Means:
        return Means(
            database=self._config.database,
            sockets=node_process.socket_folder(self._config),
            name=node_process.short_name(self._config.home),
            version=self._version,
            open_transport=self._open_transport,
            wall_clock=self._wall_clock,
            monotonic=self._monotonic,
            random=self._random,
        )

    def _describe(self, server: Server) -> None:
        self._lock.describe(
            Running(pid=os.getpid(), version=self._version, started=self._started, socket=str(server.path))
        )

    def _heed_signals(self) -> None:
        def handler(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    # The watching thread ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Tell everybody when the store was written."""
        while not self._is_stopping:
            watched = watch.watch(self._config.database)
            try:
                self._watch_with(watched)
            except OSError as error:
                logger.warning("the store cannot be watched (%s)", error.strerror)
                time.sleep(1.0)
            finally:
                watched.close()

    def _watch_with(self, watched: Watch) -> None:
        """The bytes of a record are written before its commit lets anybody see it, so after a write the store is looked at
        at once, and then a few times more.
        """
        again: tuple[float, ...] = ()
        while not self._is_stopping:
            if watched.wait(again[0] if again else _WATCH_SECONDS):
                again = _LOOK_AGAIN_SECONDS
            elif again:
                again = again[1:]
            else:
                continue
            self._is_stale = True
            self._woken.set()
            for runner in list(self._runners.values()):
                runner.store_changed()

    # Requests, each in a thread of its own ----------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Callable[[Request], Mapping[str, Any]]]:
        return {"status": self._status, "sync": self._sync, "stop": self._stop, "restart": self._restart}

    def _status(self, _: Request) -> Mapping[str, Any]:
        until = self._monotonic() + _STATUS_SECONDS
        runners = list(self._runners.values())
        return {
            "pid": os.getpid(),
            "version": self._version,
            "started": self._started,
            "home": str(self._config.home),
            "error": self._error,
            "spaces": [_space(runner, runner.report(max(until - self._monotonic(), 0.0))) for runner in runners],
        }

    def _sync(self, request: Request) -> Mapping[str, Any]:
        seconds = min(max(float(request.get("seconds", 0)), 0.0), _SYNC_SECONDS_MAX)
        until = self._monotonic() + seconds
        wanted = request.get("space") or None
        self._is_stale = True
        self._woken.set()
        runners = self._runners_of(wanted, min(seconds, _BEGIN_SECONDS))
        for runner in runners:
            runner.ask_all()
        reports = [runner.sync(max(until - self._monotonic(), 0.0)) for runner in runners]
        return {
            "done": all(peer.equal for report in reports for peer in report.peers if peer.reachable),
            "spaces": [
                {"name": runner.space.name, "error": runner.error, "devices": _devices(report)}
                for runner, report in zip(runners, reports, strict=True)
            ],
        }

    def _runners_of(self, name: str | None, seconds: float) -> list[SpaceRunner]:
        """The runner of that space, or all; one that is shared since a moment ago is waited for."""

        def found() -> list[SpaceRunner]:
            return [runner for runner in list(self._runners.values()) if name in (None, runner.space.name)]

        with self._changed:
            self._changed.wait_for(found, seconds)
        return found()

    def _stop(self, _: Request) -> Mapping[str, Any]:
        self.stop()
        return {"pid": os.getpid()}

    def _restart(self, request: Request) -> Mapping[str, Any]:
        """Make way for a newer version: the one that has been installed in this one's place, else whichever its caller starts
        next. What is run is never the caller's to say: it may be an agent that is locked in, and this node is not.
        """
        self._has_successor = _installed_version() not in ("", self._version)
        return self._stop(request)


def _installed_version() -> str:
    """Which nokosu the interpreter of this process would load now; empty when it is not an installed one."""
    try:
        return metadata.version("nokosu")
    except metadata.PackageNotFoundError:
        return ""


def run(config: Config, *, lock: int | None = None, **more: Any) -> bool:
    """Be the node of *config*'s home until told to stop; False when another process is. *lock* is the descriptor of a lock
    that whoever started this process has taken for it.

    Raises:
        NokosuError: see `Node.run`; or the home may not be written.
    """
    try:
        held = node_process.inherited(config.home, lock) if lock is not None else node_process.acquire(config.home)
    except FileNotFoundError:
        raise NotFound("nothing is saved yet, so there is nothing to share", hint="nokosu save TEXT") from None
    except OSError as error:
        raise MeshError(
            f"{config.home} may not be written by this process ({error.strerror})", hint="nokosu doctor"
        ) from error
    if held is None:
        return False
    last_words = None
    try:
        Node(config, held, **more).run()
    except NokosuError as error:
        last_words = Running(started=clock.system_wall_clock(), failed=error.message)
        raise
    finally:
        held.release(last_words)
    return True


# What the control socket tells ----------------------------------------------------------------------------------------


def _space(runner: SpaceRunner, report: Report) -> dict[str, Any]:
    here = runner.listening
    return {
        "name": runner.space.name,
        "id": runner.space.id.hex(),
        "port": here.port if here is not None else None,
        "address": here.address if here is not None else "",
        "addresses": list(runner.addresses),
        "queue": sum(peer.behind for peer in report.peers if peer.reachable),
        "error": runner.error,
        "links": [list(link) for link in report.links],
        "peers": [_peer(peer, report) for peer in _shown(report)],
    }


def _shown(report: Report) -> list[PeerState]:
    """The nodes worth telling: of each device those that are reachable, or else the last one."""
    found: list[PeerState] = []
    for device in report.names:
        nodes = [peer for peer in report.peers if peer.device == device]
        found += [peer for peer in nodes if peer.reachable] or nodes[-1:]
    return found


def _peer(peer: PeerState, report: Report) -> dict[str, Any]:
    """A peer's fields, under the name that the space has for it."""
    return {
        **msgspec.structs.asdict(peer),
        "device": peer.device.hex(),
        "name": report.names.get(peer.device) or peer.name,
    }


def _devices(report: Report) -> list[dict[str, Any]]:
    """Every other device of a space, whether it was reached, and how far it is."""
    by_device = {peer.device: _peer(peer, report) for peer in _shown(report)}
    nobody = {"reachable": False, "equal": False, "missing": 0, "behind": 0, "seen_ms": None}
    fields = ("device", "name", *nobody)
    return [
        {name: {"device": device.hex(), "name": known, **nobody, **by_device.get(device, {})}[name] for name in fields}
        for device, known in report.names.items()
    ]


# Preflight ------------------------------------------------------------------------------------------------------------


def _check_network(database: Database) -> None:
    """See that this process may listen or call: in an agent's sandbox it often may not, and then another should.

    Raises:
        MeshError: it may neither.
    """
    reason = _denied(_try_to_listen) and _denied(_try_to_call)
    if not reason and not _has_interfaces() and not _uses_loopback(database):
        reason = "no network but the loopback"
    if reason:
        message = f"this process may not use the network (an agent's sandbox?): {reason}"
        raise MeshError(message, hint="nokosu node start, in a terminal")


def _denied(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except OSError as error:
        return error.strerror or str(error) if error.errno in _DENIED else ""
    return ""


def _try_to_listen() -> None:
    with socket.socket(socket.AF_INET) as tried:
        tried.bind(("127.0.0.1", 0))
        tried.listen(1)


def _try_to_call() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.connect(("192.0.2.1", 9))  # an address for documentation; connecting a datagram socket sends nothing


def _has_interfaces() -> bool:
    try:
        return any(not name.startswith("lo") for _, name in socket.if_nameindex())
    except OSError:
        return True  # not known


def _uses_loopback(database: Database) -> bool:
    """Whether some device of ours is on this very machine, as in a test."""
    with database.reading() as connection:
        rows = connection.rows("SELECT listen FROM space WHERE listen IS NOT NULL UNION SELECT address FROM address")
    return any(str(address).startswith(("127.", "[::1]", "localhost:")) for (address,) in rows)
