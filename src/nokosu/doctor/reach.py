"""Does anything listen there? TCP connections to many addresses at once, all over within a few seconds whatever happens."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from queue import Empty, Queue
from threading import Thread
from typing import Final

from nokosu.errors import UsageError
from nokosu.mesh import addresses

SECONDS_MAX: Final = 2.0
ADDRESSES_MAX: Final = 64  # tried in one go

Connects = Callable[[str, int, float], None]
"""Connects to a host's port within so many seconds, or raises `OSError`."""


def connects(host: str, port: int, seconds: float) -> None:
    """See `Connects`."""
    socket.create_connection((host, port), timeout=seconds).close()


def answering(tried: Iterable[str], connect: Connects = connects, *, seconds: float = SECONDS_MAX) -> dict[str, str]:
    """For each address whether something listens: empty, or why not. Nothing is waited for longer than *seconds*.

    A name may take the system longer than that to look up, and that cannot be stopped: the thread that waits is left
    behind, and ends with the process.
    """
    known = list(dict.fromkeys(tried))[:ADDRESSES_MAX]
    told: Queue[tuple[str, str]] = Queue()
    for address in known:
        Thread(target=lambda one=address: told.put((one, _try(one, connect, seconds))), daemon=True).start()
    until = time.monotonic() + seconds + 0.5
    found: dict[str, str] = {}
    while len(found) < len(known):
        try:
            address, reason = told.get(timeout=max(until - time.monotonic(), 0.001))
        except Empty:
            break
        found[address] = reason
    return {address: found.get(address, "no answer") for address in known}


def _try(address: str, connect: Connects, seconds: float) -> str:
    try:
        where = addresses.parse(address)
        connect(where.host, where.port, seconds)
    except UsageError:
        return "not an address"
    except TimeoutError:
        return "no answer"
    except socket.gaierror:
        return "no such host"
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return ""
