"""What machine this is, in words that fit any other of its kind: no host, no user, no path."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import apsw

from bench.measuring import busy_loop_ms


@dataclass(frozen=True, slots=True)
class Machine:
    """Beside what it is, how busy it was: the load, and CPU time of a fixed loop, which grows when others use the cores."""

    system: str
    cores: int
    memory_gib: int
    file_system: str
    python: str
    sqlite: str
    load_before: float
    load_after: float
    loop_ms_before: float
    loop_ms_after: float


def load() -> tuple[float, float]:
    """The load average of the last minute, and the CPU milliseconds of a fixed loop."""
    return os.getloadavg()[0], busy_loop_ms()


def describe(folder: Path, before: tuple[float, float], after: tuple[float, float]) -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        file_system=_file_system(folder),
        python=platform.python_version(),
        sqlite=apsw.sqlite_lib_version(),
        load_before=before[0],
        load_after=after[0],
        loop_ms_before=before[1],
        loop_ms_after=after[1],
    )


def _file_system(folder: Path) -> str:
    """The kind of file system that holds *folder*: where it is in memory, a save costs no sync."""
    try:
        lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    resolved = str(folder.resolve())
    holding = [(len(at), kind) for _, at, kind, *_ in lines if (resolved + "/").startswith(at.rstrip("/") + "/")]
    return max(holding)[1] if holding else "unknown"
