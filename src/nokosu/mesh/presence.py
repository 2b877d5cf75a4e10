"""Who is there: by the tokens that nodes declare, less those whose last connection to us went though their token stays.

Zenoh takes a token away when a connection ends; but where the other end is frozen while we send, the connection is gone
and the token stays until the other end lives again. A token whose node never had a connection to us is reached through
others, and only believed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

GONE_SECONDS: Final = 2.0  # a token outlives the last connection of its node by less than this, unless Zenoh is stuck

Told = Callable[[str], None]


class Presence:
    """Tells of each key that it appeared or vanished, in turn. Used from any thread."""

    def __init__(self, appeared: Told, vanished: Told, monotonic: Callable[[], float]) -> None:
        self._appeared, self._vanished, self._monotonic = appeared, vanished, monotonic
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}

    def declared(self, key: str) -> None:
        """A token is there; its last part is the name of the router that connects its node."""
        self.ended(key)
        with self._lock:
            self._tokens[key] = _Token()
        self._appeared(key)

    def ended(self, key: str) -> None:
        """A token is there no more."""
        with self._lock:
            token = self._tokens.pop(key, None)
        if token is not None and not token.is_lost:
            self._vanished(key)

    def look(self, connected: AbstractSet[str]) -> bool:
        """These routers are connected with us now; whether anybody is away whose token is there."""
        now = self._monotonic()
        with self._lock:
            changed = {
                key: token
                for key, token in self._tokens.items()
                if token.look(now, is_connected=key.rpartition("/")[2] in connected)
            }
        for key, token in changed.items():
            (self._vanished if token.is_lost else self._appeared)(key)
        with self._lock:
            return any(token.is_lost for token in self._tokens.values())

    def routers(self) -> set[str]:
        """The routers whose tokens are there, lost or not."""
        with self._lock:
            return {key.rpartition("/")[2] for key in self._tokens}


class _Token:
    """One node's token, and what became of its connection to us."""

    def __init__(self) -> None:
        self.is_lost = False
        self._was_connected = False
        self._gone_since: float | None = None

    def look(self, now: float, *, is_connected: bool) -> bool:
        """Whether it was lost, or found again, just now."""
        self._was_connected = self._was_connected or is_connected
        if is_connected or not self._was_connected:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        was_lost = self.is_lost
        self.is_lost = self._gone_since is not None and now >= self._gone_since + GONE_SECONDS
        return self.is_lost != was_lost
