"""File systems that only root can mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it mounts a file system")


@contextmanager
def mounted(kind: str, at: Path, options: str) -> Iterator[Path]:
    """A fresh file system of that kind at *at*."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, "nokosu-test", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


@contextmanager
def seen_read_only(folder: Path, at: Path) -> Iterator[Path]:
    """*folder* once more at *at*, where it cannot be written."""
    at.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(at)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(at)], check=True)
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)
