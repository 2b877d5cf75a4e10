"""Connections whose other end fell silent: here they end after seconds, for Zenoh waits for the kernel, which takes minutes.

What was measured with 1.10.2: a laptop that is closed, or a cable that is pulled, while something is on its way to it. Zenoh
gives the transport up after its lease, and then waits for the socket to take the last of its bytes. Until the kernel gives up
as well, the tokens of that side stay, and every new session of the same node hangs: after a cut of two minutes, three
quarters of a minute more. No setting of Zenoh's reaches that, and one of the socket does: TCP_USER_TIMEOUT.

Set on a socket that listens, it holds for all that it accepts. A zenohd's sockets are reached through its process, which
Linux lets its parents do. Where a system does not, all is as Zenoh has it.

Source: tcp(7), pidfd_getfd(2).
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from nokosu import limits

_PIDFD_GETFD: Final = 438  # the same on every processor
_PREFIX: Final = "socket:["


class Silence:
    """Looks after the connections of one process: this one, or a child of its own."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: set[str] = set()

    def look(self) -> None:
        """Have every connection that is new end once nothing of what it sent was confirmed for so long. Called now and then;
        takes less than a millisecond.
        """
        if sys.platform != "linux":
            return
        found = _sockets(self._pid)
        fresh = {inode: number for inode, number in found.items() if inode not in self._known}
        self._known = found.keys() & self._known
        if not fresh:
            return
        with suppress(OSError):  # the process has ended, or is not ours to touch
            pidfd = os.pidfd_open(self._pid)
            try:
                for inode, number in fresh.items():
                    self._known.add(inode)
                    with suppress(OSError):  # closed meanwhile
                        _bound(_descriptor(pidfd, number))
            finally:
                os.close(pidfd)


def _sockets(pid: int) -> dict[str, int]:
    """The sockets of a process by their inodes, each with its descriptor there."""
    found = {}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                name = os.readlink(entry)  # noqa: PTH115 - "socket:[123]" is no path
                if name.startswith(_PREFIX):
                    found[name] = int(entry.name)
    return found


def _descriptor(pidfd: int, number: int) -> int:
    """A descriptor of ours for a socket of another process."""
    found = int(ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, number, 0))
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return found


def _bound(descriptor: int) -> None:
    with socket.socket(fileno=descriptor) as found:
        if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.SILENT_MS_MAX)
