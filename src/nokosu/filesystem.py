"""What kind of file system a folder is on, and how a small file is replaced. SQLite's WAL needs shared memory and true
locks, which network file systems lack.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_UNFIT: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "9p", "drvfs", "ceph", "glusterfs", "lustre", "fuse.sshfs",
     "fuse.rclone", "fuse.s3fs", "fuse.gvfsd-fuse", "webdav", "davfs", "afpfs", "macfuse", "osxfuse"}
)  # fmt: skip
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")
_MOUNTINFO: Final = Path("/proc/self/mountinfo")


def unfit_for_wal(folder: Path, mounts: list[tuple[str, str]] | None = None) -> str | None:
    """The name of the network file system that *folder*, or its nearest existing parent, is on; None when it is a local
    one.

    *mounts* are pairs of mount point and file system type, read from the system if not given.
    """
    real = _existing(folder)
    best = ("", "")
    for point, kind in mounts if mounts is not None else _mounts():
        inside = real == Path(point) or Path(point) in real.parents
        if inside and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1] if best[1] in _UNFIT else None


def replace(path: Path, data: bytes) -> None:
    """Have *path* hold *data*, readable by its owner alone: after a crash it is the old file or the new one.

    Raises:
        OSError: it cannot be written; the old one is still there.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def parse_mountinfo(text: str) -> list[tuple[str, str]]:
    """Mount points and types from Linux's mountinfo. Source: proc_pid_mountinfo(5)."""
    found = []
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if separator and len(fields) > 4 and right:
            found.append(
                (_OCTAL.sub(_unescaped, os.fsencode(fields[4])).decode(errors="surrogateescape"), right.split(" ")[0])
            )
    return found


def parse_mount_output(text: str) -> list[tuple[str, str]]:
    """Mount points and types from the output of macOS's `mount`: lines such as `//user@host/x on /Volumes/x (smbfs,
    nodev)`.
    """
    found = []
    for line in text.splitlines():
        rest, separator, kinds = line.rpartition(" (")
        if separator and " on " in rest:
            found.append((rest.split(" on ", 1)[1], kinds.rstrip(")").split(",")[0]))
    return found


def _mounts() -> list[tuple[str, str]]:
    try:
        if sys.platform == "darwin":
            done = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True)
            return parse_mount_output(done.stdout)
        return parse_mountinfo(_MOUNTINFO.read_text(errors="surrogateescape"))
    except (OSError, subprocess.SubprocessError):
        return []  # not known: taken for local


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.resolve()


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF])
