"""A space on a node: one thread that opens what is needed to carry it, works, and opens anew when something has changed.

A transport cannot change its certificates, its port or whom it calls, so one that has the wrong ones is closed and another
opened. A fault, of the store or of the network, is said once, and after a pause everything is opened anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event, Thread
from typing import Final

import msgspec

from nokosu import clock, limits
from nokosu.errors import MeshError, NokosuError, StoreError
from nokosu.mesh import addresses, certificates, plan, trust
from nokosu.mesh.exchange import Exchange
from nokosu.mesh.plan import Plan
from nokosu.mesh.session import Means, Report, Session
from nokosu.mesh.supervisor import EngineState, Supervisor
from nokosu.mesh.transport import Settings, Transport
from nokosu.mesh.trust import Truster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log
from nokosu.store.roster import Listening, Space

_PLAN_SECONDS_MIN: Final = 1.0  # the plan is not read again sooner, however much is written
_PLAN_SECONDS: Final = 60.0
_LISTEN_AGAIN_SECONDS_MIN: Final = 4.0  # our own last transport may still be closing: Zenoh takes ten seconds at worst
_LISTEN_AGAIN_SECONDS_MAX: Final = 60.0
_LONELY_SECONDS: Final = 30.0  # nobody is reached while secrets change: try the other certificate,
_MISSING_SECONDS: Final = 600.0  # and this often where only somebody is missing
_CONNECTING_SECONDS: Final = 6.0  # others may still be connecting: the longest pause between two calls, and the way
_CONNECTING_ALONE_SECONDS: Final = 15.0  # the same on a machine that is busy, as long as nobody at all is reached
_SLEPT_SECONDS: Final = 20.0  # the clocks disagree by so much: this machine was suspended

logger = logging.getLogger(__name__)


class SpaceRunner:
    """Runs one space until it is stopped."""

    def __init__(self, space: Space, means: Means) -> None:
        self.space = space
        self.error = ""
        self.listening: Listening | None = None
        self.addresses: tuple[str, ...] = ()
        self._means = means
        self._engine = Supervisor(space.id, means.engine) if means.engine is not None else None
        self._is_stopping = False
        self._is_stale = False  # the store was written: the plan may have changed
        self._has_closed = True
        self._cannot_listen = False
        self._listen_again = _LISTEN_AGAIN_SECONDS_MIN
        self._split_again = limits.SPLIT_AGAIN_SECONDS_MIN
        self._wake = Event()
        self._exchange: Exchange | None = None
        self._opened_at = 0.0
        self._is_flipped = False
        self._truster = Truster(means.monotonic)
        self._told = Condition()
        self._report = Report()
        self._wanted = self._given = 0
        self._thread = Thread(target=self._run, name=f"nokosu-{space.name}", daemon=True)

    # From any thread --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def store_changed(self) -> None:
        """Somebody may have written to the store."""
        self._is_stale = True
        exchange = self._exchange
        if exchange is not None:
            exchange.store_changed()
        self._wake.set()

    def ask_all(self) -> None:
        """Compare with everybody now."""
        exchange = self._exchange
        if exchange is not None:
            exchange.ask_all()
            self._wake.set()

    def stop(self) -> None:
        """Begin to end; `ended` waits for it."""
        self._is_stopping = True
        self._wake.set()

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, and closed all that it had opened."""
        self._thread.join(seconds)
        return not self._thread.is_alive() and self._has_closed

    @property
    def has_engine(self) -> bool:
        """Whether it goes through a zenohd."""
        return self._engine is not None

    @property
    def zid(self) -> str:
        """The id of its zenohd; empty without one, or before its first start."""
        return self._engine.zid if self._engine is not None else ""

    def engine(self) -> EngineState | None:
        """The space's zenohd; None without one, or while it does not run."""
        return self._engine.state() if self._engine is not None else None

    def report(self, seconds: float) -> Report:
        """What the space looks like after another round of work, or at the last one when there is none in time."""
        with self._told:
            self._wanted += 1
            number = self._wanted
            self._wake.set()
            self._told.wait_for(lambda: self._given >= number, seconds)
            return self._report

    def sync(self, seconds: float) -> Report:
        """After `ask_all`, wait until all that are reached hold the same; the last that was seen."""
        until = self._means.monotonic() + seconds
        while True:
            left = max(until - self._means.monotonic(), 0.0)
            report = self.report(left)
            if self._is_in_step(report) or not left or self._is_stopping:
                return report
            with self._told:
                self._told.wait(min(0.05, left))

    def _is_in_step(self, report: Report) -> bool:
        """Whether all that are reached hold the same, hubs included, and nobody else may just be connecting: this node or
        that one has just opened its transport anew, as after a change of the secret.
        """
        here = {peer.device for peer in report.peers if peer.reachable}
        hubs = {one.zid: one.lacking for one in report.storages if one.reachable and one.zid in report.hubs}
        if self._exchange is None or not report.is_quiet:
            return False
        if not all(peer.equal for peer in report.peers if peer.reachable) or any(one != 0 for one in hubs.values()):
            return False
        just = self._means.monotonic() - (_CONNECTING_SECONDS if here or hubs else _CONNECTING_ALONE_SECONDS)
        away = report.names.keys() - here
        if not away and not report.hubs.keys() - hubs.keys():
            return True
        return not (
            just < self._opened_at
            or any(peer.device in away and (peer.left_at or just) > just for peer in report.peers)
        )

    # The thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = limits.FAULT_SECONDS_MIN
        while not self._is_stopping:
            began = self._means.monotonic()
            try:
                self._run_once()
            except NokosuError as error:
                self._fail(error.message)
            except BaseException as error:  # a panic of Zenoh's is no Exception
                logger.exception("space %s failed", self.space.id.hex())
                self._fail(f"a bug in nokosu: {type(error).__name__}")
            else:
                pause = limits.FAULT_SECONDS_MIN
                continue
            if self._means.monotonic() - began > limits.FAULT_SECONDS_MAX:
                pause = limits.FAULT_SECONDS_MIN
            self._pause(pause)
            pause = min(pause * 2, limits.FAULT_SECONDS_MAX)

    def _run_once(self) -> None:
        """One transport, from its opening until another one is needed."""
        database = Database(self._means.database)
        try:
            log = Log(database, Index(), wall_clock=self._means.wall_clock, random=self._means.random)
            wanted = self._read_plan(database)
            if wanted.is_revoked:
                self._fail("this device was revoked from the space")
                self._pause(_PLAN_SECONDS)
                return
            with self._opened(wanted) as transport:
                self.addresses = self._own_addresses()
                session = Session(
                    self._means,
                    self.space,
                    database,
                    log,
                    transport,
                    own=wanted.own,
                    wake=self._wake.set,
                    addresses=lambda: self.addresses,
                )
                try:
                    session.begin()
                    self._opened_at = self._means.monotonic()
                    self._exchange = session.exchange
                    self._serve(session, database, wanted)
                    session.send(session.exchange.farewell())
                finally:
                    self._exchange = None
                    session.end()
        finally:
            database.close()

    def _serve(self, session: Session, database: Database, opened: Plan) -> None:
        """Work until another transport is needed, or the end."""
        wanted = opened
        planned_at = addresses_at = self._means.monotonic()
        slept = _Slept(self._means.wall_clock, planned_at)
        seen = session.here()
        self._is_stale = True  # what was written since the plan was read
        while not self._is_stopping:
            self._wake.clear()
            self._work(session)
            now = self._means.monotonic()
            if self._engine is not None:
                self._engine.check()
            session.look(now)
            was_asleep = slept.since_last(now)
            here = session.here()
            if was_asleep or here != seen or now >= addresses_at + limits.ADDRESSES_EVERY_SECONDS:
                addresses_at, seen = now, here  # who comes or goes may do so because we have moved
                self._look_where_we_are(session, was_asleep=was_asleep)
            if now >= planned_at + (_PLAN_SECONDS_MIN if self._is_stale else _PLAN_SECONDS):
                self._is_stale, planned_at = False, now
                wanted = self._read_plan(database)
            if self._needs_another(session, opened, wanted, now):
                return
            again = [session.look_at, *([planned_at + _PLAN_SECONDS_MIN] if self._is_stale else [])]
            self._wait(session, min(again))

    def _work(self, session: Session) -> None:
        """Let the exchange work, and send what it wants."""
        try:
            session.send(session.exchange.work())
            self._tell(session)
        except StoreError as error:
            self._fail(error.message)
            self._pause(limits.FAULT_SECONDS_MIN)
            return
        if self.error and not self._cannot_listen:
            logger.info("space %s: it works again", self.space.id.hex())
            self.error = ""

    def _tell(self, session: Session) -> None:
        with self._told:
            number = self._wanted
        if self._given < number:
            report = session.report()
            with self._told:
                self._report, self._given = report, number
                self._told.notify_all()

    def _wait(self, session: Session, at: float) -> None:
        due = session.exchange.due
        if due is not None:
            self._wake.wait(max(min(due, at) - self._means.monotonic(), 0.0))

    def _look_where_we_are(self, session: Session, *, was_asleep: bool) -> None:
        """After a sleep or a change of networks, tell everybody and compare."""
        found = self._own_addresses()
        if was_asleep or found != self.addresses:
            self.addresses = found
            logger.info("space %s: %s", self.space.id.hex(), "awake again" if was_asleep else "other addresses")
            session.exchange.ask_all()

    def _needs_another(self, session: Session, opened: Plan, wanted: Plan, now: float) -> bool:
        """Whether another transport is needed: at once for other certificates or another port; not too often for new
        addresses of a device that is not reached.
        """
        if wanted.is_revoked or wanted.listening != opened.listening:
            return True
        if wanted.trust != opened.trust:
            self._is_flipped = False
            return True
        age = now - self._opened_at
        if self._cannot_listen and age >= self._listen_again:
            self._listen_again = min(self._listen_again * 2, _LISTEN_AGAIN_SECONDS_MAX)
            return True
        here = session.here()
        if self._is_split(session, now, age):
            return True
        is_missing_somebody = wanted.trust.is_changing and bool(wanted.endpoints.keys() - here)
        if is_missing_somebody and age >= (_MISSING_SECONDS if here else _LONELY_SECONDS):
            self._is_flipped = not self._is_flipped
            return True
        if age < limits.REOPEN_SECONDS_MIN:
            return False
        hubs = wanted.hubs_moved(opened)
        reached = {one.zid for one in session.exchange.storages() if one.reachable} if hubs else set()
        return bool(wanted.moved(opened) - here) or bool(hubs - reached)

    def _is_split(self, session: Session, now: float, age: float) -> bool:
        """Whether a new transport is needed because somebody is connected, and nothing of what he declares comes; see `splits`."""
        if not session.is_split(now):
            if age >= 2 * self._split_again:
                self._split_again = limits.SPLIT_AGAIN_SECONDS_MIN
            return False
        if age < self._split_again:
            return False
        self._split_again = min(self._split_again * 2, limits.SPLIT_AGAIN_SECONDS_MAX)
        logger.info("space %s: somebody is connected and not seen", self.space.id.hex())
        return True

    def _pause(self, seconds: float) -> None:
        """Wait, however often this thread is woken meanwhile."""
        until = self._means.monotonic() + seconds
        while not self._is_stopping and (left := until - self._means.monotonic()) > 0:
            with self._told:
                self._report, self._given = Report(), self._wanted  # nothing more is known for a while
                self._told.notify_all()
            self._wake.wait(left)
            self._wake.clear()

    def _fail(self, message: str) -> None:
        if message != self.error:
            logger.warning("space %s: %s", self.space.id.hex(), message)
        self.error = message

    # Opening ----------------------------------------------------------------------------------------------------------

    def _read_plan(self, database: Database) -> Plan:
        return plan.read(database, self.space, self._truster, self._means.wall_clock())

    def _own_addresses(self) -> tuple[str, ...]:
        here = self.listening
        return addresses.reachable(here.address, here.port)[: limits.ADDRESSES_MAX] if here is not None else ()

    @contextmanager
    def _opened(self, wanted: Plan) -> Iterator[Transport]:
        transport = self._open(wanted)
        try:
            yield transport
        finally:
            self.listening, self.addresses = None, ()
            self._has_closed = self._engine.close() if self._engine is not None else transport.close()

    def _open(self, wanted: Plan) -> Transport:
        """A transport as planned; without its listener if the port is taken, so that this node at least calls."""
        shown = trust.other(wanted.trust) if self._is_flipped and wanted.trust.is_changing else wanted.trust
        settings = Settings(
            tls=certificates.mint(shown.trusted, shown.signer, wanted.own, now_ms=self._means.wall_clock()),
            listen=wanted.listened(),
            connect=wanted.dialled(),
            sockets=self._means.sockets,
            name=f"{self._means.name}-{self.space.id.hex()[:10]}",
        )
        self._cannot_listen = False
        open_transport = self._engine.open if self._engine is not None else self._means.open_transport
        try:
            transport = open_transport(settings)
            self.listening, self._listen_again = wanted.listening, _LISTEN_AGAIN_SECONDS_MIN
            return transport
        except MeshError:
            if wanted.listening is None:
                raise
            transport = open_transport(msgspec.structs.replace(settings, listen=()))
            self._cannot_listen = True
            where = addresses.shown(wanted.listening.address, wanted.listening.port)
            self._fail(f"cannot listen at {where}: another process may have the port")
            return transport


class _Slept:
    """Notices that this machine was suspended: the wall clock went on, and the monotonic one did not."""

    def __init__(self, wall_clock: clock.WallClock, now: float) -> None:
        self._wall_clock = wall_clock
        self._ahead = wall_clock() / 1000 - now

    def since_last(self, now: float) -> bool:
        """Whether it was since this was asked last. A wall clock that is set looks the same, and does no harm."""
        before, self._ahead = self._ahead, self._wall_clock() / 1000 - now
        return self._ahead - before > _SLEPT_SECONDS
