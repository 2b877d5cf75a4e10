"""Is everything as it should be? Each check tells the truth about one thing and names the next command to type."""

from __future__ import annotations

import apsw

from nokosu.config import Config
from nokosu.doctor import home, meaning, mesh, store
from nokosu.doctor.result import Result

__all__ = ["Result", "examine"]


def examine(
    config: Config,
    *,
    mounts: list[tuple[str, str]] | None = None,
    free_bytes_min: int = home.FREE_BYTES_MIN,
    sqlite: str = apsw.sqlite_lib_version(),
    outside: mesh.Outside | None = None,
) -> list[Result]:
    """Run every check; a check that cannot run because an earlier one failed is left out.

    *mounts* (mount point and type of each file system), *free_bytes_min*, *sqlite* and *outside* are for tests: what the
    system says, when a disk is full, which SQLite this is, and what is found outside of this device.
    """
    results = home.checks(config, mounts, free_bytes_min)
    if any(result.level == "fail" and result.name == "home" for result in results):
        return results
    if config.is_blind_hub:
        return results + mesh.of_blind_hub(config)
    found = store.checks(config, sqlite)
    if any(result.level == "fail" and result.name == "store" for result in found) or not config.database.exists():
        return results + found
    return [*results, *found, *meaning.checks(config), *mesh.examined(config, outside)]
