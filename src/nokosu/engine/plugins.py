"""The two plugins that turn a zenohd into a store: the storage manager, and RocksDB as its volume."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = "zenohd"
VOLUME: Final = "rocksdb"

_SUFFIX: Final = ".dylib" if sys.platform == "darwin" else ".so"

STORAGE_MANAGER: Final = f"libzenoh_plugin_storage_manager{_SUFFIX}"
ROCKSDB: Final = f"libzenoh_backend_rocksdb{_SUFFIX}"
REST: Final = f"libzenoh_plugin_rest{_SUFFIX}"  # never loaded; `doctor` says where it lies about
LIBRARIES: Final = (STORAGE_MANAGER, ROCKSDB)


def missing(folder: Path, names: Iterable[str] = LIBRARIES) -> list[str]:
    """The files of *names* that *folder* does not hold."""
    return [name for name in names if not folder.joinpath(name).is_file()]


def loading(folder: Path, storages: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that loads both, from *folder* and from nowhere else: required, so that a zenohd without
    them ends instead of running as a router that keeps nothing. By name, not by path: then its log tells why one would
    not load.
    """
    return {
        "plugins_loading": {"enabled": True, "search_dirs": [str(folder)]},
        "plugins": {
            "storage_manager": {
                "__required__": True,
                "backend_search_dirs": [str(folder)],
                "volumes": {VOLUME: {"__required__": True}},
                "storages": storages,
            }
        },
    }


def storage(key_expr_root: str, folder: str, replication: dict[str, Any] | None) -> dict[str, Any]:
    """A storage of all keys below *key_expr_root*, kept in *folder* below the root that the environment names; on its own
    without *replication*.
    """
    return {
        "key_expr": f"{key_expr_root}/**",
        "strip_prefix": key_expr_root,
        "complete": True,
        "volume": {"id": VOLUME, "dir": folder, "create_db": True},
        **({"replication": replication} if replication is not None else {}),
    }
