"""The node: the process that carries the records of this home's shared spaces, one runner for each.

It holds the home's lock, watches the store for what others write, answers the control socket, and notices spaces that are
shared from now on or not any more. It ends within two seconds of being told to, whatever Zenoh does.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from threading import Condition, Thread
from typing import Any, Final

import msgspec

from nokosu import node_process
from nokosu.config import EMBEDDED, ZENOHD, Config
from nokosu.errors import MeshError, NokosuError, NotFound, StoreError
from nokosu.mesh import preflight, supervisor, watch
from nokosu.mesh.blind import BlindNode
from nokosu.mesh.control import Request
from nokosu.mesh.life import Life
from nokosu.mesh.peer_state import PeerState
from nokosu.mesh.runner import SpaceRunner
from nokosu.mesh.session import Means, Report
from nokosu.mesh.watch import Watch
from nokosu.mesh.world import World
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

_REAL: Final = World()

logger = logging.getLogger(__name__)


class Node:
    """All shared spaces of one home, until it is told to stop. Use one in a process, in its main thread."""

    def __init__(self, config: Config, lock: Lock, world: World) -> None:
        """Take the home's lock, which stays the caller's."""
        self._config, self._world = config, world
        self._wall_clock, self._monotonic = world.wall_clock, world.monotonic
        self._life = Life(config, lock, config.database, version=world.version, wall_clock=world.wall_clock)
        self._runners: dict[bytes, SpaceRunner] = {}
        self._changed = Condition()  # there are other runners
        self._is_stale = True
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
            preflight.check(uses_loopback=partial(_uses_loopback, database))
            try:
                with self._life.serving(self._handlers()):
                    Thread(target=self._watch, name="nokosu-watch", daemon=True).start()
                    self._supervise(database, self._means())
            finally:
                self._end_all()
        finally:
            database.close()
        self._life.hand_over()

    # The main thread --------------------------------------------------------------------------------------------------

    def _supervise(self, database: Database, means: Means) -> None:
        log = Log(database, Index(), wall_clock=self._wall_clock, random=self._world.random)
        looked_at = -_LOOK_SECONDS
        while not self._life.is_stopping:
            self._life.woken.clear()
            now = self._monotonic()
            if now >= looked_at + (_LOOK_SECONDS_MIN if self._is_stale else _LOOK_SECONDS):
                self._is_stale, looked_at = False, now
                if self._life.is_orphaned():
                    logger.warning("the home is gone, or another node's")
                    return
                self._look(database, log, means)
            pause = _LOOK_SECONDS_MIN if self._is_stale else _LOOK_SECONDS
            self._life.woken.wait(max(looked_at + pause - self._monotonic(), 0.0))

    def _look(self, database: Database, log: Log, means: Means) -> None:
        """Start and end runners as the store has it now, and go on with what an interrupted join has left."""
        try:
            with database.reading() as connection:
                shared = {space.id: space for space in roster.shared_spaces(connection)}
            while not self._life.is_stopping and moving.move_some(database, log):
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

    def _means(self) -> Means:
        return Means(
            database=self._config.database,
            sockets=node_process.socket_folder(self._config),
            name=node_process.short_name(self._config.home),
            version=self._life.version,
            open_transport=self._world.open_transport,
            wall_clock=self._wall_clock,
            monotonic=self._monotonic,
            random=self._world.random,
            engine=self._world.engine_means(self._config) if self._config.engine == ZENOHD else None,
        )

    # The watching thread ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Tell everybody when the store was written."""
        said = ""
        while not self._life.is_stopping:
            try:
                watched = watch.watch(self._config.database)
                try:
                    with closing(Database(self._config.database)) as database:
                        self._watch_with(watched, database)
                finally:
                    watched.close()
            except (OSError, StoreError) as error:
                if str(error) != said:
                    logger.warning("the store cannot be watched (%s)", error)
                said = str(error)
                self._tell_runners()
                time.sleep(1.0)

    def _watch_with(self, watched: Watch, database: Database) -> None:
        """The bytes of a record are written before its commit lets anybody see it, so after a write it is asked at once,
        and then a few times more, whether there was a commit.
        """
        again: tuple[float, ...] = ()
        told = 0
        while not self._life.is_stopping:
            if watched.wait(again[0] if again else _WATCH_SECONDS):
                again = _LOOK_AGAIN_SECONDS
            elif again:
                again = again[1:]
            else:
                continue
            seen = database.generation()
            if seen != told:
                told = seen
                self._tell_runners()

    def _tell_runners(self) -> None:
        self._is_stale = True
        self._life.woken.set()
        for runner in list(self._runners.values()):
            runner.store_changed()

    # Requests, each in a thread of its own ----------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Callable[[Request], Mapping[str, Any]]]:
        return {"status": self._status, "sync": self._sync}

    def _status(self, _: Request) -> Mapping[str, Any]:
        until = self._monotonic() + _STATUS_SECONDS
        runners = list(self._runners.values())
        return {
            **self._life.described(),
            "error": self._error,
            "spaces": [_space(runner, runner.report(max(until - self._monotonic(), 0.0))) for runner in runners],
        }

    def _sync(self, request: Request) -> Mapping[str, Any]:
        seconds = min(max(float(request.get("seconds", 0)), 0.0), _SYNC_SECONDS_MAX)
        until = self._monotonic() + seconds
        wanted = request.get("space") or None
        self._is_stale = True
        self._life.woken.set()
        runners = self._runners_of(wanted, min(seconds, _BEGIN_SECONDS))
        for runner in runners:
            runner.ask_all()
        reports = [runner.sync(max(until - self._monotonic(), 0.0)) for runner in runners]
        return {
            "done": all(peer.equal for report in reports for peer in report.peers if peer.reachable)
            and not any(hub["lacking"] != 0 for report in reports for hub in _hubs(report) if hub["reachable"]),
            "spaces": [
                {
                    "name": runner.space.name,
                    "error": runner.error,
                    "devices": _devices(report),
                    "hubs": _hubs(report),
                }
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


def run(config: Config, *, lock: int | None = None, world: World = _REAL) -> bool:
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
        (BlindNode if config.is_blind_hub else Node)(config, held, world).run()
    except NokosuError as error:
        last_words = Running(started=world.wall_clock(), failed=error.message)
        raise
    finally:
        held.release(last_words)
    return True


# What the control socket tells ----------------------------------------------------------------------------------------


def _space(runner: SpaceRunner, report: Report) -> dict[str, Any]:
    here, engine = runner.listening, runner.engine()
    return {
        "name": runner.space.name,
        "id": runner.space.id.hex(),
        "port": here.port if here is not None else None,
        "address": here.address if here is not None else "",
        "addresses": list(runner.addresses),
        "queue": sum(peer.behind for peer in report.peers if peer.reachable),
        "error": runner.error,
        "links": [list(link) for link in (engine.connected if engine is not None else report.links)],
        "peers": [_peer(peer, report) for peer in _shown(report)],
        "engine": ZENOHD if runner.has_engine else EMBEDDED,
        "zenohd": supervisor.told(engine),
        "storages": _storages(report, runner.zid),
    }


def _storages(report: Report, own: str) -> list[dict[str, Any]]:
    """The storages that were heard of, and the hubs of the roster that were not; our own first."""
    known = {state.zid: state for state in report.storages}
    nothing = {
        "version": "",
        "fingerprint": "",
        "reachable": False,
        "lacking": None,
        "pending": (),
        "seen_ms": None,
        "problem": "",
    }
    found = []
    for zid in dict.fromkeys([own, *report.hubs, *known]):
        if zid not in known and zid not in report.hubs:
            continue
        told = {**nothing, **(msgspec.structs.asdict(known[zid]) if zid in known else {})}
        found.append(
            {**told, "zid": zid, "name": report.hubs.get(zid, ""), "pending": len(told["pending"]), "own": zid == own}
        )
    return found


def _hubs(report: Report) -> list[dict[str, Any]]:
    """Those storages that a sync waits for: a zenohd beside another device is that device's affair."""
    return [one for one in _storages(report, "") if one["zid"] in report.hubs]


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


def _uses_loopback(database: Database) -> bool:
    """Whether some device of ours is on this very machine, as in a test."""
    with database.reading() as connection:
        rows = connection.rows("SELECT listen FROM space WHERE listen IS NOT NULL UNION SELECT address FROM address")
    return any(str(address).startswith(("127.", "[::1]", "localhost:")) for (address,) in rows)
