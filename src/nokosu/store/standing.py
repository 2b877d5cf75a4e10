"""What stands in a project now, for a brief: its living memories by type, the important first, and what came in lately. Reads only."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import Struct

from nokosu import fold, limits
from nokosu.fold import Order, Status
from nokosu.looks import Position
from nokosu.store.sqlite import Connection


class Standing(Struct, frozen=True):
    """The memories that a brief may tell: by type, the important first and then the newest, of summaries the newest, by number.
    Forgotten, expired and superseded ones are not among them. `is_all` is false where older ones were not looked at.
    """

    by_type: dict[str, list[int]]
    is_all: bool

    @property
    def numbers(self) -> set[int]:
        """All of them."""
        return {n for numbers in self.by_type.values() for n in numbers}


class Scope(Struct, frozen=True):
    """The projects that a brief is about, and those that it is not; as SQL on `memory`."""

    condition: str
    values: tuple[object, ...]


def scope_of(members: Sequence[int] | None, apart: Sequence[int]) -> Scope:
    """The projects *members*, or with None all but those *apart*."""
    if members is None:
        return Scope("coalesce(memory.project, 0) NOT IN (SELECT value FROM json_each(?))", (json.dumps(apart),))
    if len(members) == 1:
        return Scope("memory.project = ?", (members[0],))
    return Scope("memory.project IN (SELECT value FROM json_each(?))", (json.dumps(members),))


def standing(connection: Connection, scope: Scope, now_ms: int) -> Standing:
    """What stands there at *now_ms*, of the latest `limits.BRIEF_MEMORIES_MAX` memories."""
    rows = connection.rows(
        f"SELECT n, type, CASE type WHEN 'summary' THEN 0 ELSE importance END FROM memory WHERE {scope.condition} "
        "AND status = ? AND hlc IS NOT NULL AND (expires IS NULL OR expires > ?) ORDER BY hlc DESC LIMIT ?",
        (*scope.values, Status.LIVE, now_ms, limits.BRIEF_MEMORIES_MAX + 1),
    )
    is_all = len(rows) <= limits.BRIEF_MEMORIES_MAX
    hidden = _hidden(connection, now_ms)
    by_rank: dict[tuple[str, int], list[int]] = {}
    for n, type, importance in rows[: limits.BRIEF_MEMORIES_MAX]:
        by_rank.setdefault((type, importance or 0), []).append(n)
    by_type: dict[str, list[int]] = {}
    for type, importance in sorted(by_rank, reverse=True):
        by_type.setdefault(type, []).extend(n for n in by_rank[type, importance] if n not in hidden)
    return Standing(by_type, is_all)


def position(connection: Connection) -> Position:
    """How far the records go now."""
    row = connection.row("SELECT n, hash FROM record ORDER BY n DESC LIMIT 1")
    return Position(*row) if row is not None else Position()


def is_of_this_store(connection: Connection, position: Position) -> bool:
    """Whether the store went through that position: another one has another record there, or none."""
    return connection.row("SELECT hash FROM record WHERE n = ?", (position.record,)) == (position.hash,)


def came_in(connection: Connection, scope: Scope, after: Position, agent: str) -> list[int]:
    """The memories that somebody other than *agent* on this device wrote, or changed last, and that came in *after* that, the latest
    first: of the latest `limits.NEWS_RECORDS_MAX` records.
    """
    rows = connection.rows(
        "SELECT memory.n FROM (SELECT n, log, memory FROM record WHERE n > ? ORDER BY n DESC LIMIT ?) AS new "
        "CROSS JOIN log ON log.n = new.log CROSS JOIN device ON device.n = log.device "
        "CROSS JOIN memory ON memory.id = new.memory AND memory.space = log.space AND memory.record = new.n "
        f"WHERE (device.private_key IS NULL OR memory.agent <> ? COLLATE NOCASE) AND {scope.condition} ORDER BY new.n DESC",
        (after.record, limits.NEWS_RECORDS_MAX, agent, *scope.values),
    )
    return [n for (n,) in rows]


def written_since(connection: Connection, scope: Scope, since_ms: int, agent: str) -> list[int]:
    """The same for what was written at *since_ms* or later, whenever it came in."""
    rows = connection.rows(
        "SELECT memory.n FROM memory JOIN device ON device.n = memory.device WHERE "
        f"memory.updated >= ? AND (device.private_key IS NULL OR memory.agent <> ? COLLATE NOCASE) AND {scope.condition} "
        "ORDER BY memory.hlc DESC, memory.id LIMIT ?",
        (since_ms, agent, *scope.values, limits.NEWS_RECORDS_MAX),
    )
    return [n for (n,) in rows]


def _hidden(connection: Connection, now_ms: int) -> set[int]:
    """The memories that living ones supersede."""
    order: dict[int, Order] = {}
    newer: dict[int, list[int]] = {}
    rows = connection.rows(
        "SELECT memory.n, memory.hlc, memory.id, newer.n, newer.hlc, newer.id FROM edge "
        "CROSS JOIN memory ON memory.space = edge.space AND memory.id = edge.older "
        "CROSS JOIN memory AS newer ON newer.space = edge.space AND newer.id = edge.newer "
        "WHERE newer.status = ? AND (newer.expires IS NULL OR newer.expires > ?)",
        (Status.LIVE, now_ms),
    )
    for n, hlc, id, other, other_hlc, other_id in rows:
        order[n] = (hlc or 0, id.encode())
        order[other] = (other_hlc or 0, other_id.encode())
        newer.setdefault(n, []).append(other)
    links = fold.Supersessions(lambda n: newer.get(n, ()), order.__getitem__)
    return {n for n in newer if links.hidden_by(n) is not None}
