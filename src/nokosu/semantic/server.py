"""The embedder: one process a home that runs the models, holds the vectors and answers searches on a local socket.

A search starts it (`process`), and it ends when nothing was asked and nothing was to be embedded for ten minutes, when its store has
been replaced, or when a newer nokosu asks. The thread that embeds, and its helpers, run at the lowest priority; questions are
answered at the usual one.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from types import FrameType
from typing import BinaryIO, Final, TypeVar

import msgspec
from msgspec import Struct

from nokosu import limits, node_process
from nokosu.config import Config
from nokosu.errors import NokosuError, StoreDamaged, StoreError, StoreUpgraded
from nokosu.local_server import LocalServer
from nokosu.node_process import Running
from nokosu.semantic import centres, models, process, wire
from nokosu.semantic.keeper import Keeper
from nokosu.semantic.known import ENGLISH, MODELS, NotThere
from nokosu.semantic.models import Model
from nokosu.semantic.vectors import Vectors
from nokosu.semantic.wire import Begin, Look, State, Told
from nokosu.store.connection import Database

_LOOK_SECONDS: Final = 1.0  # how often the store is looked at; the look costs microseconds while nothing changed
_LOOK_SHARE: Final = 20  # times as long as it took, until it is looked at again: no more than a twentieth of one core
_FAULT_SECONDS: Final = 10.0
_WORKERS_MAX: Final = 2
_LOOKS_MAX: Final = 4
_LOWEST: Final = 19

_Line = TypeVar("_Line", bound=Struct)

logger = logging.getLogger(__name__)


def run(config: Config, *, handed: int | None = None, idle_seconds: float = limits.EMBEDDER_IDLE_SECONDS) -> bool:
    """Be the embedder until it is not needed any more; False at once where one runs already. *handed* is the descriptor of the
    lock, if whoever started this process took it.
    """
    lock = process.acquire(config, handed)
    if lock is None:
        return False
    started = int(time.time() * 1000)
    lock.describe(Running(pid=os.getpid(), version=node_process.own_version(), started=started))
    last_words = None
    try:
        loaded, lacks = _models()
        server = _Server(config, loaded, lacks)
        lock.describe(Running(os.getpid(), node_process.own_version(), started, str(server.path)))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.end)
        server.serve(idle_seconds)
    except (NotThere, NokosuError, OSError) as error:
        logger.exception("the embedder cannot work")
        last_words = Running(version=node_process.own_version(), started=started, failed=str(error))
    lock.release(last_words)
    return True


def _models() -> tuple[dict[int, Model], str]:
    """The models that are there, and what is to be said of one that is not.

    Raises:
        NotThere: the one for English is not; without it nothing works.
    """
    loaded, lacks = {ENGLISH.number: models.load(ENGLISH)}, ""
    for known in (one for one in MODELS if one is not ENGLISH):
        try:
            loaded[known.number] = models.load(known)
        except NotThere as error:
            lacks = f"English only: {error}"
            logger.warning("%s", lacks)
    return loaded, lacks


class _Server:
    """Listens, embeds, and ends."""

    def __init__(self, config: Config, loaded: dict[int, Model], lacks: str) -> None:
        """Load what the store has, and listen."""
        self._database_path = config.database
        self._inode = config.database.stat().st_ino
        self._keeper = Keeper(Database(config.database), loaded, Vectors(centres.load()))
        self._reader, self._answering = Database(config.database), Lock()
        self._models = tuple(model.known.name for model in loaded.values())
        self._lacks = lacks
        self._ended = Event()
        self._used = time.monotonic()
        self._keeper.refresh()
        self._questions = LocalServer(process.socket(config), self._serve, name="nokosu-question")

    @property
    def path(self) -> Path:
        """Where it listens."""
        return self._questions.path

    def end(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End soon."""
        self._ended.set()

    def serve(self, idle_seconds: float) -> None:
        """Embed what is to be embedded, until the end."""
        lower_priority()
        with ThreadPoolExecutor(readers(os.cpu_count() or 1), "nokosu-embed", initializer=lower_priority) as pool:
            pause, look_at = 0.0, 0.0
            while not self._ended.wait(pause) and time.monotonic() - self._used < idle_seconds:
                try:
                    look_at = self._looked(look_at)
                    pause = 0.0 if self._embedded(pool) else _LOOK_SECONDS
                except (StoreUpgraded, StoreDamaged):
                    raise
                except StoreError as error:
                    logger.warning("%s", error)
                    pause = _FAULT_SECONDS
        self._questions.close()

    def _looked(self, look_at: float) -> float:
        """Look at the store if it is time; when to look again."""
        begun = time.monotonic()
        if begun < look_at:
            return look_at
        if not self._is_same_store():
            logger.info("the store was replaced or removed")
            self.end()
            return look_at
        self._keeper.refresh()
        now = time.monotonic()
        return now + max(_LOOK_SECONDS, (now - begun) * _LOOK_SHARE)

    def _embedded(self, pool: Executor) -> bool:
        if self._ended.is_set() or not self._keeper.pending:
            return False
        self._keeper.embed_some(pool)
        self._used = time.monotonic()
        return True

    def _is_same_store(self) -> bool:
        try:
            return self._database_path.stat().st_ino == self._inode
        except OSError:
            return False

    # Questions --------------------------------------------------------------------------------------------------------

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as incoming:
                for answer in self._answers(incoming, lambda: _has_hung_up(connection)):
                    connection.sendall(wire.line(answer))
        except OSError:
            raise  # who asked has gone
        except Exception:
            logger.exception("a question could not be answered")

    def _answers(self, incoming: BinaryIO, has_hung_up: Callable[[], bool]) -> Iterator[Struct]:
        """What is said to whoever asks; nothing to one who asks for what this version does not know, or hangs up."""
        try:
            begin = _heard(incoming, Begin)
            if begin.do == "near":
                yield from self._near(begin, lambda: _heard(incoming, Look), has_hung_up)
                return
        except msgspec.DecodeError:
            return
        if begin.do == "stop":
            self.end()
        yield State(
            os.getpid(),
            node_process.own_version(),
            self._keeper.memories,
            self._keeper.pending,
            self._models,
            self._lacks,
        )

    def _near(self, begin: Begin, look: Callable[[], Look], has_hung_up: Callable[[], bool]) -> Iterator[Told]:
        """One after the other: side by side each would take longer, and a search that has given up is not answered.

        A search looks once, or a few times when nothing is found where it looked first, and then hangs up.
        """
        self._used = time.monotonic()
        with self._answering:
            if has_hung_up():
                return
            question = self._keeper.question(begin.question)
        for number in range(_LOOKS_MAX):
            wanted = look()
            with self._answering, self._reader.reading() as connection:
                told = self._keeper.near(connection, question, wanted, self._lacks)
            if number == 0 and node_process.is_newer(begin.version):
                self.end()  # the next search of the newer one starts its own
            yield told


def _heard(incoming: BinaryIO, kind: type[_Line]) -> _Line:
    return msgspec.json.decode(incoming.readline(wire.LINE_BYTES_MAX), type=kind)


def _has_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, 0)  # a hang-up is always told
    return bool(poll.poll(0))


def readers(cores: int) -> int:
    """How many notes are read at once: one core is left for everybody else, where there are two. With none free a save waited 3 ms
    for one, four times what it takes: Linux shares cores out among sessions of processes first, and a priority counts only within one.
    """
    return max(min(_WORKERS_MAX, cores - 1), 1)


def lower_priority() -> None:
    """Have this thread run when nothing else wants to."""
    with suppress(OSError):
        if sys.platform == "darwin":
            os.setpriority(_DARWIN_THREAD, 0, _DARWIN_BACKGROUND)
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)


_DARWIN_THREAD: Final = 3  # PRIO_DARWIN_THREAD of <sys/resource.h>, which Python knows from 3.12 on
_DARWIN_BACKGROUND: Final = 0x1000  # PRIO_DARWIN_BG
