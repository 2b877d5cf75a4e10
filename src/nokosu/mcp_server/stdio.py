"""The two descriptors that carry the protocol, kept apart from everything else in the process.

From `claim` on, descriptor 1 is stderr and descriptor 0 is empty: whatever prints, in Python, C or Rust, in us or in a child,
cannot tear a message, and no child can swallow one.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

from nokosu.mcp_server.worker import Worker

_CHUNK_BYTES: Final = 64 * 1024  # what a pipe holds


class Wire:
    """Bytes from the client and to it. Reads and writes have a thread each, so that one never waits for the other."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        """Take descriptors to read from and to write to; they are left open, because a thread may still block on them."""
        self._incoming = incoming
        self._outgoing = outgoing
        self._reader = Worker("nokosu-stdin")
        self._writer = Worker("nokosu-stdout")

    async def read(self) -> bytes:
        """What has arrived, at least one byte; nothing at the end."""
        return await self._reader.run(lambda: os.read(self._incoming, _CHUNK_BYTES))

    async def write(self, line: bytes) -> None:
        """Write the whole of *line*, after the lines before it.

        Raises:
            OSError: nobody reads any more.
        """
        await self._writer.run(lambda: self._write(line))

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._outgoing, rest) :]


def claim() -> Wire:
    """Take stdin and stdout for the protocol, and leave harmless ones in their place.

    Raises:
        OSError: this process was started without a stdin or a stdout.
    """
    wire = Wire(_above_standard(0), _above_standard(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without a stderr
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    if nothing > 2:
        os.close(nothing)
    return wire


def _above_standard(descriptor: int) -> int:
    """A duplicate that no child inherits and nothing takes for a standard stream."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
