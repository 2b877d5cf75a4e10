"""Export: every memory as one line of JSON, for other tools and for reading without nokosu."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from nokosu.nokosu import Nokosu


def export(memory: Nokosu, stream: BinaryIO) -> int:
    """Write every memory that is not purged to *stream*, oldest first, one JSON object a line; how many there were.

    Forgotten memories are written too, with `status` "forgotten", and all versions of one in conflict. Field names are
    those of `Memory`, without its history and its delivery.

    Raises:
        StoreDamaged: after all that are whole: some are damaged, and were left out.
    """
    count = 0
    for one in memory.memories():
        fields = msgspec.structs.asdict(one)
        del fields["history"], fields["delivery"]
        stream.write(msgspec.json.encode(fields) + b"\n")
        count += 1
    return count
