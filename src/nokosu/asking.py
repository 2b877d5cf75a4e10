"""From filters to a question with its names resolved, and from what was found to the hits that are shown."""

from __future__ import annotations

from typing import Final

from nokosu import ids, times, view
from nokosu.config import Config
from nokosu.drafts import Filters
from nokosu.errors import NotFound
from nokosu.filing import Scope
from nokosu.memory import Hit, Hits
from nokosu.search import engine
from nokosu.search.engine import Asked, Found
from nokosu.search.period import Span
from nokosu.store import projects, reading, roster
from nokosu.store.sqlite import Connection

_TIMES: Final = {
    "": "memories of {} only, as the question asks",
    engine.NO_WORDS: "none of {} holds a word of the question: these are the latest of that time",
    engine.NEAREST: "none of {} holds a word of the question: the nearest in meaning of that time, and then its latest",
    engine.NO_TIME: "there are none of {}: these are of other times",
    engine.STOOD: "what stood at the end of {}: it answers better than what was written then",
}
_NO_PROJECT: Final = -1  # matches no memory: the project asked for, or worked in, has none yet


def asked(connection: Connection, config: Config, filters: Filters, scope: Scope, now_ms: int) -> Asked:
    """What *filters* ask for at *now_ms*; *scope* is the project they name, or the one the caller works in.

    Raises:
        NotFound: there is no such space or device.
    """
    stays_apart = bool(scope.name) and config.project_stays_apart(scope.name)
    restrict = filters.project is not None
    known = scope.project is not None or not (scope.name or restrict)
    elsewhere = config.search_elsewhere and not stays_apart
    return Asked(
        filters=filters,
        now_ms=now_ms,
        project=scope.project if known else _NO_PROJECT,
        restrict=restrict,
        elsewhere=elsewhere,
        apart=apart(connection, config) if not filters.all_projects else frozenset(),
        devices=_devices_named(connection, filters.device),
        spaces=(roster.space_named(connection, filters.space).n,) if filters.space is not None else None,
    )


def shown(
    connection: Connection, found: Found, scope: Scope, now_ms: int, *, lacks: str = "", to_install: str = ""
) -> Hits:
    """The hits with their texts; a damaged memory is counted and named, and not shown. *lacks* is what recall by meaning did not
    add, if it should have; *to_install* how to have it, which is said where words alone have found no answer.
    """
    hits: list[Hit] = []
    notes: list[str] = []
    withheld = dict(found.withheld)
    contents = reading.shown(connection, [ranked.row for ranked in found.ranked])
    for ranked in found.ranked:
        content = contents[ranked.row.n]
        if content is not None:
            hits.append(view.hit(ranked, content, now_ms))
            continue
        error = reading.damaged(ranked.row.id)
        withheld["damaged"] = withheld.get("damaged", 0) + 1
        notes.append(f"{error.message}: {error.hint}")
    notes += [*_notes(found), *([lacks] if lacks else [])]
    if to_install and found.has_words and all(one.weak for one in found.ranked):
        notes.append(f"to find memories in other words too: {to_install}")
    return Hits(
        hits=tuple(hits),
        total=found.total,
        total_is_exact=found.total_is_exact,
        project=scope.name,
        withheld=withheld,
        notes=tuple(notes),
    )


def _notes(found: Found) -> list[str]:
    """What a reader has to know of an answer: which time it is about, and that it may be none."""
    notes = []
    if not found.has_words:
        notes.append("nothing to search for: give a word")
    if found.only is not None:
        notes.append(_TIMES[found.missed].format(_span(found.only)))
    if found.ranked and all(one.weak for one in found.ranked):
        means = ", or means quite the same" if any(one.near is not None for one in found.ranked) else ""
        notes.append(f"no memory holds most of these words{means}: what is shown is the nearest, and may be no answer")
    return notes


def _span(span: Span) -> str:
    since, until = (None if ms is None else times.format_ms(ms)[:10] for ms in (span.since_ms, span.until_ms))
    if since is None or until is None:
        return f"until {until}" if since is None else f"since {since}"
    return since if since == until else f"{since} to {until}"


def apart(connection: Connection, config: Config) -> frozenset[int]:
    """The projects that are kept apart from all others."""
    names = [name for name, settings in config.projects.items() if not settings.search_elsewhere]
    return frozenset(project.n for name in names for project in projects.named(connection, name))


def _devices_named(connection: Connection, name: str | None) -> tuple[bytes, ...] | None:
    if name is None:
        return None
    rows = connection.rows("SELECT id, name FROM device")
    folded = name.casefold()
    found = tuple(id for id, known in rows if known.casefold() == folded or ids.grouped(id).startswith(folded))
    if not found:
        names = ", ".join(sorted(known for _, known in rows))
        raise NotFound(f"device: none is called {name!a} (there are: {names})", field="device")
    return found
