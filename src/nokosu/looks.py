"""How far an agent has been told of a project: a small file beside the store for each agent and project, of this device alone.

It is no memory: it stands in no log, travels nowhere, and may be removed at any time; then the next brief has no news. A file that
cannot be read, or is not ours, counts as none. Its name is a hash, so that the folder lists nobody's projects.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from nokosu import filesystem, limits

FOLDER: Final = "looks"


class Position(Struct, frozen=True):
    """How far the records of a store went at a moment: the number of the last one, and its hash, which tells whether it is still
    the same store.
    """

    record: Annotated[int, Meta(ge=0, le=limits.SEQ_MAX)] = 0
    hash: bytes = b""


class Look(Struct, frozen=True, forbid_unknown_fields=True):
    """News were told from `since` on, or none yet; all up to `until` were there to be told."""

    since: Position | None
    until: Position


def path_of(home: Path, agent: str, project: bytes) -> Path:
    """Where the look of an agent at a project lies; *project* is a key of it, empty for all projects."""
    name = hashlib.sha256(f"{agent.casefold()}\0{project.hex()}".encode()).hexdigest()[:32]
    return home / FOLDER / f"{name}.json"


def read(path: Path) -> Look | None:
    """The look that was noted there, or None."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(limits.LOOK_BYTES_MAX), type=Look)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write(path: Path, look: Look) -> None:
    """Note a look, unless it is noted already.

    Raises:
        OSError: it cannot be written; the one before still stands.
    """
    if read(path) != look:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        filesystem.replace(path, msgspec.json.encode(look))
