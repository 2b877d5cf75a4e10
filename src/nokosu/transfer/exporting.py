"""Export: every memory as one line of JSON, for other tools and for reading without nokosu."""

from __future__ import annotations

from typing import BinaryIO

import msgspec
from msgspec import Struct

from nokosu import view
from nokosu.nokosu import Nokosu


class Exported(Struct, frozen=True):
    """How many memories were written, and how many of them only this device shows."""

    memories: int
    removed: int


def export(memory: Nokosu, stream: BinaryIO) -> Exported:
    """Write every memory that is not purged to *stream*, oldest first, one JSON object a line; how many there were.

    Forgotten memories are written too, with `status` "forgotten", and all versions of one in conflict; and at the end, with
    `status` "removed", what this device wrote in a space after it was removed from it. Field names are those of `Memory`,
    without its history and its delivery.

    Raises:
        StoreDamaged: after all that are whole: some are damaged, and were left out.
    """
    count = removed = 0
    for one in memory.memories():
        fields = msgspec.structs.asdict(one)
        del fields["history"], fields["delivery"]
        stream.write(msgspec.json.encode(fields) + b"\n")
        count += 1
        removed += one.status == view.REMOVED
    return Exported(count, removed)
