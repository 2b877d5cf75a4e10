"""A space that nobody else is in moves into another one: what happens to a `personal` space that joins another.

Memory after memory leaves the old space and appears in the new one in one transaction, its record ids unchanged, so at any
moment each is in exactly one of them, and whoever is killed in between has lost nothing and left nothing half done. From
`begin_move` on, what is saved goes to the new space, and what is edited or forgotten goes there first (`Log.write`). When
the old space is empty it is removed.
"""

from __future__ import annotations

import time
from typing import Final

from nokosu import limits
from nokosu.errors import Refused, StoreDamaged
from nokosu.fold import Status
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection

_LINKED_MAX: Final = 64
_ASIDE: Final = " (moving)"
_OF_A_SPACE: Final = ("edge", "erased", "waiting_purge", "member", "secret", "cut_end", "vector", "address", "refusal")


def step_aside(connection: Connection, space: Space) -> Space:
    """Give up a space's name to another that takes its place; the space with the name it has from now on."""
    taken = {one.name for one in roster.spaces(connection)}
    wanted = (f"{space.name}{_ASIDE}", *(f"{space.name}{_ASIDE} {number}" for number in range(2, len(taken) + 3)))
    name = next(one for one in wanted if one not in taken)
    connection.run("UPDATE space SET name = ? WHERE n = ?", (name, space.n))
    return Space(space.n, space.id, name)


def begin_move(connection: Connection, source: Space, target: Space) -> None:
    """From now on *source* moves into *target*, which takes over its name, unless it is `local` or *source* has stepped
    aside already.

    Raises:
        Refused: others are in *source*, it is `local`, or one of the two moves already.
    """
    if source.n == target.n or source.name == roster.LOCAL or len(roster.members(connection, source)) > 1:
        raise Refused(
            f"space: {source.name!a} cannot move to another one: others are in it, or it stays here", field="space"
        )
    if any(target_of(connection, space) is not None for space in (source, target)):
        raise Refused(f"space: {source.name!a} moves to another one already", field="space")
    if _ASIDE not in source.name:
        step_aside(connection, source)
        if target.name != roster.LOCAL:
            connection.run("UPDATE space SET name = ? WHERE n = ?", (source.name, target.n))
    connection.run("UPDATE space SET moving_to = ?, port = NULL, listen = NULL WHERE n = ?", (target.n, source.n))


def target_of(connection: Connection, space: Space) -> Space | None:
    """The space that a space moves into; None if it stays."""
    row = connection.row(
        "SELECT target.n, target.id, target.name FROM space JOIN space AS target ON target.n = space.moving_to WHERE space.n = ?",
        (space.n,),
    )
    return Space(*row) if row is not None else None


def turn_to_local(connection: Connection, target: Space) -> list[Space]:
    """Have what still moves into *target* move into `local` instead; the spaces that it is still in."""
    turned = [source for source, to in _moving(connection) if to.n == target.n]
    local = roster.space_named(connection, roster.LOCAL)
    for source in turned:
        connection.run("UPDATE space SET moving_to = ? WHERE n = ?", (local.n, source.n))
    return turned


def move_some(database: Database, log: Log, *, most: int = 256) -> int:
    """Move memories for at most 20 ms and at most *most* of them, in one transaction; how many. 0: nothing moves any more.

    Memories of which a record is damaged stay where they are, and so does their space, until they are mended or purged.
    """
    if not database.rows("SELECT 1 FROM space WHERE moving_to IS NOT NULL"):
        return 0
    with database.write() as connection:
        until = time.monotonic() + limits.BATCH_HOLD_MS_MAX / 1000
        moved = 0
        for source, target in _moving(connection):
            for memory in _memories(connection, source, most):
                if moved >= most or (moved and time.monotonic() >= until):
                    return moved
                for one in _linked(connection, source, memory):
                    moved += _carried(connection, log, source, target, one)
            if _is_empty(connection, source):
                _remove(connection, source)
        return moved


def _linked(connection: Connection, space: Space, memory: str) -> list[str]:
    """A memory that is still in a space, and those that it supersedes or is superseded by, through others: they move
    together, so that none shows meanwhile that is hidden. Of very many the others follow.
    """
    found, waiting = {memory}, [memory]
    while waiting and len(found) < _LINKED_MAX:
        one = waiting.pop()
        rows = connection.rows(
            "SELECT newer FROM edge WHERE space = ?1 AND older = ?2 UNION SELECT older FROM edge WHERE space = ?1 AND newer = ?2",
            (space.n, one),
        )
        waiting += [other for (other,) in rows if other not in found]
        found |= {other for (other,) in rows}
    marks = ", ".join("?" * len(found))
    rows = connection.rows(
        f"SELECT id FROM memory WHERE space = ? AND id IN ({marks}) AND status <> ?", (space.n, *found, Status.DAMAGED)
    )
    return [id for (id,) in rows]


def _carried(connection: Connection, log: Log, source: Space, target: Space, memory: str) -> bool:
    """Whether a memory could be moved; one that cannot is marked as damaged, and not tried again until it is mended."""
    try:
        log.carry(connection, source, target, memory)
    except StoreDamaged:
        index = Index()
        index.remove(connection, source.n, [memory])
        index.add(connection, source.n, [memory])
        return False
    return True


def _moving(connection: Connection) -> list[tuple[Space, Space]]:
    found = ((space, target_of(connection, space)) for space in roster.spaces(connection))
    return [(space, target) for space, target in found if target is not None]


def _memories(connection: Connection, space: Space, most: int) -> list[str]:
    """Some of the memories that are still in a space and whole, oldest first."""
    rows = connection.rows(
        "SELECT id FROM memory WHERE space = ? AND status <> ? ORDER BY n LIMIT ?", (space.n, Status.DAMAGED, most)
    )
    return [memory for (memory,) in rows]


def _is_empty(connection: Connection, space: Space) -> bool:
    row = connection.row(
        "SELECT 1 FROM log JOIN record ON record.log = log.n WHERE log.space = ? AND record.memory <> ''", (space.n,)
    )
    return row is None


def _remove(connection: Connection, space: Space) -> None:
    """Take an empty space out, with its logs and what was known about it."""
    logs = "SELECT n FROM log WHERE space = ?"
    for sql in (
        f"DELETE FROM head WHERE log IN ({logs})",
        f"DELETE FROM start WHERE log IN ({logs})",
        f"DELETE FROM record WHERE log IN ({logs})",
        "DELETE FROM log WHERE space = ?",
        "DELETE FROM memory WHERE space = ?",
        *(f"DELETE FROM {table} WHERE space = ?" for table in _OF_A_SPACE),
        "DELETE FROM space WHERE n = ?",
    ):  # fmt: skip
        connection.run(sql, (space.n,))
