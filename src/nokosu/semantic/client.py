"""A search's side of the embedder: it asks, waits at most `limits.MEANING_WAIT_MS`, and else says what the answer lacks.

Nothing here can make a search fail: an embedder that is not there, does not answer, or answers nonsense is a sentence in `lacks`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self, TypeVar

import msgspec
from msgspec import Struct

from nokosu import limits, node_process
from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.search.meaning import Near
from nokosu.semantic import known, process, wire
from nokosu.semantic.wire import Begin, Look, State, Told

BY_WORDS: Final = "by words alone: "
_STARTING: Final = f"{BY_WORDS}the embedder is being started"
_SILENT: Final = f"{BY_WORDS}the embedder did not answer in {limits.MEANING_WAIT_MS} ms"
_ENDED: Final = f"{BY_WORDS}the embedder ended while it was asked"
_CHUNK: Final = 65536

_Answer = TypeVar("_Answer", bound=Struct)


class Embedder:
    """The embedder of a home, as those see it who ask."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._is_wanted: bool | None = None

    @property
    def to_install(self) -> str:
        """What to type to have it; empty where it is installed, or not wanted."""
        return known.INSTALL if self._config.starts_embedder and not known.are_installed() else ""

    def asked(self, question: str) -> Asked:
        """Begin to ask about a question; to be used in a `with` block."""
        if self._is_wanted is None:
            self._is_wanted = process.is_wanted(self._config)
        return Asked(self._config, question if self._is_wanted else "")

    def state(self) -> State | None:
        """How it is; None when none runs, or it does not answer."""
        return self._state(Begin("status"))

    def stop(self) -> State | None:
        """End it, and how it was; None when none runs, or it does not answer."""
        return self._state(Begin("stop"))

    def _state(self, begin: Begin) -> State | None:
        if process.running(self._config) is None:
            return None
        try:
            with _Conversation(self._config) as talk:
                talk.say(begin)
                return talk.hear(State)
        except (OSError, ValueError, MeshError):
            return None


class Asked:
    """What the embedder knows of one question: the `Meaning` that the search engine asks for. `lacks` is a sentence where the
    answer is not all that it could be.
    """

    def __init__(self, config: Config, question: str) -> None:
        self._config = config
        self._question = question
        self._talk: _Conversation | None = None
        self._is_to_be_started = False
        self.lacks = ""

    def __enter__(self) -> Self:
        if not self._question:
            return self
        try:
            self._talk = _Conversation(self._config)
            self._talk.say(Begin("near", self._question, node_process.own_version()))
        except (FileNotFoundError, ConnectionRefusedError):
            self._is_to_be_started = True
        except TimeoutError:
            self._fail(_SILENT)
        except ConnectionError:
            self._is_to_be_started = True
            self._fail(_ENDED)
        except (OSError, MeshError) as error:
            self._fail(f"{BY_WORDS}the embedder cannot be asked ({error})")
        return self

    def __exit__(self, *_: object) -> None:
        """See that the embedder runs next time: now that this question is answered, nobody waits for it."""
        self._hang_up()
        if self._is_to_be_started:
            process.start_if_needed(self._config)

    @property
    def is_there(self) -> bool:
        """Whether there is anybody to ask. Where there should be, `lacks` says why not."""
        if self._is_to_be_started and not self.lacks:
            failed = process.last_words(self._config)
            self.lacks = f"{BY_WORDS}{failed}" if failed else _STARTING
        return self._talk is not None

    def near(self, scopes: Sequence[str], wanted: int, candidates: Sequence[int]) -> Mapping[int, Near] | None:
        """As in `Meaning`. It may be asked again: a search of a time in which there is nothing goes on without it."""
        if self._talk is None:
            return None
        try:
            self._talk.say(Look(tuple(scopes), wanted, tuple(candidates)))
            told = self._talk.hear(Told)
        except TimeoutError:
            self._fail(_SILENT)
            return None
        except (OSError, ValueError):
            self._is_to_be_started = True
            self._fail(_ENDED)
            return None
        if told.blind:
            self._fail(f"{BY_WORDS}{told.lacks}")
            return None
        if told.pending:
            self.lacks = f"by meaning, but for {told.pending:,} memories that the embedder has not read yet"
        return {one.n: one for one in told.near}

    def _fail(self, why: str) -> None:
        self.lacks = why
        self._hang_up()

    def _hang_up(self) -> None:
        if self._talk is not None:
            self._talk.close()
            self._talk = None


class _Conversation:
    """A connection to the embedder; each step waits no longer than a search may."""

    def __init__(self, config: Config) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._received = bytearray()
        try:
            self._socket.settimeout(limits.MEANING_WAIT_MS / 1000)
            self._socket.connect(str(process.socket(config)))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def say(self, said: Struct) -> None:
        """Send a line.

        Raises:
            OSError: it could not be sent in time.
        """
        self._socket.settimeout(limits.MEANING_WAIT_MS / 1000)
        self._socket.sendall(wire.line(said))

    def hear(self, kind: type[_Answer]) -> _Answer:
        """The line that comes back.

        Raises:
            OSError: none did, in time. ValueError: it makes no sense.
        """
        until = time.monotonic() + limits.MEANING_WAIT_MS / 1000
        while not self._received.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            chunk = self._socket.recv(_CHUNK)
            if not chunk or len(self._received) > wire.LINE_BYTES_MAX:
                raise ConnectionError("no answer")
            self._received += chunk
        heard = bytes(self._received)
        self._received.clear()
        try:
            return msgspec.json.decode(heard, type=kind)
        except msgspec.DecodeError as error:
            raise ValueError("not an answer") from error
