"""May this process listen or call at all? In an agent's sandbox it often may not, and then another should be the node."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final

from nokosu.errors import MeshError

_DENIED: Final = frozenset({errno.EPERM, errno.EACCES})


def check(*, uses_loopback: Callable[[], bool]) -> None:
    """See that it may. *uses_loopback*: whether some device of ours is on this very machine, as in a test.

    Raises:
        MeshError: it may neither.
    """
    reason = _denied(_try_to_listen) and _denied(_try_to_call)
    if not reason and not _has_interfaces() and not uses_loopback():
        reason = "no network but the loopback"
    if reason:
        message = f"this process may not use the network (an agent's sandbox?): {reason}"
        raise MeshError(message, hint="nokosu node start, in a terminal")


def _denied(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except OSError as error:
        return error.strerror or str(error) if error.errno in _DENIED else ""
    return ""


def _try_to_listen() -> None:
    with socket.socket(socket.AF_INET) as tried:
        tried.bind(("127.0.0.1", 0))
        tried.listen(1)


def _try_to_call() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.connect(("192.0.2.1", 9))  # an address for documentation; connecting a datagram socket sends nothing


def _has_interfaces() -> bool:
    try:
        return any(not name.startswith("lo") for _, name in socket.if_nameindex())
    except OSError:
        return True  # not known
