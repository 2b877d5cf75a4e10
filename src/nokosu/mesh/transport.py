"""What a node asks of whatever carries its traffic: publish, subscribe, ask, answer, and see who is there.

`ZenohTransport` is the one that nodes use; the protocol is what tests replace. Every callback is called from a thread of
the transport: it may enqueue and must return at once, because a slow one stalls everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from nokosu.mesh.certificates import Tls

Arrived = Callable[[str, bytes], None]
"""A sample: its key and its payload."""


class Answer(Struct, frozen=True):
    """One answer to a question. `replier` is the Zenoh id of whoever gave it, empty when it did not say; `stamp` is the
    time at which the value was put, as Zenoh counts it (NTP64), where it lay in a storage.
    """

    key: str
    payload: bytes
    replier: str
    stamp: int | None = None


Answered = Callable[[Answer], None]


class Settings(Struct, frozen=True, kw_only=True):
    """What a transport is opened with.

    `tls` is what it shows and trusts; `listen` and `connect` are addresses, HOST:PORT; `sockets` is a folder that nobody
    else may enter, and `name` is unlike that of any other transport there. `engine` is the socket of a zenohd beside us:
    where it is given, that listens and dials, and this transport is a client of it.
    """

    tls: Tls
    listen: tuple[str, ...]
    connect: tuple[str, ...]
    sockets: Path
    name: str
    engine: Path | None = None


class Link(Struct, frozen=True):
    """A connection that stands: the node at its other end, and the two addresses."""

    node: str
    here: str
    there: str


class Question(Protocol):
    """A question that another node has asked."""

    @property
    def selector(self) -> str:
        """What is asked for, parameters included."""
        ...

    def answer(self, key: str, payload: bytes) -> None:
        """Send one answer; blocks while the way there is full, for seconds at most."""
        ...

    def end(self, *, failed: bool = False) -> None:
        """There are no more answers; every question is ended, once."""
        ...


class Call(Protocol):
    """A question of ours that is on its way."""

    def cancel(self) -> None:
        """Take no more answers; the call ends as one that failed."""
        ...


class Transport(Protocol):
    """One node's part in the traffic of one space."""

    @property
    def node(self) -> str:
        """The name of this node, unlike any other's; a new one each time a transport is opened."""
        ...

    @property
    def router(self) -> str:
        """The name of what connects this node with the others: itself, or the zenohd beside it."""
        ...

    def subscribe(self, key_expr: str, arrived: Arrived) -> None:
        """Have what others put from now on."""
        ...

    def serve(self, key_expr: str, asked: Callable[[Question], None]) -> None:
        """Be asked what others want to know."""
        ...

    def declare(self, key: str) -> None:
        """Be seen, for as long as this transport stands; declared last, when all else is ready."""
        ...

    def watch(self, key_expr: str, appeared: Callable[[str], None], vanished: Callable[[str], None]) -> None:
        """See who is there already, who comes and who goes, by the keys that they declare."""
        ...

    def put(self, key: str, payload: bytes, *, later_than: int = 0) -> None:
        """Send a sample to whoever is there. Blocks while the way is full, for seconds at most, and proves nothing. It is
        stamped with the time, and later than *later_than*: a storage keeps the latest, and drops the rest in silence.

        Raises:
            MeshError: the transport is closed.
        """
        ...

    def get(
        self, selector: str, arrived: Answered, ended: Callable[[bool], None], *, seconds: float, bytes_max: int
    ) -> Call:
        """Ask. Each answer is *arrived*; then, once, *ended* with whether it failed: an error, *seconds* over, cancelled,
        or more than *bytes_max* in all.

        Raises:
            MeshError: the transport is closed.
        """
        ...

    def links(self) -> list[Link]:
        """The connections that stand; none of those that a zenohd beside us has."""
        ...

    def is_alive(self) -> bool:
        """Whether it still carries anything: False when the zenohd beside us is gone."""
        ...

    def look(self) -> bool:
        """Notice who went without a sign, and who of those is back; whether anybody is away so. Called now and then, and
        when a `put` took long.
        """
        ...

    def split(self) -> set[str]:
        """The routers that were connected when it was looked last, though no token that is watched is theirs, or that have taken
        a new connection for a part of an older one (`splits`).
        """
        ...

    def close(self) -> bool:
        """End everything, in bounded time; False when something would not end, and only the process's end will do."""
        ...
