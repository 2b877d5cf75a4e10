"""Watch the store for writes of any process, without polling where the system tells.

Linux has inotify, macOS and BSD have kqueue; elsewhere the watch looks four times a second. Being told of a write says
that there may be something new, not what: whoever is woken asks the store.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

_PLATFORM: Final[str] = sys.platform  # a type checker knows one platform only
_POLL_SECONDS: Final = 0.25
_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x80, 0x100  # inotify(7)
_EVENT: Final = struct.Struct("iIII")


class Watch(Protocol):
    """Something that knows when the store was written."""

    def wait(self, seconds: float) -> bool:
        """Wait for a write, at most that long; whether there may have been one since the last call."""
        ...

    def close(self) -> None:
        """End the watch; a `wait` under way in another thread ends with its time."""
        ...


def watch(database: Path) -> Watch:
    """Watch the WAL of *database*, by the best means that this system has."""
    wal = database.with_name(f"{database.name}-wal")
    try:
        if hasattr(select, "kqueue"):
            return _Kqueue(wal)
        if _PLATFORM == "linux":
            return _Inotify(wal)
    except OSError:
        pass  # no watches left on this system (a limit of its user), or the file is not there yet: look instead
    return Polling(wal)


class _Inotify:
    """The folder is watched, not the file: it may be made anew."""

    def __init__(self, file: Path) -> None:
        self._name = os.fsencode(file.name)
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        mask = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE
        if libc.inotify_add_watch(self._fd, os.fsencode(file.parent), mask) < 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, "inotify_add_watch", str(file.parent))

    def wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return False
            if self._is_about_the_file():
                return True

    def close(self) -> None:
        os.close(self._fd)

    def _is_about_the_file(self) -> bool:
        found = False
        with suppress(BlockingIOError):
            data = os.read(self._fd, 1 << 16)
            at = 0
            while at < len(data):
                _, mask, _, size = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
                found = found or name == self._name or mask & ~(_IN_MODIFY | _IN_MOVED_TO | _IN_CREATE) != 0
                at += _EVENT.size + size
        return found


class _Kqueue:
    def __init__(self, file: Path) -> None:
        select_any: Any = select  # kqueue is not known to a type checker that runs on Linux
        self._select = select_any
        self._file = os.open(file, os.O_RDONLY)
        self._queue = select_any.kqueue()
        event = select_any.kevent(
            self._file,
            filter=select_any.KQ_FILTER_VNODE,
            flags=select_any.KQ_EV_ADD | select_any.KQ_EV_CLEAR,
            fflags=select_any.KQ_NOTE_WRITE | select_any.KQ_NOTE_EXTEND,
        )
        self._queue.control([event], 0)

    def wait(self, seconds: float) -> bool:
        return bool(self._queue.control(None, 16, seconds))

    def close(self) -> None:
        self._queue.close()
        os.close(self._file)


class Polling:
    """Looks at the size and the time of the file, four times a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = self._stamp()

    def wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL_SECONDS, left))

    def close(self) -> None:
        """Nothing is held."""

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._file.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)
