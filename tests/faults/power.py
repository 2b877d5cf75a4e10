"""Power cuts: what a disk may hold after one, for every moment of a recorded run.

What was synced is there. Of the rest there may be nothing, a first part, or any of its sectors: a disk writes 512 bytes at a
time, in the order that suits it.

Source: the crash tests of SQLite ("How SQLite Is Tested", section 3.4), which damage unsynced writes in the same ways.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

from tests.faults.vfs import Does, Operation

_SECTOR_BYTES = 512


class Kept(Enum):
    """What is left of the writes that were not synced."""

    NOTHING = "nothing"
    FIRST = "a first part"
    SOME = "some sectors"


class Disk:
    """The files of a run: what is certain to be on the disk, and what has only been asked for."""

    def __init__(self, home: Path) -> None:
        """Begin with the files of *home*, which have long been on the disk. Memory shared by processes is none of them."""
        self._certain = {
            path.name: bytearray(path.read_bytes()) for path in home.iterdir() if not path.name.endswith("-shm")
        }
        self._asked: dict[str, list[Operation]] = {}

    def take(self, operation: Operation) -> None:
        """Do what a file system does with *operation*."""
        if operation.does == Does.SYNC:
            for asked in self._asked.pop(operation.file, []):
                _apply(self._certain.setdefault(asked.file, bytearray()), asked)
        elif operation.does == Does.DELETE:
            self._certain.pop(operation.file, None)
            self._asked.pop(operation.file, None)
        elif operation.does != Does.READ:
            self._asked.setdefault(operation.file, []).append(operation)

    def waiting(self) -> set[str]:
        """The files of which something is not yet certain."""
        return set(self._asked)

    def cut(self, target: Path, kept: Kept, rng: random.Random) -> None:
        """Write into *target* what the disk holds if the power fails now."""
        target.mkdir()
        for name in self._certain.keys() | self._asked.keys():
            content = bytearray(self._certain.get(name, b""))
            for operation in _survivors(self._asked.get(name, []), kept, rng):
                _apply(content, operation)
            (target / name).write_bytes(content)


def as_with_synchronous_normal(trace: Sequence[Operation]) -> list[Operation]:
    """The run as it would be if a commit did not wait for the disk: the WAL is synced only before it is moved."""
    return [
        one
        for one, following in zip(trace, [*trace[1:], None], strict=True)
        if not one.is_sync_of_wal or (following is not None and not following.file.endswith("-wal"))
    ]


def _survivors(asked: Sequence[Operation], kept: Kept, rng: random.Random) -> Iterator[Operation]:
    if kept == Kept.FIRST:
        yield from asked[: rng.randint(0, len(asked))]
    elif kept == Kept.SOME:
        for operation in asked:
            yield from (part for part in _sectors(operation) if rng.random() < 0.5)


def _sectors(operation: Operation) -> Iterator[Operation]:
    """A write in parts that a disk writes at once; a truncation is one part."""
    if operation.does != Does.WRITE:
        yield operation
        return
    start, end = operation.offset, operation.offset + len(operation.data)
    while start < end:
        stop = min(end, start - start % _SECTOR_BYTES + _SECTOR_BYTES)
        yield Operation(
            Does.WRITE, operation.file, start, operation.data[start - operation.offset : stop - operation.offset]
        )
        start = stop


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.does == Does.TRUNCATE:
        del content[operation.offset :]
        return
    content.extend(bytes(max(0, operation.offset - len(content))))
    content[operation.offset : operation.offset + len(operation.data)] = operation.data
