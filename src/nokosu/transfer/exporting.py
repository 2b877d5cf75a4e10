"""Export: every memory as one line of JSON, for other tools and for reading without nokosu."""

from __future__ import annotations

from typing import BinaryIO, Final

import msgspec

from nokosu.nokosu import Nokosu

_LEFT_OUT: Final = ("history", "versions")


def export(memory: Nokosu, stream: BinaryIO) -> int:
    """Write every memory that is not purged to *stream*, oldest first, one JSON object a line; how many there were.

    Forgotten memories are written too, with `status` "forgotten". Field names are those of `Memory`.
    """
    count = 0
    for one in memory.memories():
        fields = {name: value for name, value in msgspec.structs.asdict(one).items() if name not in _LEFT_OUT}
        stream.write(msgspec.json.encode(fields) + b"\n")
        count += 1
    return count
