"""Where a space's zenohd keeps what it has, in the home: a folder of its own, and the id that it keeps for good.

`engine/<space>/` holds its `zid`, its configuration, its log and RocksDB. The others know by the id how far this storage is,
and a hub's record names it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu import filesystem, ids
from nokosu.errors import MeshError
from nokosu.ids import Random

ENGINE_FOLDER: Final = "engine"
ZID_BYTES: Final = 16
_EVERYWHERE: Final = "everywhere"
_MACHINE_ID: Final = Path("/etc/machine-id")


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
    """The id of this home's zenohd in a space; made by the first to ask, and kept as long as the folder stays where it is.

    A home that was copied to another place is another storage: of two with one id every other zenohd lets in one alone.

    Raises:
        MeshError: it cannot be read or written, or is none.
    """
    folder = made(home, space)
    kept = _kept(folder / "zid")
    if kept is None or kept.place not in (_EVERYWHERE, _place(folder)):
        kept = _Kept(new_zid(random), _place(folder))
        _keep(folder / "zid", kept)
    return kept.zid


def hub_zid(home: Path, space: bytes, random: Random) -> str:
    """The same for a hub, which the others know by its id: it is kept wherever the home is put.

    Raises:
        MeshError: it cannot be read or written, or is none.
    """
    found = zid(home, space, random)
    _keep(made(home, space) / "zid", _Kept(found, _EVERYWHERE))
    return found


class _Kept(Struct, frozen=True):
    """An id, and the place in which it holds."""

    zid: str
    place: str


def _kept(path: Path) -> _Kept | None:
    try:
        words = path.read_text().split()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MeshError(f"{path} cannot be read ({error})", hint=f"ls -l {path}") from error
    if len(words) not in (1, 2) or not ids.is_zenoh_id(words[0]):
        raise MeshError(f"{path} is not an id of Zenoh", hint=f"rm {path}")
    return _Kept(words[0], words[1] if len(words) == 2 else _EVERYWHERE)


def _keep(path: Path, kept: _Kept) -> None:
    try:
        filesystem.replace(path, f"{kept.zid} {kept.place}\n".encode())
    except OSError as error:
        raise MeshError(f"{path} cannot be written ({error.strerror})", hint="nokosu doctor") from error


def _place(folder: Path) -> str:
    """What tells this folder from a copy of it: the machine, where it has an id, and the folder's inode. The number of the file
    system would tell more, but another may be given at each start of the machine.
    """
    try:
        machine = _MACHINE_ID.read_bytes().strip()
    except OSError:
        machine = b""  # as on macOS
    return hashlib.sha256(b"%s %d" % (machine, folder.stat().st_ino)).hexdigest()[:16]


def new_zid(random: Random) -> str:
    """An id unlike any other's, as Zenoh prints it: in hex, without zeros in front."""
    drawn = random(ZID_BYTES)
    return bytes([drawn[0] | 0x10, *drawn[1:]]).hex()
