"""A search: candidates by keyword, the rows that pass the filters, and what is shown of them. Reads only.

The project that the caller works in comes first; up to three of ten places go to stronger hits from elsewhere. A memory
that another one supersedes is answered with the one that does. A time that the question names narrows it to memories of that
time, as they stood at its end. The order is `ranking`'s, and the same store gives the same answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct, structs

from nokosu import limits, times
from nokosu.drafts import Filters
from nokosu.fold import Status
from nokosu.search import keyword, meaning, period, ranking, text
from nokosu.search.keyword import Asking, Candidate, Match, Matching
from nokosu.search.meaning import Meaning, Near
from nokosu.search.period import Span
from nokosu.search.ranking import Ranked
from nokosu.search.text import Terms
from nokosu.store import projects, reading, scope
from nokosu.store.reading import MemoryRow
from nokosu.store.sqlite import Connection

_WIDER: Final = 4  # how much further each look goes when filters leave too little
_FIRST_OF_ALL: Final = 200  # candidates ranked at first, of which the project's own are taken
_TIES_MAX: Final = 96  # looked at beyond the page, for importance and recency to choose among
_ROWS_AT_ONCE: Final = 16  # rows are loaded a few at a time: most searches need no more
_SUMMED_UP_MS: Final = 10 * times.DAY_MS  # after a time: a summary written by then is still about it
_LONG_MS: Final = 27 * times.DAY_MS  # a month or more: what was true then was mostly written before
_MOST_SHARE: Final = 0.8  # of the words: a memory of the time that holds as many is what was meant
_HINTED_FACTOR: Final = 1.33  # what the score of a memory is worth more if it is of the time that the question hints at

SUPERSEDED: Final = "superseded"
WEAK: Final = "weak"
FORGOTTEN: Final = "forgotten"
EXPIRED: Final = "expired"
_PASSES: Final = "passes"
_ANY_TIME_MS: Final = 2**63 - 1

NO_WORDS: Final = "words"
NEAREST: Final = "nearest"
NO_TIME: Final = "time"
STOOD: Final = "stood"


class Asked(Struct, frozen=True, kw_only=True):
    """A query as the engine takes it: names resolved to numbers.

    `restrict` searches `project` alone; `elsewhere` is whether other projects are shown beside it; `apart` are projects
    that are shown only when they are asked for by name. `only`, `hint` and `newest_first` are what the words say of time;
    `meaning` is what knows the rest that they say.
    """

    filters: Filters
    now_ms: int
    project: int | None = None
    restrict: bool = False
    elsewhere: bool = True
    apart: frozenset[int] = frozenset()
    devices: tuple[bytes, ...] | None = None
    spaces: tuple[int, ...] | None = None
    only: Span | None = None
    hint: Span | None = None
    newest_first: bool = False
    meaning: Meaning | None = None

    @property
    def reorders(self) -> bool:
        """Whether what scores less may come first."""
        return self.hint is not None or self.newest_first


class Found(Struct, frozen=True):
    """What a search found: the best first, how many match, whether that is exact, and what was withheld by reason.

    `only` is the time that it was narrowed to; `missed` says that nothing was found so, and what it fell back to.
    """

    ranked: tuple[Ranked, ...]
    total: int
    total_is_exact: bool
    withheld: dict[str, int]
    has_words: bool = True
    only: Span | None = None
    missed: str = ""


def search(connection: Connection, query: str, asked: Asked) -> Found:
    """Find memories by the words of *query*; with an empty query, the latest that the filters let through.

    Raises:
        UsageError: the query has too many words.
    """
    if not query.strip():
        return latest(connection, asked)
    if asked.filters.since is not None or asked.filters.until is not None:
        return _search_words(connection, text.parse(query), asked)
    said = period.read(query, asked.now_ms)
    terms = text.parse(said.words)
    timed = structs.replace(asked, only=said.only, hint=said.hint, newest_first=said.newest_first)
    if said.only is not None:
        return _search_a_time(connection, terms, timed, said.only)
    if said.newest_first and not terms.say_something:
        return latest(connection, timed)
    return _search_words(connection, terms, timed)


def _search_a_time(connection: Connection, terms: Terms, asked: Asked, only: Span) -> Found:
    """Search the memories of a time, or what stood at its end, if that answers better; where no memory of the time holds a word
    or answers by its meaning, those nearest in meaning and then the latest of that time; where there are none, all of them.
    """
    near: list[Ranked] = []
    if terms.say_something:
        found = _search_words(connection, terms, asked)
        best = next(iter(found.ranked), None)
        holds_most = best is not None and best.share >= _MOST_SHARE  # then a second search would be for nothing
        stood = None if holds_most else _search_what_stood(connection, terms, asked, only)
        if stood is not None:
            return structs.replace(stood, only=only, missed=STOOD)
        if any(one.held or one.matched or not one.weak for one in found.ranked):
            return structs.replace(found, only=only)
        near = [structs.replace(one, weak=False) for one in found.ranked if not one.elsewhere]
    found = _first_of_all(near, latest(connection, asked), asked.filters.limit)
    if found.ranked:
        missed = NEAREST if near else NO_WORDS if terms.say_something else ""
        return structs.replace(found, only=only, missed=missed)
    found = _search_words(connection, terms, structs.replace(asked, only=None))
    return structs.replace(found, only=only, missed=NO_TIME)


def _first_of_all(first: Sequence[Ranked], found: Found, limit: int) -> Found:
    """What was found, with some of it first."""
    numbers = {one.row.n for one in first}
    others = [one for one in found.ranked if one.row.n not in numbers]
    return structs.replace(found, ranked=(*first, *others)[:limit])


def _search_what_stood(connection: Connection, terms: Terms, asked: Asked, only: Span) -> Found | None:
    """What stood at the end of a long time, its own memories counting for a third as much again: "how was it done in May" may ask for
    what was decided in March. None where a memory of the time itself is still the best answer.
    """
    if only.since_ms is None or only.until_ms is None or only.until_ms - only.since_ms < _LONG_MS:
        return None
    stood = structs.replace(asked, only=Span(None, only.until_ms), hint=only)
    found = _search_words(connection, terms, stood)
    best = next((one for one in found.ranked if not one.weak), None)
    return None if best is None or _is_of(best.row, only) else found


def _search_words(connection: Connection, terms: Terms, asked: Asked) -> Found:
    if not (terms.words or terms.phrases):
        return Found((), 0, True, {}, has_words=False)
    if asked.meaning is not None and terms.words and not terms.phrases:  # what is quoted is meant to the letter
        found = _search_by_both(connection, keyword.shaped(connection, terms), asked, asked.meaning)
        if found is not None:
            return found
    tries = keyword.askings(connection, terms)
    if asked.project is None or asked.restrict or not asked.elsewhere:
        return _search_alone(connection, tries, asked)
    return _search_project_first(connection, tries, asked, asked.project)


def _search_by_both(connection: Connection, asking: Asking, asked: Asked, known: Meaning) -> Found | None:
    """Search by words and by meaning: the candidates of both, each with a score of both. None when the meaning is not known.

    With a project, its memories come first, and those from elsewhere are looked for beside them.
    """
    own, everywhere = (_scope_expression(connection, asked, inside=inside) for inside in (True, False))
    in_project = asked.project is not None
    alone = not in_project or asked.restrict or not asked.elsewhere
    scopes = [own] if alone else [own, everywhere]
    matches = [keyword.narrowed(asking, scope) for scope in scopes]
    founds = [keyword.matching(connection, match) for match in matches]
    candidates: dict[int, Candidate] = {}
    for match, found in zip(matches, founds, strict=True):
        best = next(keyword.candidates(connection, match, found), ())
        candidates |= {one.n: one for one in best[: limits.CANDIDATES]}
    near = known.near(scopes, _how_many(asked), list(candidates))
    if near is None:
        return None
    members = projects.members(connection, asked.project) if asked.project is not None and not alone else ()
    inside, outside = _Look(connection, asked, asked.project), _Look(connection, asked, None)
    for ranked in _by_both(connection, asking, candidates, near):
        here = alone or ranked.row.project in members
        (inside if here else outside).take([ranked])
    passed = inside.settled(), outside.settled()
    counted = _count(connection, asked, founds[-1], [inside, outside])
    shown = ranking.merged(*passed, asked.filters.limit, newest_first=asked.newest_first)
    return _found(_answered(ranking.newer_above_older(shown), asking, asked), counted)


def _how_many(asked: Asked) -> int:
    """How many of the nearest memories are asked for: more, where the rows will show that some are of another time."""
    filters = asked.filters
    timed = asked.only is not None or filters.since is not None or filters.until is not None
    return meaning.NEAREST_OF_A_TIME if timed else max(meaning.NEAREST, filters.limit)


def _by_both(
    connection: Connection, asking: Asking, candidates: Mapping[int, Candidate], near: Mapping[int, Near]
) -> list[Ranked]:
    """The candidates by words and by meaning, without what is noise, best first."""
    assert asking.scales is not None
    scored = []
    for n in {**candidates, **near}:
        by_words, by_meaning = candidates.get(n, Candidate(n, 0.0)), near.get(n)
        if not meaning.is_noise(by_words.held, by_meaning):
            share = by_words.score / asking.scales.attainable
            scored.append((meaning.score(share, _coverage(asking, by_words.held), by_meaning), by_words.held, n))
    scored.sort(key=lambda one: (-one[0], one[2]))
    rows = reading.rows_by_number(connection, [n for _, _, n in scored])
    return [Ranked(rows[n], score, held=held, near=near.get(n)) for score, held, n in scored if n in rows]


def _coverage(asking: Asking, held: int) -> float:
    """The share of the words that a memory holds, each counting the same; 0 where it is less than half: that weighs nothing."""
    assert asking.scales is not None
    return asking.answered(held, 0).share if held.bit_count() * 2 >= len(asking.scales.words) else 0.0


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

    def fill(self, match: Match, wanted: int) -> Matching:
        """Take the best that match until enough have passed the filters or there are no more; how many match."""
        found = keyword.matching(self._connection, match)
        for batch in keyword.candidates(self._connection, match, found):
            self.take_until(batch, wanted, all_of_them=found.count <= limits.CANDIDATES or self._asked.reorders)
            if len(self.passed) >= wanted:
                break
        return found

    def take_until(self, batch: Sequence[Candidate], wanted: int, *, all_of_them: bool) -> None:
        """Take candidates, best first, until enough have passed and the next one scores less than the last.

        Of very many that score the same, some are enough.
        """
        for start in range(0, len(batch), _ROWS_AT_ONCE):
            part = batch[start : start + _ROWS_AT_ONCE]
            if not all_of_them and len(self.passed) >= wanted:
                ties = ranking.rounded(part[0].score) == ranking.rounded(self.passed[-1].score)
                if not ties or len(self.passed) >= wanted + _TIES_MAX:
                    return
            rows = reading.rows_by_number(self._connection, [candidate.n for candidate in part])
            self.take(Ranked(rows[one.n], one.score, held=one.held) for one in part if one.n in rows)

    def take(self, found: Iterable[Ranked]) -> None:
        """Take what passes the filters, each memory once; with a superseded one, the one that stands in its place now."""
        for ranked in found:
            row = ranked.row
            if row.n in self._taken or self._is_outside(row):
                continue
            self._taken.add(row.n)
            newer = self._supersessions.hidden_by(row)
            reason = self._withheld(row, newer)
            if reason is not None:
                self.withheld[reason] += 1
            else:
                self.passed.append(self._scored(ranked, newer))
            if newer is not None and reason in (SUPERSEDED, None):
                self._take_newest(newer, ranked)

    def settled(self) -> list[Ranked]:
        """What has passed, each with the next above it in its chain that has passed too. What only a hint lets be shown is
        withheld after all where nothing that superseded it has: the filters keep that away, and nobody would see that it is old.
        """
        there = {one.row.n for one in self.passed}
        linked = [self._linked(one, there) for one in self.passed]
        hidden = self._asked.only is None and not self._asked.filters.include_superseded
        self.passed = [one for one in linked if not (hidden and one.superseded_by and one.below is None)]
        self.withheld += Counter({SUPERSEDED: len(linked) - len(self.passed)})
        return self.passed

    def _linked(self, one: Ranked, there: Container[int]) -> Ranked:
        if one.superseded_by is None:
            return one
        above = self._supersessions.nearest_above(one.row, there)
        return structs.replace(one, below=above.id if above is not None else None)

    def _take_newest(self, newer: MemoryRow, found: Ranked) -> None:
        """Answer with what superseded the memory that was found."""
        newer = self._supersessions.newest_of(newer)
        if newer.n not in self._taken and not self._is_outside(newer) and self._passes_names(newer):
            self._taken.add(newer.n)
            self.passed.append(self._scored(structs.replace(found, row=newer, in_place_of=found.row.id), None))

    def _scored(self, found: Ranked, newer: MemoryRow | None) -> Ranked:
        """With its place in a chain of memories, and worth more if it is of the time that the question hints at."""
        hinted = self._asked.hint is not None and _is_of(found.row, self._asked.hint)
        score = found.score * _HINTED_FACTOR if hinted else found.score
        return structs.replace(found, score=score, superseded_by=newer.id if newer else None)

    def _withheld(self, row: MemoryRow, newer: MemoryRow | None) -> str | None:
        filters = self._asked.filters
        if row.status == Status.FORGOTTEN and not filters.include_forgotten:
            return FORGOTTEN
        if reading.is_expired(row, self._asked.now_ms) and not filters.include_expired:
            return EXPIRED
        if newer is None or filters.include_superseded or not self._stood_already(newer):
            return None
        return SUPERSEDED

    def _stood_already(self, newer: MemoryRow) -> bool:
        """Whether a memory was there at the end of the time that is asked for or hinted at: what came later hides nothing of it."""
        asked = self._asked.only or self._asked.hint
        return asked is None or asked.until_ms is None or (newer.created or 0) <= asked.until_ms

    def _is_outside(self, row: MemoryRow) -> bool:
        """Whether a row is not asked for at all: outside the time, purged, or of a project that is kept apart."""
        if self._asked.only is not None and not _is_of(row, self._asked.only):
            return True
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


def _search_alone(connection: Connection, tries: Iterable[Asking], asked: Asked) -> Found:
    """Search one project, or everything as one; a stricter expression is enough when it fills the page."""
    wanted = asked.filters.limit
    scope_expression = _scope_expression(connection, asked, inside=True)
    look, match, found = _Look(connection, asked, asked.project), Match("", "", Asking("")), Matching(0)
    for asking in tries:
        look = _Look(connection, asked, asked.project)
        match = keyword.narrowed(asking, scope_expression)
        found = look.fill(match, wanted)
        if len(look.passed) >= wanted:
            break
    shown = ranking.newer_above_older(ranking.best_first(look.settled(), newest_first=asked.newest_first))[:wanted]
    return _found(_answered(shown, match.asking, asked), _count(connection, asked, found, [look]))


def _search_project_first(connection: Connection, tries: Iterable[Asking], asked: Asked, project: int) -> Found:
    """Search the project, and beside it everything else.

    One ranking serves both: the project's hits among the best are its best hits. Only when too few of them are among the first
    candidates is the project searched for itself.
    """
    wanted = asked.filters.limit
    inside = outside = _Look(connection, asked, project)
    match, found = Match("", "", Asking("")), Matching(0)
    for asking in tries:
        match = keyword.narrowed(asking, _scope_expression(connection, asked, inside=False))
        found = keyword.matching(connection, match)
        own = keyword.narrowed(asking, _scope_expression(connection, asked, inside=True))
        inside, outside = _look_inside_and_outside(connection, asked, project, (match, own), found)
        if len(inside.passed) >= wanted:
            break
    passed = inside.settled(), outside.settled()
    counted = _count(connection, asked, found, [inside, outside])
    shown = ranking.merged(*passed, wanted, newest_first=asked.newest_first)
    return _found(_answered(ranking.newer_above_older(shown), match.asking, asked), counted)


def _look_inside_and_outside(
    connection: Connection, asked: Asked, project: int, searched: tuple[Match, Match], found: Matching
) -> tuple[_Look, _Look]:
    """Fill the page from the project, and from the rest the places left and those that are kept for it.

    *searched* is what matches anywhere, and in the project; *found* how many match anywhere.
    """
    inside, outside = _Look(connection, asked, project), _Look(connection, asked, None)
    members = projects.members(connection, project)
    wanted, few = asked.filters.limit, found.count <= limits.CANDIDATES or asked.reorders
    # Looking twice costs less than weighing many, where the query is short.
    first = limits.CANDIDATES if searched[0].asking.weighs_few else _FIRST_OF_ALL
    for number, batch in enumerate(keyword.candidates(connection, searched[0], found, first=first)):
        own = reading.numbers_in_projects(connection, [candidate.n for candidate in batch], members)
        inside.take_until([one for one in batch if one.n in own], wanted, all_of_them=few)
        if number == 0 and found.count > len(batch) and len(inside.passed) < wanted:
            inside.fill(searched[1], wanted)
        free = wanted - min(len(inside.passed), wanted)
        others = [one for one in batch if one.n not in own]
        outside.take_until(others, free + ranking.kept_elsewhere(wanted), all_of_them=few)
        if len(outside.passed) >= free:
            break
    return inside, outside


class _Counted(Struct, frozen=True):
    total: int
    is_exact: bool
    withheld: dict[str, int]


# What each match is: that it passes, why it is withheld, or nothing if it is not asked for.
_COUNTED: Final = (
    "SELECT CASE "
    "WHEN memory.updated IS NULL OR memory.updated < ?2 OR memory.updated > ?3 THEN '' "
    "WHEN memory.project IN (SELECT value FROM json_each(?4)) THEN '' "
    f"WHEN memory.status = {Status.FORGOTTEN:d} AND NOT ?5 THEN '{FORGOTTEN}' "
    f"WHEN memory.expires <= ?6 AND NOT ?7 THEN '{EXPIRED}' "
    "WHEN NOT ?8 AND EXISTS (SELECT 1 FROM edge WHERE edge.space = memory.space AND edge.older = memory.id) "
    f"THEN '{SUPERSEDED}' ELSE '{_PASSES}' END, count(*) "
    "FROM json_each(?1) AS found CROSS JOIN memory ON memory.n = found.value GROUP BY 1"
)


def _count(connection: Connection, asked: Asked, found: Matching, looks: list[_Look]) -> _Counted:
    """How many memories match and pass the filters: all that were looked at, or else what the rows of some hundreds tell.

    Never more than there are: whose newer one may hide it is not counted unless it was looked at.
    """
    withheld = sum((look.withheld for look in looks), Counter[str]())
    passed = sum(len(look.passed) for look in looks)
    if found.count <= limits.CANDIDATES:
        return _Counted(passed, True, withheld)
    if asked.only is not None:
        return _Counted(passed, False, withheld)
    rows = connection.rows(_COUNTED, (json.dumps(found.numbers), *_countable(connection, asked)))
    counted: Counter[str] = Counter(dict(rows))
    withheld |= Counter({reason: counted[reason] for reason in (FORGOTTEN, EXPIRED)})
    is_exact = found.count <= limits.MATCHES_COUNTED_MAX and not counted[SUPERSEDED]
    return _Counted(counted[_PASSES], is_exact, +withheld)


def _countable(connection: Connection, asked: Asked) -> tuple[object, ...]:
    """What `_COUNTED` asks of a match beside what finds it."""
    filters = asked.filters
    until = _ANY_TIME_MS if filters.until_ms is None else filters.until_ms
    apart = [n for root in asked.apart - {asked.project} for n in projects.members(connection, root)]
    return (
        *(filters.since_ms or 0, until, json.dumps(apart)),
        *(filters.include_forgotten, asked.now_ms, filters.include_expired, filters.include_superseded),
    )


def _answered(ordered: list[Ranked], asking: Asking, asked: Asked) -> list[Ranked]:
    """With how much of the query each holds; to be of the time that it asks for counts as a word of it."""
    told = [(one, asking.answered(one.held, int(asked.only is not None))) for one in ordered]
    return [structs.replace(one, share=answered.share, matched=answered.matched) for one, answered in told]


def _found(ordered: list[Ranked], counted: _Counted) -> Found:
    shown, weak = ranking.answers(ordered)
    if not weak:
        return Found(tuple(shown), max(counted.total, len(shown)), counted.is_exact, dict(counted.withheld))
    total = len(shown) if all(one.weak for one in shown) else max(counted.total - weak, len(shown))
    return Found(tuple(shown), total, counted.is_exact, {**counted.withheld, WEAK: max(counted.total - total, weak)})


def _is_of(row: MemoryRow, span: Span) -> bool:
    """Whether a memory was made or last written in a time; a summary, soon after it."""
    if row.type == "summary" and span.until_ms is not None:
        span = Span(span.since_ms, span.until_ms + _SUMMED_UP_MS)
    return span.holds(row.created, row.updated)


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
