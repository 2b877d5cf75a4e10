"""Is everything as it should be? Each check tells the truth about one thing and names the next command to type."""

from __future__ import annotations

import apsw

from nokosu.config import Config
from nokosu.doctor import home, store
from nokosu.doctor.result import Result

__all__ = ["Result", "examine"]


def examine(
    config: Config,
    *,
    mounts: list[tuple[str, str]] | None = None,
    free_bytes_min: int = home.FREE_BYTES_MIN,
    sqlite: str = apsw.sqlite_lib_version(),
) -> list[Result]:
    """Run every check; a check that cannot run because an earlier one failed is left out.

    *mounts* (mount point and type of each file system), *free_bytes_min* and *sqlite* are for tests: what the system
    says, when a disk is full, and which SQLite this is.
    """
    results = home.checks(config, mounts, free_bytes_min)
    if any(result.level == "fail" and result.name == "home" for result in results):
        return results
    return results + store.checks(config, sqlite)
