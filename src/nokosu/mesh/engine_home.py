"""Where a space's zenohd keeps what it has, in the home: a folder of its own, and the id that it keeps for good.

`engine/<space>/` holds its `zid`, its configuration, its log and RocksDB. The id is made once: the others know by it how
far this storage is, and their hub record names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nokosu import filesystem, ids
from nokosu.errors import MeshError
from nokosu.ids import Random

ENGINE_FOLDER: Final = "engine"
ZID_BYTES: Final = 16


def folder(home: Path, space: bytes) -> Path:
    """The folder of a space's zenohd; it need not be there."""
    return home / ENGINE_FOLDER / space.hex()[:10]


def made(home: Path, space: bytes) -> Path:
    """The same, made if need be, for its owner alone.

    Raises:
        MeshError: it cannot be made.
    """
    path = folder(home, space)
    try:
        for one in (path.parent, path):
            one.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise MeshError(f"{path} cannot be made ({error.strerror})", hint="nokosu doctor") from error
    return path


def zid(home: Path, space: bytes, random: Random) -> str:
    """The id of this home's zenohd in a space; made by the first to ask, and kept.

    Raises:
        MeshError: it cannot be read or written, or is none.
    """
    path = made(home, space) / "zid"
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = new_zid(random)
        keep_zid(home, space, found)
    except (OSError, UnicodeDecodeError) as error:
        raise MeshError(f"{path} cannot be read ({error})", hint=f"ls -l {path}") from error
    if not ids.is_zenoh_id(found):
        raise MeshError(f"{path} is not an id of Zenoh", hint=f"rm {path}")
    return found


def keep_zid(home: Path, space: bytes, zid: str) -> None:
    """Keep an id that was made before the space was known, as at a pairing.

    Raises:
        MeshError: it cannot be written.
    """
    path = made(home, space) / "zid"
    try:
        filesystem.replace(path, f"{zid}\n".encode())
    except OSError as error:
        raise MeshError(f"{path} cannot be written ({error.strerror})", hint="nokosu doctor") from error


def new_zid(random: Random) -> str:
    """An id unlike any other's, as Zenoh prints it: in hex, without zeros in front."""
    drawn = random(ZID_BYTES)
    return bytes([drawn[0] | 0x10, *drawn[1:]]).hex()
