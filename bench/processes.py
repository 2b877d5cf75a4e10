"""Whole processes: how long a command takes, from its start to its end, and what it writes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 512
NOKOSU = (sys.executable, "-c", "from nokosu.cli import main; main()")
"""What the installed `nokosu` does, with this interpreter and this checkout."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process took. `written` counts the bytes it sent to file systems; macOS does not tell."""

    wall_ms: float
    cpu_ms: float
    written: int
    code: int


def run(command: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run *command* to its end with its output thrown away, in the current folder."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    return Ended(
        wall_ms=wall * 1000,
        cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000,
        written=usage.ru_oublock * _BLOCK_BYTES,
        code=os.waitstatus_to_exitcode(status),
    )


def environment(home: Path) -> dict[str, str]:
    """An environment of its own: this checkout, that store, and nobody's agent."""
    source = str(Path(__file__).resolve().parents[1] / "src")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": source,
        "NOKOSU_HOME": str(home),
        "NOKOSU_AGENT": "bench",
        "NOKOSU_EMBEDDER": "off",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file in *folder*."""
    found = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}
