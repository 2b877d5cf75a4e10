"""What a search and the embedder say to each other, a line of JSON each.

The search sends a `Begin` at once, so that the question is read by the models while the words are looked up, and a `Look` once it
has candidates; a `Told` comes back, and the connection is over. `status` and `stop` are asked for with a `Begin` alone.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from nokosu.search.meaning import Near

LINE_BYTES_MAX: Final = 1024 * 1024


class Begin(Struct, frozen=True):
    """What is asked for, and by which nokosu; with `near`, the question."""

    do: Literal["near", "status", "stop"]
    question: str = ""
    version: str = ""


class Look(Struct, frozen=True):
    """The nearest memories that are asked for, within each of some filters of the index, and those that are to be told of too."""

    scopes: tuple[str, ...]
    wanted: int
    candidates: tuple[int, ...]


class Told(Struct, frozen=True):
    """How near memories are. `pending` counts those that have no vector yet; `lacks` says which model is not there, and why; with
    `blind`, that it would have been needed.
    """

    near: tuple[Near, ...] = ()
    pending: int = 0
    lacks: str = ""
    blind: bool = False


class State(Struct, frozen=True):
    """How the embedder is: its process, how many memories it has read, how many it has yet to, and what it lacks."""

    pid: int
    version: str
    memories: int
    pending: int
    models: tuple[str, ...]
    lacks: str = ""


def line(said: Struct) -> bytes:
    """What is sent."""
    return msgspec.json.encode(said) + b"\n"
