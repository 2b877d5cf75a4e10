"""One zenohd, running: started so that it cannot outlive us, watched, and ended.

What keeps it from working is told in one line, and then it does not run: a plugin that is missing or of another build, a
RocksDB that another process holds or that cannot be opened, a port that is taken, a folder of another space. That it
accepts connections says that its storages are made; that they keep what is put, only a probe can say, which is a client's
work.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from nokosu import filesystem, limits
from nokosu.engine import complaints, located
from nokosu.engine.guard import Guarded
from nokosu.engine.located import Engine
from nokosu.engine.settings import STORAGES, EngineSettings, config, root
from nokosu.errors import MeshError

CONFIG_NAME: Final = "zenohd.json"
LOG_NAME: Final = "zenohd.log"

_HINT: Final = "nokosu node logs"
_LOOK_SECONDS: Final = 0.01
_CONNECT_SECONDS: Final = 1.0
_TAIL_BYTES: Final = 16 * 1024  # of the log: more than the longest panic


class Zenohd:
    """A zenohd that serves both storages of a space. `start` is the way to have one."""

    def __init__(self, settings: EngineSettings, process: Guarded, log_start: int) -> None:
        self._settings = settings
        self._process = process
        self._log = settings.folder / LOG_NAME
        self._log_start = log_start

    @classmethod
    def start(cls, engine: Engine, settings: EngineSettings, *, wait_seconds: float) -> Zenohd:
        """Start it, and wait until local clients can connect.

        Raises:
            MeshError: it cannot work; says why, and nothing runs.
        """
        folder = settings.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            _refuse_foreign(settings)
            _refuse_served(settings.socket)
            _remove(settings.socket)
            text = json.dumps(config(settings, engine), indent=1)
            filesystem.replace(folder / CONFIG_NAME, text.encode())
        except OSError as error:
            raise MeshError(f"zenohd: {error.filename or folder}: {error.strerror}", hint=_HINT) from error
        log = folder / LOG_NAME
        _bound(log)
        before = _size(log)
        command = [str(engine.zenohd), "-c", str(folder / CONFIG_NAME)]
        process = Guarded(command, environ=located.environment(folder), folder=folder, log=log)
        started = cls(settings, process, before)
        try:
            started._wait(wait_seconds)
        except BaseException:
            started.stop()
            raise
        return started

    @property
    def pid(self) -> int:
        """The number of zenohd's own process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it runs. Whoever watches it by this also keeps its log within bounds."""
        if _bound(self._log):
            self._log_start = 0
        return self._process.is_alive()

    def last_words(self) -> str:
        """Why it ended, or what troubles it, in one line; empty while it runs and says nothing."""
        said = _tail(self._log, self._log_start)
        return complaints.reason(said) or complaints.last_words(said) or _ending(self._process.ended())

    def stop(self) -> None:
        """End it at once, which RocksDB is made for; a second time is fine. Returns when it is gone."""
        self._process.stop()
        _remove(self._settings.socket)

    def rss_bytes(self) -> int:
        """How much memory it holds; 0 if that cannot be told."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_bytes().split()
            return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
        except FileNotFoundError:
            return _rss_told_by_ps(self.pid)
        except (OSError, IndexError, ValueError):
            return 0

    def disk_bytes(self) -> int:
        """How much its two storages take on the disk."""
        return sum(_bytes_below(self._settings.folder / name) for name in STORAGES)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not _accepts(self._settings.socket):
            if not self._process.is_alive():
                raise MeshError(f"zenohd did not start: {self.last_words()}", hint=_HINT)
            if time.monotonic() > until:
                raise MeshError(f"zenohd did not start within {seconds:.0f} seconds: {self.last_words()}", hint=_HINT)
            time.sleep(_LOOK_SECONDS)  # there is nothing to wait on that a process which starts could signal
        # It opens its sockets after its storages, and goes on without one that failed: the log alone tells.
        fault = complaints.storage_fault(_tail(self._log, self._log_start))
        if fault:
            raise MeshError(f"zenohd did not start: {fault}", hint=_HINT)


def _ending(status: int | None) -> str:
    if status is None:
        return ""
    return f"it was ended by signal {status - 128}" if status > 128 else f"it ended with status {status}"


# Before a start -------------------------------------------------------------------------------------------------------


def _refuse_foreign(settings: EngineSettings) -> None:
    """A folder that has served another space, or that somebody else has configured, is not ours to write to."""
    path = settings.folder / CONFIG_NAME
    try:
        storages = json.loads(path.read_bytes())["plugins"]["storage_manager"]["storages"]
        found = {storage["key_expr"] for storage in storages.values()}
    except FileNotFoundError:
        return
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MeshError(f"zenohd: {path} is not a configuration of ours", hint=f"move {path} away") from error
    if found != {f"{root(settings.space)}/{name}/**" for name in STORAGES}:
        raise MeshError(f"zenohd: {settings.folder} belongs to another space", hint=f"look at {path}")


def _refuse_served(path: Path) -> None:
    if _accepts(path):
        raise MeshError(f"zenohd: another one answers at {path} already", hint="nokosu node status")


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _remove(path: Path) -> None:
    """Zenohd leaves its socket and a lock beside it behind."""
    for name in (path, path.with_name(f"{path.name}.lock")):
        with suppress(FileNotFoundError):
            name.unlink()


# Its log, and what it takes -------------------------------------------------------------------------------------------


def _bound(log: Path) -> bool:
    """Put a log that has become too long aside. The process keeps its descriptor and adds to what is then empty."""
    if _size(log) <= limits.ENGINE_LOG_BYTES_MAX:
        return False
    with suppress(OSError):
        shutil.copy2(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tail(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, _size(log) - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _bytes_below(folder: Path) -> int:
    """RocksDB removes its files while we count them."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sum(_size(Path(entry.path)) for entry in entries if entry.is_file(follow_symlinks=False))
    return 0


def _rss_told_by_ps(pid: int) -> int:
    try:
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=5, check=False)
        return int(done.stdout) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0
