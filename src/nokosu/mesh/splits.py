"""Connections that only one end takes for new.

Two routers that call each other have two connections, which Zenoh counts as one transport. When both die without a sign, as
when a machine moves, each end gives up each of them by itself. An end that has given up both connects anew; if the other has
by then given up one, it takes the new connection in the place of that. It declares nothing to it, for it has done so long
ago, and the first one waits for that: neither sees the other any more, and nothing ends it but a new transport.

Source: eclipse-zenoh/zenoh#2806; measured with 1.10.2, in one of four moves of two machines on a busy host.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from threading import Lock

Ends = tuple[str, str]


class Splits:
    """Sees by the connections with each router whether one was taken in the place of another. Used from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends: dict[str, set[Ends]] = {}
        self._worn: set[str] = set()  # routers that have lost one connection, and have another
        self._found: set[str] = set()

    def added(self, router: str, ends: Ends) -> None:
        """There is a connection with a router, named by its addresses here and there."""
        with self._lock:
            known = self._ends.setdefault(router, set())
            if ends not in known:
                known.add(ends)
                if router in self._worn:
                    self._found.add(router)

    def removed(self, router: str, ends: Ends) -> None:
        """That connection is gone."""
        with self._lock:
            known = self._ends.get(router, set())
            known.discard(ends)
            if known:
                self._worn.add(router)
            else:
                self._forget(router)

    def seen(self, connections: Mapping[str, AbstractSet[Ends]]) -> None:
        """These connections are all that there are; for who is not told of each. What changed in between is one change."""
        with self._lock:
            before = {router: set(ends) for router, ends in self._ends.items()}
        for router, known in before.items():
            for ends in known - connections.get(router, set()):
                self.removed(router, ends)
        for router, ends_now in connections.items():
            for ends in ends_now:
                self.added(router, ends)

    def found(self) -> set[str]:
        """The routers with which we are connected so."""
        with self._lock:
            return set(self._found)

    def _forget(self, router: str) -> None:
        self._ends.pop(router, None)
        self._worn.discard(router)
        self._found.discard(router)
