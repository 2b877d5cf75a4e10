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
"""A sample, or one answer to a question: its key and its payload."""


class Settings(Struct, frozen=True, kw_only=True):
    """What a transport is opened with.

    `tls` is what it shows and trusts; `listen` and `connect` are addresses, HOST:PORT; `sockets` is a folder that nobody
    else may enter, and `name` is unlike that of any other transport there.
    """

    tls: Tls
    listen: tuple[str, ...]
    connect: tuple[str, ...]
    sockets: Path
    name: str


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

    def put(self, key: str, payload: bytes) -> None:
        """Send a sample to whoever is there. Blocks while the way is full, for seconds at most, and proves nothing.

        Raises:
            MeshError: the transport is closed.
        """
        ...

    def get(
        self, selector: str, arrived: Arrived, ended: Callable[[bool], None], *, seconds: float, bytes_max: int
    ) -> Call:
        """Ask. Each answer is *arrived*; then, once, *ended* with whether it failed: an error, *seconds* over, cancelled,
        or more than *bytes_max* in all.

        Raises:
            MeshError: the transport is closed.
        """
        ...

    def links(self) -> list[Link]:
        """The connections that stand."""
        ...

    def look(self) -> None:
        """Notice who went without a sign: called now and then, and when a `put` took long."""
        ...

    def close(self) -> bool:
        """End everything, in bounded time; False when something would not end, and only the process's end will do."""
        ...
