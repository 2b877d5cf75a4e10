"""One transport and one exchange of a space, tied together until another transport is needed.

What arrives is handed to the exchange by the transport's threads, which wakes the thread that works; what the exchange
wants is sent by that thread. Questions of others are answered by two threads of their own, each with a database object of
its own. Nothing here is remembered for the next session: what was on its way is fetched again.
"""

from __future__ import annotations

import logging
import queue
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from msgspec import Struct

from nokosu import clock, ids, limits
from nokosu.errors import MeshError, NokosuError
from nokosu.mesh import keys
from nokosu.mesh.exchange import Exchange, Get, Put, StorageState
from nokosu.mesh.peer_state import PeerState
from nokosu.mesh.shelf import Shelf
from nokosu.mesh.supervisor import EngineMeans
from nokosu.mesh.transport import Answer, Call, Question, Settings, Transport
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.store.log import Log
from nokosu.store.roster import Space

_SERVERS: Final = 2  # one slow asker leaves the other to the rest
_LOOK_SECONDS: Final = 2.0  # how often connections that went without a sign are looked for,
_LOOK_SECONDS_AWAY: Final = 1.0  # and whether they are back
_END_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


class Means(Struct, frozen=True, kw_only=True):
    """What every space of a node works with: its paths, and time, randomness and transports, which tests replace; `engine`
    where each goes through a zenohd of its own.
    """

    database: Path
    sockets: Path
    name: str
    version: str
    open_transport: Callable[[Settings], Transport]
    wall_clock: clock.WallClock
    monotonic: Callable[[], float]
    random: ids.Random
    engine: EngineMeans | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What a space looks like from its node: who is known, which storages, the names of the devices that are in it and of its
    hubs by their Zenoh ids, the connections, and whether nothing was on its way.
    """

    peers: tuple[PeerState, ...] = ()
    storages: tuple[StorageState, ...] = ()
    names: dict[bytes, str] = {}
    hubs: dict[str, str] = {}
    links: tuple[tuple[str, str], ...] = ()
    is_quiet: bool = False


class Session:
    """See above. Made, used and ended by one thread; `exchange` may be told of changes by any."""

    def __init__(
        self,
        means: Means,
        space: Space,
        database: Database,
        log: Log,
        transport: Transport,
        *,
        own: bytes,
        wake: Callable[[], None],
        addresses: Callable[[], tuple[str, ...]],
    ) -> None:
        """*wake* is called, from any thread, when there may be something to do; *own* is this device, and *addresses* gives
        where it listens now.
        """
        self.look_at = 0.0
        self._split: dict[str, float] = {}  # who is connected, and nothing comes of him, and since when
        self._means, self._space, self._database, self._transport = means, space, database, transport
        self._own, self._wake = own, wake
        self._questions: queue.Queue[Question | None] = queue.Queue(limits.QUESTIONS_WAITING_MAX)
        self._servers = [Thread(target=self._serve, name="nokosu-shelf", daemon=True) for _ in range(_SERVERS)]
        self._lock = Lock()
        self._here: dict[bytes, set[str]] = defaultdict(set)
        self._storages: dict[str, set[str]] = defaultdict(set)  # by Zenoh id, its tokens: one may outlive the next
        self._calls: dict[int, tuple[Get, Call | None]] = {}
        self._has_sent = True
        self.exchange = Exchange(
            database,
            log,
            space,
            node=transport.node,
            wall_clock=means.wall_clock,
            monotonic=means.monotonic,
            random=means.random,
            version=means.version,
            addresses=addresses,
        )

    def begin(self) -> None:
        """Listen to everybody; then be seen."""
        for server in self._servers:
            server.start()
        base, transport = keys.space(self._space.id), self._transport
        transport.subscribe(keys.rec_all(self._space.id), self._live)
        transport.subscribe(keys.vec_all(self._space.id), self._live)
        transport.serve(f"{keys.dev(self._space.id, self._own)}/**", self._asked)
        transport.serve(keys.vec(self._space.id, self._own), self._asked)
        transport.watch(f"{base}/here/**", self._appeared, self._vanished)
        transport.watch(f"{base}/hub/**", self._storage_appeared, self._storage_vanished)
        transport.declare(keys.here(self._space.id, self._own, transport.node, transport.router))

    def end(self) -> None:
        """Let the servers end; the transport is the caller's to close."""
        try:
            while True:
                question = self._questions.get_nowait()
                if question is not None:
                    question.end(failed=True)
        except queue.Empty:
            pass
        for _ in self._servers:
            self._questions.put(None)
        for server in self._servers:
            if server.ident is not None:
                server.join(_END_SECONDS)

    # The thread that works --------------------------------------------------------------------------------------------

    def send(self, actions: list[Put | Get]) -> None:
        """Carry out what the exchange wants, in this order.

        Raises:
            MeshError: the transport does not work any more.
        """
        self._has_sent = bool(actions)
        for action in actions:
            if isinstance(action, Put):
                self._transport.put(action.key, action.payload, later_than=action.later_than)
            else:
                self._ask(action)

    def look(self, now: float) -> None:
        """Now and then, look for connections that went without a sign."""
        if now >= self.look_at:
            self.look_at = now + (_LOOK_SECONDS_AWAY if self._transport.look() else _LOOK_SECONDS)
            split = self._transport.split() | self.exchange.silent()
            self._split = {node: self._split.get(node, now) for node in split}

    def is_split(self, now: float) -> bool:
        """Whether somebody has been connected for long enough of whom nothing comes."""
        return any(since + limits.SPLIT_SECONDS <= now for since in self._split.values())

    def here(self) -> set[bytes]:
        """The devices that are seen."""
        with self._lock:
            return {device for device, nodes in self._here.items() if nodes}

    def report(self) -> Report:
        """What is known now; and what is said to be here is on the disk.

        Raises:
            StoreError: the store failed.
        """
        self.exchange.make_lasting()
        with self._lock:
            is_quiet = not self._has_sent and not self._calls and self.exchange.due is not None
        with self._database.reading() as connection:
            members = roster.members(connection, self._space)
            hubs = roster.hubs(connection, self._space)
        return Report(
            peers=tuple(self.exchange.peers()),
            storages=tuple(self.exchange.storages()),
            names={one.device.id: one.device.name for one in members if not one.own and not one.revoked},
            hubs={hub.zid: hub.name for hub in hubs},
            links=tuple((link.here, link.there) for link in self._transport.links()),
            is_quiet=is_quiet,
        )

    def _ask(self, get: Get) -> None:
        with self._lock:
            self._calls[get.id] = (get, None)
        try:
            call = self._transport.get(
                get.selector,
                partial(self._answered, get.id),
                partial(self._ended, get),
                seconds=limits.GET_SECONDS_MAX,
                bytes_max=limits.CALL_BYTES_MAX,
            )
        except MeshError:
            self._ended(get, True)
            raise
        with self._lock:
            if get.id in self._calls:  # else it has ended already
                self._calls[get.id] = (get, call)

    # The transport's threads ------------------------------------------------------------------------------------------

    def _live(self, key: str, payload: bytes) -> None:
        self.exchange.live(key, payload)
        self._wake()

    def _answered(self, id: int, answer: Answer) -> None:
        self.exchange.answered(id, answer.key, answer.payload, replier=answer.replier, stamp=answer.stamp)
        self._wake()

    def _ended(self, get: Get, failed: bool) -> None:
        with self._lock:
            self._calls.pop(get.id, None)
            is_here = bool(self._storages.get(get.storage) if get.storage else self._here.get(get.device))
        self.exchange.ended(get.id, failed or not is_here)  # nobody there to ask looks like an answer of nothing
        self._wake()

    def _appeared(self, key: str) -> None:
        found = keys.parse_here(key)
        if found is not None and found[2] != self._transport.node:
            with self._lock:
                self._here[found[1]].add(found[2])
            self.exchange.appeared(found[1], found[2])
            self._wake()

    def _vanished(self, key: str) -> None:
        found = keys.parse_here(key)
        if found is None:
            return
        _, device, node = found
        with self._lock:
            nodes = self._here.get(device, set())
            nodes.discard(node)
            gone = self._calls_to(lambda get: not get.storage and get.device == device) if not nodes else []
        for call in gone:
            call.cancel()
        self.exchange.vanished(device, node)
        self._wake()

    def _storage_appeared(self, key: str) -> None:
        found = keys.parse_hub(key)
        if found is not None:
            with self._lock:
                self._storages[found.zid].add(key)
            self.exchange.storage_appeared(found.zid, found.version, found.fingerprint)
            self._wake()

    def _storage_vanished(self, key: str) -> None:
        found = keys.parse_hub(key)
        if found is None:
            return
        with self._lock:
            tokens = self._storages[found.zid]
            tokens.discard(key)
            if tokens:
                return
            gone = self._calls_to(lambda get: get.storage == found.zid)
        for call in gone:
            call.cancel()
        self.exchange.storage_vanished(found.zid)
        self._wake()

    def _calls_to(self, which: Callable[[Get], bool]) -> list[Call]:
        return [call for get, call in self._calls.values() if call is not None and which(get)]

    def _asked(self, question: Question) -> None:
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            question.end(failed=True)

    # The servers' threads ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Answer questions until the end."""
        server = _Server(self._means, self._space)
        try:
            while (question := self._questions.get()) is not None:
                server.answer(question)
        finally:
            server.close()


class _Server:
    """Answers one question after another; a fault of the store fails one of them, and the next one tries anew."""

    def __init__(self, means: Means, space: Space) -> None:
        self._means, self._space = means, space
        self._database: Database | None = None
        self._shelf: Shelf | None = None

    def answer(self, question: Question) -> None:
        failed = True
        try:
            for key, payload in self._opened().serve(question.selector):
                question.answer(key, payload)
            failed = False
        except NokosuError as error:
            logger.info("a question was not answered: %s", error.message)
        except Exception:
            logger.exception("a question was not answered")
        finally:
            question.end(failed=failed)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _opened(self) -> Shelf:
        if self._database is None:
            self._database = Database(self._means.database)
        if self._shelf is None:
            self._shelf = Shelf(self._database, self._space, random=self._means.random)
        return self._shelf
