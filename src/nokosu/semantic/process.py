"""The embedder as a process: is it running, start it, where does it listen. One for a home, held by a lock file.

Every search comes here, so nothing here is heavy. In the home lie `embedder.lock`, which the running embedder holds and describes
itself in, and `embedder.log`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from nokosu import node_process
from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.node_process import Lock, Running
from nokosu.semantic import known

LOCK_NAME: Final = "embedder.lock"
LOG_NAME: Final = "embedder.log"

_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SMALL: Final = {  # of glibc: what a model needed for a text goes back at once; it was measured to halve the process
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}


def is_wanted(config: Config) -> bool:
    """Whether recall by meaning is installed, and not switched off."""
    return config.starts_embedder and known.are_installed()


def running(config: Config) -> Running | None:
    """The embedder of this home; None when none runs."""
    return node_process.running(config.home, LOCK_NAME)


def socket(config: Config) -> Path:
    """Where it listens: in a folder that only its owner may enter.

    Raises:
        MeshError: there is no such folder, and none can be made.
    """
    return node_process.socket_folder(config) / f"{node_process.short_name(config.home)}.embed"


def last_words(config: Config) -> str:
    """Why the last one could not work; empty if it could."""
    with suppress(OSError):
        return node_process.described(config.home / LOCK_NAME).failed
    return ""


def acquire(config: Config, handed: int | None = None) -> Lock | None:
    """The lock, which whoever started this process may have taken for it; None when somebody else has it."""
    if handed is not None:
        return node_process.inherited(config.home, handed, LOCK_NAME)
    return node_process.acquire(config.home, LOCK_NAME)


def give_up(config: Config, handed: int | None, why: str) -> None:
    """Leave word in the lock of why no embedder can work here."""
    lock = acquire(config, handed)
    if lock is not None:
        lock.release(Running(version=node_process.own_version(), started=int(time.time() * 1000), failed=why))


def start_if_needed(config: Config) -> bool:
    """Start it where it is installed and not running, unless the last one could not work a moment ago; whether it was started.
    Nothing is waited for, and nothing raised.
    """
    if not is_wanted(config) or not config.database.exists():
        return False
    with suppress(OSError, MeshError, subprocess.SubprocessError):
        lock = node_process.acquire(config.home, LOCK_NAME)
        if lock is None:
            return False
        if node_process.failed_lately(lock):
            lock.leave()
            return False
        environ = {**node_process.environment(config), **_ONE_THREAD, **_SMALL}
        words = [sys.executable, "-m", "nokosu.semantic", "--lock", str(lock.descriptor)]
        node_process.detach(words, lock, config.home / LOG_NAME, environ)
        return True
    return False
