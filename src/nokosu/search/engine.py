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
from nokosu.store.sqlite import Connection, Row

ELSEWHERE_SHARE_MAX: Final = 0.3  # of the places, kept for stronger hits from other projects
_WIDER: Final = 4  # how much further each look goes when filters leave too little
_FIRST_OF_ALL: Final = 200  # candidates ranked at first, of which the project's own are taken
_TIES_MAX: Final = 96  # looked at beyond the page, for importance and recency to choose among
_ROWS_AT_ONCE: Final = 16  # rows are loaded a few at a time: most searches need no more

SUPERSEDED: Final = "superseded"
FORGOTTEN: Final = "forgotten"
EXPIRED: Final = "expired"
_PASSES: Final = "passes"


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
    if not (terms.words or terms.phrases):
        return Found((), 0, True, {}, has_words=False)
    tries = keyword.expressions(connection, terms)
    if asked.project is None or asked.restrict or not asked.elsewhere:
        return _search_alone(connection, tries, asked)
    return _search_project_first(connection, tries, asked, asked.project)


def latest(connection: Connection, asked: Asked) -> Found:
    """The memories last written that the filters let through."""
    narrowed = _scope_expression(connection, asked, inside=True)
    sql, values = _latest_sql(connection, asked, narrowed)
    wanted = asked.filters.limit
    look = _Look(connection, asked, asked.project)
    offset, size = 0, wanted + 1
    while len(look.passed) <= wanted:
        rows = connection.rows(sql, (*values, size, offset))
        look.take(Ranked(MemoryRow(*row), 0.0) for row in rows)
        if len(rows) < size:
            return Found(tuple(look.passed[:wanted]), len(look.passed), True, dict(look.withheld))
        offset, size = offset + size, size * _WIDER
    return Found(tuple(look.passed[:wanted]), len(look.passed), False, dict(look.withheld))


class _Look:
    """Collects what passes the filters, and counts what does not; of one project alone, where one is given."""

    def __init__(self, connection: Connection, asked: Asked, project: int | None) -> None:
        self._connection = connection
        self._asked = asked
        self._project = project
        self._supersessions = reading.Supersessions(connection, asked.now_ms)
        self._taken: set[int] = set()
        self.passed: list[Ranked] = []
        self.withheld: Counter[str] = Counter()

    def fill(self, match: Match, wanted: int) -> int:
        """Take the best that match until enough have passed the filters or there are no more; how many match."""
        matches = keyword.count(self._connection, match)
        for batch in keyword.candidates(self._connection, match, matches):
            self.take_until(batch, wanted, all_of_them=matches <= limits.CANDIDATES)
            if len(self.passed) >= wanted:
                break
        return matches

    def take_until(self, batch: list[Candidate], wanted: int, *, all_of_them: bool) -> None:
        """Take candidates, best first, until enough have passed and the next one scores less than the last.

        Of very many that score the same, some are enough.
        """
        for start in range(0, len(batch), _ROWS_AT_ONCE):
            part = batch[start : start + _ROWS_AT_ONCE]
            if not all_of_them and len(self.passed) >= wanted:
                ties = _score(part[0].score) == _score(self.passed[-1].score)
                if not ties or len(self.passed) >= wanted + _TIES_MAX:
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
            newer = self._supersessions.hidden_by(row)
            reason = self._withheld(row, newer)
            if reason is None:
                self.passed.append(Ranked(row, ranked.score, superseded_by=newer.id if newer else None))
                continue
            self.withheld[reason] += 1
            if reason == SUPERSEDED and newer is not None:
                self._take_newest(newer, ranked.score)

    def _take_newest(self, newer: MemoryRow, score: float) -> None:
        """Answer with what superseded the memory that was found."""
        newer = self._supersessions.newest_of(newer)
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
            and self._project in (None, row.project)
        )


def _search_alone(connection: Connection, tries: Iterable[str], asked: Asked) -> Found:
    """Search one project, or everything as one; a stricter expression is enough when it fills the page."""
    wanted = asked.filters.limit
    scope_expression = _scope_expression(connection, asked, inside=True)
    look, match, matches = _Look(connection, asked, asked.project), Match("", ""), 0
    for expression in tries:
        look = _Look(connection, asked, asked.project)
        match = keyword.narrowed(expression, scope_expression)
        matches = look.fill(match, wanted)
        if len(look.passed) >= wanted:
            break
    shown = sorted(look.passed, key=_best_first)[:wanted]
    return _found(shown, _count(connection, asked, match, matches, [look]))


def _search_project_first(connection: Connection, tries: Iterable[str], asked: Asked, project: int) -> Found:
    """Search the project, and beside it everything else.

    One ranking serves both: the project's hits among the best are its best hits. Only when too few of them are among the first
    candidates is the project searched for itself.
    """
    wanted = asked.filters.limit
    inside = outside = _Look(connection, asked, project)
    match, matches = Match("", ""), 0
    for expression in tries:
        match = keyword.narrowed(expression, _scope_expression(connection, asked, inside=False))
        matches = keyword.count(connection, match)
        own = keyword.narrowed(expression, _scope_expression(connection, asked, inside=True))
        inside, outside = _look_inside_and_outside(connection, asked, project, (match, own), matches)
        if len(inside.passed) >= wanted:
            break
    counted = _count(connection, asked, match, matches, [inside, outside])
    return _found(_merged(inside.passed, outside.passed, wanted), counted)


def _look_inside_and_outside(
    connection: Connection, asked: Asked, project: int, searched: tuple[Match, Match], matches: int
) -> tuple[_Look, _Look]:
    """Fill the page from the project, and from the rest the places left and those that are kept for it.

    *searched* is what matches anywhere, and in the project; *matches* how many match anywhere.
    """
    inside, outside = _Look(connection, asked, project), _Look(connection, asked, None)
    members = projects.members(connection, project)
    wanted, few = asked.filters.limit, matches <= limits.CANDIDATES
    for number, batch in enumerate(keyword.candidates(connection, searched[0], matches, first=_FIRST_OF_ALL)):
        own = reading.numbers_in_projects(connection, [candidate.n for candidate in batch], members)
        inside.take_until([one for one in batch if one.n in own], wanted, all_of_them=few)
        if number == 0 and matches > len(batch) and len(inside.passed) < wanted:
            inside.fill(searched[1], wanted)
        free = wanted - min(len(inside.passed), wanted)
        others = [one for one in batch if one.n not in own]
        outside.take_until(others, free + _kept_elsewhere(wanted), all_of_them=few)
        if len(outside.passed) >= free:
            break
    return inside, outside


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
    own = sorted(inside, key=_best_first)[:wanted]
    here = {ranked.row.n for ranked in inside}
    others = [
        Ranked(ranked.row, ranked.score, True, ranked.superseded_by)
        for ranked in sorted(outside, key=_best_first)
        if ranked.row.n not in here
    ]
    kept = _kept_elsewhere(wanted)
    taken = others[: wanted - len(own)]
    while len(taken) < min(kept, len(others)) and own and others[len(taken)].score > own[-1].score:
        own.pop()
        taken.append(others[len(taken)])
    return own + taken


class _Counted(Struct, frozen=True):
    total: int
    is_exact: bool
    withheld: dict[str, int]


_COUNTED: Final = (
    "SELECT memory.status, memory.expires, "
    "EXISTS (SELECT 1 FROM edge WHERE edge.space = memory.space AND edge.older = memory.id), memory.updated, memory.project "
    "FROM (SELECT rowid AS n FROM word WHERE word MATCH ? LIMIT ?) AS found CROSS JOIN memory ON memory.n = found.n"
)


def _count(connection: Connection, asked: Asked, match: Match, matches: int, looks: list[_Look]) -> _Counted:
    """How many memories match and pass the filters: all that were looked at, or else what the rows of some hundreds tell.

    Never more than there are: whose newer one may hide it is not counted unless it was looked at.
    """
    withheld = sum((look.withheld for look in looks), Counter[str]())
    if matches <= limits.CANDIDATES:
        return _Counted(sum(len(look.passed) for look in looks), True, withheld)
    apart = {n for root in asked.apart - {asked.project} for n in projects.members(connection, root)}
    rows = connection.rows(_COUNTED, (match.expression, limits.MATCHES_COUNTED_MAX))
    counted = Counter(_countable(asked, apart, row) for row in rows)
    withheld |= Counter({reason: counted[reason] for reason in (FORGOTTEN, EXPIRED)})
    is_exact = matches <= limits.MATCHES_COUNTED_MAX and not counted[SUPERSEDED]
    return _Counted(counted[_PASSES], is_exact, +withheld)


def _countable(asked: Asked, apart: set[int], row: Row) -> str:
    """What a row of `_COUNTED` says of a match: that it passes, why it is withheld, or nothing if it is not asked for."""
    status, expires, has_newer, updated, project = row
    filters = asked.filters
    since, until = filters.since_ms or 0, filters.until_ms
    if updated is None or updated < since or (until is not None and updated > until) or project in apart:
        return ""
    if status == Status.FORGOTTEN and not filters.include_forgotten:
        return FORGOTTEN
    if expires is not None and expires <= asked.now_ms and not filters.include_expired:
        return EXPIRED
    return SUPERSEDED if has_newer and not filters.include_superseded else _PASSES


def _found(ranked: list[Ranked], counted: _Counted) -> Found:
    total = max(counted.total, len(ranked))
    return Found(tuple(_newer_above_older(ranked)), total, counted.is_exact, dict(counted.withheld))


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
        members = projects.members(connection, asked.project) or (asked.project,)
        groups.append([scope.token("project", n) for n in members])
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
