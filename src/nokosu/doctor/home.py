"""Checks of the home folder: is it there, is it private, can it be written, is it on a disk that SQLite can trust."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Final

from nokosu import filesystem, looks
from nokosu.config import CONFIG_NAME, HUB_NAME, Config
from nokosu.doctor.result import Result

FREE_BYTES_MIN: Final = 64 * 1024 * 1024
_PRIVATE: Final = 0o077


def checks(config: Config, mounts: list[tuple[str, str]] | None, free_bytes_min: int) -> list[Result]:
    """All checks of the home; see `doctor.examine`."""
    if sys.platform == "win32":
        return [Result("system", "fail", "native Windows is not supported", "use WSL2 with the home inside it")]
    disk = [_disk(config.home, free_bytes_min), _file_system(config.home, mounts)]
    if not config.home.exists():
        return [_can_be_made(config.home), *disk]
    if not config.home.is_dir():
        return [Result("home", "fail", f"{config.home} is not a folder", f"mv {config.home} {config.home}.old")]
    reachable = _writable(config)
    if reachable.level == "fail":
        return [reachable, *disk]
    return [reachable, _modes(config), *disk, _configuration(config)]


def _can_be_made(home: Path) -> Result:
    folder = _existing(home)
    if os.access(folder, os.W_OK | os.X_OK):
        return Result("home", "ok", f"{home} will be made at the first save")
    return Result(
        "home", "fail", f"{home} cannot be made: {folder} may not be written by this process", f"ls -ld {folder}"
    )


def _writable(config: Config) -> Result:
    if os.access(config.home, os.W_OK | os.X_OK):
        return Result("home", "ok", f"{config.home} can be read and written")
    if os.access(config.home, os.R_OK | os.X_OK):
        return Result(
            "home", "warn", f"{config.home} may not be written by this process: searching works, saving does not",
            f"ls -ld {config.home}",
        )  # fmt: skip
    return Result("home", "fail", f"{config.home} may not be read by this process", f"ls -ld {config.home}")


def _modes(config: Config) -> Result:
    """Folder 0700, files 0600: other users of the machine see nothing."""
    database = config.database.name
    names = (database, f"{database}-wal", f"{database}-shm", CONFIG_NAME, HUB_NAME, looks.FOLDER)
    open_to_others = [path for path in (config.home, *(config.home / name for name in names)) if _is_open(path)]
    if not open_to_others:
        return Result("privacy", "ok", "only you can read the home and its files")
    fix = f"chmod -R go-rwx {config.home}"
    return Result(
        "privacy", "fail", f"{len(open_to_others)} can be read by other users", fix, tuple(map(str, open_to_others))
    )


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _PRIVATE)
    except FileNotFoundError:
        return False


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disk(home: Path, free_bytes_min: int) -> Result:
    folder = _existing(home)
    free = shutil.disk_usage(folder).free
    if free < free_bytes_min:
        return Result(
            "disk",
            "fail" if free < free_bytes_min // 16 else "warn",
            f"only {free // 1024} KiB free: saving will soon fail",
            f"df -h {folder}",
        )
    return Result("disk", "ok", f"{free // 1024**2} MiB free")


def _file_system(home: Path, mounts: list[tuple[str, str]] | None) -> Result:
    kind = filesystem.unfit_for_wal(home, mounts)
    if kind is None:
        return Result("file system", "ok", "local")
    return Result(
        "file system", "fail", f"the home is on a network file system ({kind}), which does not lock as SQLite needs",
        "set NOKOSU_HOME to a folder on a local disk",
    )  # fmt: skip


def _configuration(config: Config) -> Result:
    path = config.home / CONFIG_NAME
    if not path.exists():
        return Result("config", "ok", "defaults (no config.toml)")
    return Result("config", "ok", f"{path} is valid")
