"""A search: candidates by keyword, the rows that pass the filters, and their order. Reads only.

The project that the caller works in comes first; up to three of ten places go to stronger hits from elsewhere. A memory
that another one supersedes is answered with the one that does. Relevance decides, importance and recency only break
ties, and the id settles the rest, so the same store gives the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.drafts import Filters
from nokosu.fold import Status
from nokosu.search import keyword, text
from nokosu.search.keyword import Candidate, Match
from nokosu.store import projects, reading, scope
from nokosu.store.reading import MemoryRow
from nokosu.store.sqlite import Connection

ELSEWHERE_SHARE_MAX: Final = 0.3  # of the places, kept for stronger hits from other projects
_WIDER: Final = 4  # how much further each look goes when filters leave too little
_FIRST_OF_ALL: Final = 200  # candidates ranked at first, of which the project's own are taken
_ROWS_AT_ONCE: Final = 16  # rows are loaded a few at a time: most searches need no more

SUPERSEDED: Final = "superseded"
FORGOTTEN: Final = "forgotten"
EXPIRED: Final = "expired"


class Asked(Struct, frozen=True, kw_only=True):
    """A query as the engine takes it: names resolved to numbers.

    `restrict` searches `project` alone; `elsewhere` is whether other projects are shown beside it; `apart` are projects
    that are shown only when they are asked for by name.
    """

    filters: Filters
    now_ms: int
    project: int | None = None
    restrict: bool = False
    elsewhere: bool = True
    apart: frozenset[int] = frozenset()
    devices: tuple[bytes, ...] | None = None
    spaces: tuple[int, ...] | None = None


class Ranked(Struct, frozen=True):
    """A memory found, its score, and the one that supersedes it, if that is not hidden."""

    row: MemoryRow
    score: float
    elsewhere: bool = False
    superseded_by: str | None = None


class Found(Struct, frozen=True):
    """What a search found: the best first, how many match, whether that is exact, and what was withheld by reason."""

    ranked: tuple[Ranked, ...]
    total: int
    total_is_exact: bool
    withheld: dict[str, int]
    has_words: bool = True


def search(connection: Connection, query: str, asked: Asked) -> Found:
    """Find memories by the words of *query*; with an empty query, the latest that the filters let through.

    Raises:
        UsageError: the query has too many words.
    """
    if not query.strip():
        return latest(connection, asked)
    terms = text.parse(query)
    tries = keyword.expressions(connection, terms)
    if not tries:
        return Found((), 0, True, {}, has_words=False)
    if asked.project is None or asked.restrict or not asked.elsewhere:
        return _search_alone(connection, tries, asked)
    return _search_project_first(connection, tries, asked, asked.project)


def latest(connection: Connection, asked: Asked) -> Found:
    """The memories last written that the filters let through."""
    narrowed = _scope_expression(connection, asked, inside=True)
    sql, values = _latest_sql(connection, asked, narrowed)
    wanted = asked.filters.limit
    look = _Look(connection, asked)
    offset, size = 0, wanted + 1
    while len(look.passed) <= wanted:
        rows = connection.rows(sql, (*values, size, offset))
        look.take(Ranked(MemoryRow(*row), 0.0) for row in rows)
        if len(rows) < size:
            return Found(tuple(look.passed[:wanted]), len(look.passed), True, dict(look.withheld))
        offset, size = offset + size, size * _WIDER
    return Found(tuple(look.passed[:wanted]), len(look.passed), False, dict(look.withheld))


class _Look:
    """Collects what passes the filters, and counts what does not."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self._connection = connection
        self._asked = asked
        self._taken: set[int] = set()
        self.passed: list[Ranked] = []
        self.withheld: Counter[str] = Counter()
        self.total = 0
        self.total_is_exact = True

    def fill(self, match: Match, wanted: int) -> None:
        """Take the best that match until enough have passed the filters or there are no more."""
        matches = keyword.count(self._connection, match)
        for batch in keyword.candidates(self._connection, match, matches):
            self.take_until(batch, wanted, all_of_them=matches <= limits.CANDIDATES)
            if len(self.passed) >= wanted:
                break
        self.close(matches)

    def close(self, matches: int) -> None:
        """Put what has passed in order; *matches* is how many there are in all, as far as they are counted."""
        self.passed.sort(key=_best_first)
        if matches <= limits.CANDIDATES:
            self.total = len(self.passed)
        else:
            self.total = max(min(matches, limits.MATCHES_COUNTED_MAX), len(self.passed))
            self.total_is_exact = matches <= limits.MATCHES_COUNTED_MAX and not self.withheld

    def take_until(self, batch: list[Candidate], wanted: int, *, all_of_them: bool) -> None:
        """Take candidates, best first, until enough have passed and the next one scores less than the last."""
        for start in range(0, len(batch), _ROWS_AT_ONCE):
            part = batch[start : start + _ROWS_AT_ONCE]
            if not all_of_them and len(self.passed) >= wanted and _score(part[0].score) < _score(self.passed[-1].score):
                return
            rows = reading.rows_by_number(self._connection, [candidate.n for candidate in part])
            self.take(Ranked(rows[candidate.n], candidate.score) for candidate in part if candidate.n in rows)

    def take(self, found: Iterable[Ranked]) -> None:
        """Take what passes the filters, each memory once."""
        for ranked in found:
            row = ranked.row
            if row.n in self._taken or self._is_outside(row):
                continue
            self._taken.add(row.n)
            newer = reading.hidden_by(self._connection, row, self._asked.now_ms)
            reason = self._withheld(row, newer)
            if reason is None:
                self.passed.append(Ranked(row, ranked.score, superseded_by=newer.id if newer else None))
                continue
            self.withheld[reason] += 1
            if reason == SUPERSEDED and newer is not None:
                self._take_newest(newer, ranked.score)

    def _take_newest(self, newer: MemoryRow, score: float) -> None:
        """Answer with what superseded the memory that was found."""
        while (above := reading.hidden_by(self._connection, newer, self._asked.now_ms)) is not None:
            newer = above
        if newer.n not in self._taken and not self._is_outside(newer) and self._passes_names(newer):
            self._taken.add(newer.n)
            self.passed.append(Ranked(newer, score))

    def _withheld(self, row: MemoryRow, newer: MemoryRow | None) -> str | None:
        filters = self._asked.filters
        if row.status == Status.FORGOTTEN and not filters.include_forgotten:
            return FORGOTTEN
        if reading.is_expired(row, self._asked.now_ms) and not filters.include_expired:
            return EXPIRED
        return SUPERSEDED if newer is not None and not filters.include_superseded else None

    def _is_outside(self, row: MemoryRow) -> bool:
        """Whether a row is not asked for at all: outside the time, purged, or of a project that is kept apart."""
        since, until = self._asked.filters.since_ms, self._asked.filters.until_ms
        if row.status not in (Status.LIVE, Status.FORGOTTEN) or row.updated is None:
            return True
        if (since is not None and row.updated < since) or (until is not None and row.updated > until):
            return True
        return row.project in self._asked.apart and row.project != self._asked.project

    def _passes_names(self, row: MemoryRow) -> bool:
        """Whether a row that did not come from the index by its filters fulfils those that a row can tell."""
        filters = self._asked.filters
        return (
            (filters.type is None or row.type == filters.type)
            and (filters.agent is None or row.agent.casefold() == filters.agent.casefold())
            and not filters.tags
            and self._asked.devices is None
            and (self._asked.spaces is None or row.space in self._asked.spaces)
            and (not self._asked.restrict or row.project == self._asked.project)
        )


def _search_alone(connection: Connection, tries: list[str], asked: Asked) -> Found:
    """Search one project, or everything as one; a stricter expression is enough when it fills the page."""
    scope_expression = _scope_expression(connection, asked, inside=True)
    wanted = asked.filters.limit
    look = _Look(connection, asked)
    for expression in tries:
        look = _Look(connection, asked)
        look.fill(keyword.narrowed(expression, scope_expression), wanted)
        if len(look.passed) >= wanted:
            break
    return _found([look], look.passed[:wanted])


def _search_project_first(connection: Connection, tries: list[str], asked: Asked, project: int) -> Found:
    """Search the project, and beside it everything else.

    One ranking serves both: the project's hits among the best are its best hits. Only when too few of them are among the first
    candidates is the project searched for itself.
    """
    members = projects.members(connection, project)
    wanted = asked.filters.limit
    inside = outside = _Look(connection, asked)
    for expression in tries:
        inside, outside = _Look(connection, asked), _Look(connection, asked)
        match = keyword.narrowed(expression, _scope_expression(connection, asked, inside=False))
        matches = keyword.count(connection, match)
        batch = next(keyword.candidates(connection, match, matches, first=_FIRST_OF_ALL), [])
        own = reading.numbers_in_projects(connection, [candidate.n for candidate in batch], members)
        few = matches <= limits.CANDIDATES
        inside.take_until([one for one in batch if one.n in own], wanted, all_of_them=few)
        places = wanted - min(len(inside.passed), wanted) + _kept_elsewhere(wanted)
        outside.take_until([one for one in batch if one.n not in own], places, all_of_them=few)
        if matches > len(batch) and len(inside.passed) < wanted:
            inside.fill(keyword.narrowed(expression, _scope_expression(connection, asked, inside=True)), wanted)
        inside.close(0)
        outside.close(matches)
        if len(inside.passed) >= wanted:
            break
    if outside.total < limits.CANDIDATES:
        outside.total += len(inside.passed)
    return _found([inside, outside], _merged(inside.passed, outside.passed, wanted))


def _best_first(ranked: Ranked) -> tuple[float, int, int, str]:
    row = ranked.row
    return (-_score(ranked.score), -(row.importance or 0), -(row.hlc or 0), row.id)


def _score(score: float) -> float:
    """A score to four digits: what differs less is a tie, for importance and recency to break."""
    return float(f"{score:.4g}")


def _kept_elsewhere(wanted: int) -> int:
    """How many of the places are kept for stronger hits from other projects."""
    return int(wanted * ELSEWHERE_SHARE_MAX)


def _merged(inside: list[Ranked], outside: list[Ranked], wanted: int) -> list[Ranked]:
    """The project's hits first; then, in the places left and in up to 3 of 10 others, stronger hits from elsewhere."""
    here = {ranked.row.n for ranked in inside}
    others = [
        Ranked(ranked.row, ranked.score, True, ranked.superseded_by) for ranked in outside if ranked.row.n not in here
    ]
    own = inside[:wanted]
    kept = _kept_elsewhere(wanted)
    taken = others[: wanted - len(own)]
    while len(taken) < min(kept, len(others)) and own and others[len(taken)].score > own[-1].score:
        own.pop()
        taken.append(others[len(taken)])
    return own + taken


def _found(looks: list[_Look], ranked: list[Ranked]) -> Found:
    withheld = sum((look.withheld for look in looks), Counter[str]())
    total = max(looks[-1].total, len(ranked))
    exact = looks[-1].total_is_exact and (total < limits.CANDIDATES or not withheld)
    return Found(tuple(_newer_above_older(ranked)), total, exact, dict(withheld))


def _newer_above_older(ranked: list[Ranked]) -> list[Ranked]:
    """Where a superseded memory and the one that superseded it are both shown, the newer one stands above, whatever the
    words say.
    """
    ordered: list[Ranked] = []
    by_id = {one.row.id: one for one in ranked}
    placed: set[str] = set()

    def place(one: Ranked) -> None:
        chain = [one]
        while (newer := by_id.get(chain[-1].superseded_by or "")) is not None and newer not in chain:
            chain.append(newer)
        for member in reversed(chain):
            if member.row.id not in placed:
                placed.add(member.row.id)
                ordered.append(member)

    for one in ranked:
        place(one)
    return ordered


def _scope_expression(connection: Connection, asked: Asked, *, inside: bool) -> str:
    """The filters that the index knows, as one FTS5 expression."""
    filters = asked.filters
    groups: list[list[str]] = [[scope.token("tag", tag)] for tag in filters.tags]
    if inside and asked.project is not None:
        groups.append([scope.token("project", n) for n in projects.members(connection, asked.project)])
    if filters.type is not None:
        groups.append([scope.token("type", filters.type)])
    if filters.agent is not None:
        groups.append([scope.token("agent", filters.agent)])
    if asked.devices is not None:
        groups.append([scope.token("device", id) for id in asked.devices])
    if asked.spaces is not None:
        groups.append([scope.token("space", n) for n in asked.spaces])
    return scope.expression(*groups)


def _latest_sql(connection: Connection, asked: Asked, narrowed: str) -> tuple[str, tuple[object, ...]]:
    """SQL for the latest memories: by an index where the only filter is one project, else by the filter tokens."""
    select = f"SELECT {reading.COLUMNS} FROM {reading.TABLES}"
    order = "ORDER BY memory.hlc DESC, memory.id LIMIT ? OFFSET ?"
    filters = asked.filters
    only_project = not (
        filters.tags or filters.type or filters.agent or asked.devices is not None or asked.spaces is not None
    )
    if narrowed and only_project and asked.project is not None:
        members = projects.members(connection, asked.project)
        if len(members) == 1:
            return f"{select} WHERE memory.project = ? {order}", members
    if narrowed:
        return f"{select} WHERE memory.n IN (SELECT rowid FROM word WHERE word MATCH ?) {order}", (narrowed,)
    return f"{select} WHERE memory.hlc IS NOT NULL {order}", ()
