"""The zenohd of one space: started for a transport, watched while that stands, and ended with it.

The node's own sessions are clients of it. It counts as serving its two storages, and is announced to the others, only
after a probe that was written below `vec/ready/` has been read back from this very storage: a storage that is still
catching up with the others, or that could not be made, answers nothing. Until then live traffic goes through it already.

Nothing falls back to the embedded Zenoh. What is wrong is raised, for whoever opens again, after a pause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import msgspec
from msgspec import Struct

from nokosu import clock, ids, limits
from nokosu.engine import replication, sockets
from nokosu.engine.located import Engine
from nokosu.engine.process import Zenohd
from nokosu.engine.settings import EngineSettings
from nokosu.engine.silence import Silence
from nokosu.errors import MeshError
from nokosu.mesh import engine_home, keys
from nokosu.mesh.transport import Answer, Settings, Transport

_ENDING_SECONDS: Final = 0.5
_PROBE_BYTES: Final = 16
_PROBE_BYTES_MAX: Final = limits.ENGINE_MESSAGE_BYTES_MAX
_PROBE_ANSWER_SECONDS: Final = 2.0
_PROBE_AGAIN_SECONDS_MIN: Final = 0.02
_PROBE_AGAIN_SECONDS_MAX: Final = 2.0
_PROBE_READY_SECONDS: Final = 60.0  # RocksDB takes nothing more after a disk was full, until it is opened again
_PROBE_FAILING_SECONDS: Final = 20.0
_READY_SECONDS_MAX: Final = 30.0
_PROBE_FAILURES_MAX: Final = 3  # one that aligns many records may be slow

logger = logging.getLogger(__name__)


class EngineMeans(Struct, frozen=True, kw_only=True):
    """What the zenohds of a home are run with. `find` says which zenohd it is, each time anew."""

    home: Path
    find: Callable[[], Engine]
    open_transport: Callable[[Settings], Transport]
    wall_clock: clock.WallClock
    random: ids.Random


class EngineState(Struct, frozen=True, kw_only=True):
    """A zenohd that runs: its process, its version, bytes of memory and on disk, since when in milliseconds since 1970, how
    often it failed and was started again since the node began, and whether its storages answer; where the system tells,
    where it listens and both ends of its connections.
    """

    zid: str
    pid: int
    version: str
    rss: int
    disk: int
    since: int
    restarts: int
    ready: bool
    listening: tuple[str, ...] = ()
    connected: tuple[tuple[str, str], ...] = ()


class Supervisor:
    """See above. Used by one thread; `state` may be asked by any."""

    def __init__(self, space: bytes, means: EngineMeans, *, zid: str = "") -> None:
        """Nothing is started yet. *zid* is the id that it is to have, if that is known already."""
        self.zid = zid
        self._space, self._means = space, means
        self._engine: Engine | None = None
        self._zenohd: Zenohd | None = None
        self._transport: Transport | None = None
        self._probe: _Probe | None = None
        self._silence: Silence | None = None
        self._since = 0
        self._ready_until = 0.0
        self._restarts = 0
        self._has_failed = False

    def open(self, settings: Settings) -> Transport:
        """Start a zenohd with the addresses and certificates of *settings*, and connect to it.

        Raises:
            MeshError: there is none, or it does not start; says why.
        """
        engine = self._means.find()
        zid = self.zid or engine_home.zid(self._means.home, self._space, self._means.random)
        socket = settings.sockets / f"{settings.name}.zenoh"
        zenohd = Zenohd.start(
            engine,
            EngineSettings(
                space=self._space,
                zid=zid,
                roots=settings.tls.roots,
                certificate=settings.tls.certificate,
                key=settings.tls.key,
                listen=settings.listen,
                connect=settings.connect,
                socket=socket,
                folder=engine_home.made(self._means.home, self._space),
            ),
            wait_seconds=limits.ENGINE_START_SECONDS_MAX,
        )
        try:
            transport = self._means.open_transport(msgspec.structs.replace(settings, engine=socket))
        except BaseException:
            zenohd.stop()
            raise
        logger.info("space %s: zenohd %s, process %d", self._space.hex(), engine.version, zenohd.pid)
        fingerprint = replication.FINGERPRINT
        token = keys.hub(self._space, engine.version, fingerprint, zid)
        self.zid, self._engine, self._zenohd, self._transport = zid, engine, zenohd, transport
        self._since = self._means.wall_clock()
        self._silence = Silence(zenohd.pid)
        self._probe = _Probe(transport, keys.ready(self._space, zid), zid, self._means.random, token)
        self._ready_until = time.monotonic() + _READY_SECONDS_MAX
        self._probe.start()
        return transport

    def check(self) -> None:
        """See that it still runs, and that no connection of its outlives whoever was at its other end.

        Raises:
            MeshError: it has ended, or has cut us off.
        """
        zenohd, transport = self._zenohd, self._transport
        if zenohd is None or transport is None:
            return
        if self._silence is not None:
            self._silence.look()
        probe = self._probe
        if probe is not None and not probe.is_ready and time.monotonic() >= self._ready_until:
            # A storage that is empty asks the others for all they have before it takes anything, and waits ten minutes for
            # an answer that was lost. What it was given by then it keeps, and does not ask again when it is started anew.
            self._has_failed = True
            raise MeshError("zenohd's storages do not answer", hint="nokosu node logs")
        is_stuck = probe is not None and probe.failures >= _PROBE_FAILURES_MAX
        if zenohd.is_alive() and transport.is_alive() and not is_stuck:
            return
        self._has_failed = True
        if is_stuck:
            said = zenohd.last_words() or "is its disk full?"
            raise MeshError(f"zenohd's storages take nothing any more: {said}", hint="nokosu doctor")
        if _has_ended(zenohd):
            raise MeshError(f"zenohd has ended: {zenohd.last_words() or 'it said nothing'}", hint="nokosu node logs")
        raise MeshError("zenohd runs, and does not answer", hint="nokosu node logs")

    def close(self) -> bool:
        """End it, and the transport with it; False when something would not end."""
        probe, transport, zenohd = self._probe, self._transport, self._zenohd
        self._probe = self._transport = self._zenohd = None
        if probe is not None:
            probe.stop()
        has_closed = transport.close() if transport is not None else True
        if zenohd is not None:
            self._restarts += self._has_failed or not zenohd.is_alive()
            self._has_failed = False
            zenohd.stop()
        return has_closed

    def state(self) -> EngineState | None:
        """What there is to tell of it; None while it does not run."""
        engine, zenohd, probe = self._engine, self._zenohd, self._probe
        if engine is None or zenohd is None or probe is None:
            return None
        found = sockets.of_process(zenohd.pid)
        return EngineState(
            zid=self.zid,
            pid=zenohd.pid,
            version=engine.version,
            rss=zenohd.rss_bytes(),
            disk=zenohd.disk_bytes(),
            since=self._since,
            restarts=self._restarts,
            ready=probe.is_ready,
            listening=found.listening,
            connected=found.connected,
        )


def _has_ended(zenohd: Zenohd) -> bool:
    """Whether it is over: its connections end a moment before the system tells of its process."""
    until = time.monotonic() + _ENDING_SECONDS
    while zenohd.is_alive():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


class _Probe:
    """Writes a few bytes that were never there before, until the storage beside us gives them back; then declares the
    token, and does the same now and then. A thread of its own: a storage that fetches everything from the others first
    may take minutes.
    """

    def __init__(self, transport: Transport, key: str, zid: str, random: ids.Random, token: str) -> None:
        self.is_ready = False
        self.failures = 0  # in a row, since it was ready
        self._transport, self._key, self._zid, self._token = transport, key, zid, token
        self._random, self._payload = random, random(_PROBE_BYTES)
        self._is_over = Event()
        self._thread = Thread(target=self._run, name="nokosu-ready", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin to end; a question that is on its way ends with the transport."""
        self._is_over.set()

    def _run(self) -> None:
        pause = _PROBE_AGAIN_SECONDS_MIN
        try:
            while not self._is_over.is_set():
                if self._is_stored():
                    self._transport.declare(self._token)
                    self.is_ready = True
                    break
                self._is_over.wait(pause)
                pause = min(pause * 2, _PROBE_AGAIN_SECONDS_MAX)
            while not self._is_over.wait(_PROBE_FAILING_SECONDS if self.failures else _PROBE_READY_SECONDS):
                self._payload = self._random(_PROBE_BYTES)
                self.failures = 0 if self._is_stored() else self.failures + 1
        except MeshError as error:  # the transport was closed meanwhile; whoever uses it is told as well
            logger.info("the storage was not asked any more: %s", error.message)

    def _is_stored(self) -> bool:
        """Whether the storage holds what was written; if not, write it, later than whatever it holds."""
        found = self._read()
        if any(answer.payload == self._payload for answer in found):
            return True
        self._transport.put(self._key, self._payload, later_than=max((one.stamp or 0 for one in found), default=0))
        return any(answer.payload == self._payload for answer in self._read())

    def _read(self) -> list[Answer]:
        """What our own storage answers: another one's has all keys of the space as well."""
        found: list[Answer] = []
        has_ended = Event()

        def arrived(answer: Answer) -> None:
            if answer.replier == self._zid:
                found.append(answer)

        def ended(_: bool) -> None:
            has_ended.set()

        self._transport.get(self._key, arrived, ended, seconds=_PROBE_ANSWER_SECONDS, bytes_max=_PROBE_BYTES_MAX)
        has_ended.wait(_PROBE_ANSWER_SECONDS * 2)
        return found


def told(state: EngineState | None) -> dict[str, Any] | None:
    """The same for a status; None while it does not run."""
    return msgspec.structs.asdict(state) if state is not None else None
