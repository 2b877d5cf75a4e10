"""A socket that only its owner can reach, for the processes of this machine: each connection is served in a thread of its own,
a few at a time; more are turned away.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Final

from nokosu import limits

_HEAR_SECONDS: Final = 2.0  # whoever connects says at once what it wants


class LocalServer:
    """See above. It listens from the beginning until `close`."""

    def __init__(self, path: Path, serve: Callable[[socket.socket], None], *, name: str) -> None:
        """Listen at *path*, in a folder that only its owner may enter. What a killed process has left there is removed: the
        caller holds a lock that makes this safe. *serve* is given each connection, which is closed when it returns; that the
        other end goes, or says nothing for two seconds, ends it and is no fault. *name* is that of the threads.

        Raises:
            OSError: this process may not open a socket there.
        """
        self.path = path
        self._serve, self._name = serve, name
        self._room = BoundedSemaphore(limits.CONTROLS_AT_ONCE)
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(os.fspath(path))
            path.chmod(0o600)
            self._listener.listen(limits.CONTROLS_AT_ONCE)
        except OSError:
            self._listener.close()
            raise
        Thread(target=self._accept, name=name, daemon=True).start()

    def close(self) -> None:
        """Listen no more; what is being answered is still answered, if the process lives so long."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            if self._room.acquire(blocking=False):
                Thread(target=self._answer, args=(connection,), name=self._name, daemon=True).start()
            else:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                connection.settimeout(_HEAR_SECONDS)
                self._serve(connection)
        finally:
            self._room.release()
