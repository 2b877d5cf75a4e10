"""A file system below SQLite that tells what is asked of it, and fails where it is told to.

SQLite writes through an apsw VFS: each write, sync, truncation and deletion is first shown to a *watcher*, which may raise
and so make it fail. The `-shm` file is memory shared by processes, not data: SQLite maps it past the VFS, and it is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

_SYSTEM = ""  # apsw's name for the operating system's own VFS


class Does(Enum):
    """What SQLite asks of a file system."""

    READ = auto()
    WRITE = auto()
    TRUNCATE = auto()
    SYNC = auto()
    DELETE = auto()


class Operation(Struct, frozen=True):
    """One thing asked of one file: `data` written at `offset`, or the `offset` to truncate at."""

    does: Does
    file: str
    offset: int = 0
    data: bytes = b""

    @property
    def is_sync_of_wal(self) -> bool:
        return self.does == Does.SYNC and self.file.endswith("-wal")


Watcher = Callable[[Operation], None]


@contextmanager
def watched(watcher: Watcher) -> Iterator[str]:
    """The name of a VFS whose operations are shown to *watcher*; for as long as the block lasts."""
    vfs = _Watched(f"watched-{id(watcher):x}", watcher)
    try:
        yield vfs.name
    finally:
        vfs.unregister()


class _Watched(apsw.VFS):
    def __init__(self, name: str, watcher: Watcher) -> None:
        self.name = name
        self._watcher = watcher
        super().__init__(name, _SYSTEM)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _WatchedFile(name, flags, self._watcher)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        self._watcher(Operation(Does.DELETE, Path(filename).name))
        super().xDelete(filename, syncdir)

    def excepthook(self, *raised: object) -> bool:
        return True  # what a watcher raises is for SQLite to see, and nothing to print


class _WatchedFile(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], watcher: Watcher) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else "temporary"
        self._watcher = watcher
        super().__init__(_SYSTEM, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's name
        self._watcher(Operation(Does.READ, self._name, offset))
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._watcher(Operation(Does.WRITE, self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        self._watcher(Operation(Does.TRUNCATE, self._name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._watcher(Operation(Does.SYNC, self._name))
        super().xSync(flags)

    def excepthook(self, *raised: object) -> bool:
        return True  # what a watcher raises is for SQLite to see, and nothing to print
