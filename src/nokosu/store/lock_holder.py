"""Which process holds the write lock of a database, asked of the operating system.

SQLite's WAL lock is a POSIX record lock on one byte of the `-shm` file. Opening and closing that file in our own
process would drop our own locks on it, so a child process asks.

Source: SQLite, "WAL-mode File Format", section "WAL Locks"; fcntl(2), F_GETLK.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

_ASK: Final = """
import fcntl, struct, sys
linux = sys.platform != "darwin"
layout = "hhqqi4x" if linux else "qqihh"
want = (fcntl.F_WRLCK, 0, 120, 1, 0) if linux else (120, 1, 0, fcntl.F_WRLCK, 0)
with open(sys.argv[1], "r+b") as shm:
    held = struct.unpack(layout, fcntl.fcntl(shm, fcntl.F_GETLK, struct.pack(layout, *want)))
kind, pid = (held[0], held[4]) if linux else (held[3], held[2])
print(0 if kind == fcntl.F_UNLCK else pid)
"""


def writer_pid(database: Path) -> int | None:
    """The process that holds the write lock now; None when there is none, or the system does not tell."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _ASK, f"{database}-shm"], capture_output=True, timeout=5, check=True
        )
        return int(done.stdout) or None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
