"""Hits for the eye: at length after a search, one a line in a listing, and the truth about both at the end.

Nothing found is exit code 1, as grep has it, with a line on stderr and nothing on stdout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nokosu import clock, limits, times
from nokosu.cli import documents, excerpt, layout, output
from nokosu.cli.output import Screen, one_line
from nokosu.drafts import Filters, Query
from nokosu.memory import Hit, Hits

FOUND: Final = 0
NOTHING: Final = 1

_EXCERPT_LINES: Final = 3
_INDENT: Final = "  "
_HEADINGS: Final = ("ID", "TYPE", "PROJECT", "WRITTEN", "BY", "SUBJECT")
_COLUMNS_MAX: Final = (12, 8, 16, 10, 20)  # the subject takes the rest
_TO_SHOW: Final = {  # why a memory is withheld, and what to type to see it
    "superseded": "--superseded",
    "forgotten": "--forgotten",
    "expired": "--expired",
    "damaged": "nokosu verify",
    "weak": "other words may find more",
}


def as_json(hits: Hits) -> int:
    """Print the hits as one JSON document, none too."""
    documents.write(hits)
    return FOUND if hits.hits else NOTHING


def at_length(hits: Hits, query: Query) -> int:
    """Print each hit with the lines around the words of *query*."""
    screen = output.screen()
    when = _when(screen)
    for hit in hits.hits:
        _write_at_length(hit, query.text, screen, when)
    return _conclude(hits, query, output.line)


def in_lines(hits: Hits, filters: Filters) -> int:
    """Print a table on a terminal; elsewhere lines with tabs, and the conclusion on stderr."""
    screen = output.screen()
    when = _when(screen)
    rows = [_cells(hit, when) for hit in hits.hits]
    where = _where(hits, filters)
    if not screen.is_terminal:
        for row in rows:
            output.line("\t".join(row))
        return _conclude(hits, filters, output.note, where)
    if rows:
        head, *lines = layout.table([_HEADINGS, *rows], _COLUMNS_MAX, total=screen.columns)
        output.line("\n".join([screen.faint(head), *lines]))
    return _conclude(hits, filters, output.line, where)


def author(agent: str, device: str) -> str:
    """Who wrote it, as one word: agent@device, or the device where a person wrote."""
    return one_line(f"{agent}@{device}" if agent else device)


def _write_at_length(hit: Hit, query: str, screen: Screen, when: Callable[[str], str]) -> None:
    id, kind, project, written, by, subject = _cells(hit, when)
    place = f"{project} (elsewhere)" if hit.elsewhere else project
    output.line(f"{screen.coloured(id, 'yellow')}  {kind}  {place}  {written}  {by}")
    output.line(f"{_INDENT}{screen.strong(subject)}")
    pattern = excerpt.words(query) if screen.has_colour else None
    for line in _excerpt(hit, query, screen):
        marked = pattern.sub(lambda match: screen.coloured(match[0], "green"), line) if pattern else line
        output.line(f"{_INDENT}{marked}")
    if marks := _marks(hit):
        output.line(f"{_INDENT}[{', '.join(marks)}]")
    output.line()


def _excerpt(hit: Hit, query: str, screen: Screen) -> list[str]:
    """The text around the words that were asked for, without the line that is shown as the subject."""
    text = output.shown(hit.text).lstrip()
    subject = output.shown(hit.subject)
    rest = text.removeprefix(subject)
    body = rest if not rest or rest.startswith(("\n", "\r")) else text
    return excerpt.excerpt(body, query, columns=screen.columns - len(_INDENT), lines=_EXCERPT_LINES)


def _cells(hit: Hit, when: Callable[[str], str]) -> tuple[str, str, str, str, str, str]:
    written = when(hit.updated or hit.created)
    project = one_line(hit.project) or "unfiled"
    return hit.id, one_line(hit.type), project, written, author(hit.agent, hit.device), one_line(hit.subject)


def _marks(hit: Hit) -> list[str]:
    marks = [] if hit.status == "live" else [hit.status]
    marks += [f"in place of {hit.in_place_of}"] if hit.in_place_of else []
    marks += [f"{'weak: has only' if hit.weak else 'has'} {one_line(' '.join(hit.matched))}"] if hit.matched else []
    marks += ["near in meaning"] if hit.meaning else []
    marks += ["weak"] if hit.weak and not hit.matched else []
    marks += ["expired"] if hit.expired else []
    marks += [f"superseded by {hit.superseded_by}"] if hit.superseded_by else []
    marks += ["in conflict: nokosu show tells"] if hit.in_conflict else []
    return marks + [f"suspicious: {kind} characters" for kind in hit.suspicious]


def _when(screen: Screen) -> Callable[[str], str]:
    """How a time is shown: how long ago on a terminal, else the time itself, which stays the same."""
    now = clock.system_wall_clock()
    return (lambda time: times.age(times.parse(time, field="time"), now)) if screen.is_terminal else str


def _where(hits: Hits, filters: Filters) -> str:
    """A word on the project, where only the one of the current folder was listed."""
    alone = (
        filters.project is None and not filters.all_projects and {hit.project for hit in hits.hits} == {hits.project}
    )
    return f" in {hits.project} (--all-projects shows the others)" if hits.project and alone else ""


def _conclude(hits: Hits, asked: Filters, write: Callable[[str], None], where: str = "") -> int:
    """Say how many of how many, what was withheld and why, and what to type to see it."""
    withheld = ", ".join(
        f"{count} {reason} ({_TO_SHOW.get(reason, reason)})" for reason, count in hits.withheld.items()
    )
    if not hits.hits:
        output.note("Nothing found" + (f"; withheld: {withheld}." if withheld else "."))
        for note in hits.notes:
            output.note(f"Note: {note}")
        if asked.project is not None:
            output.note("Try: --all-projects")
        return NOTHING
    write(
        one_line(
            "; ".join([_count(hits) + where, *([f"withheld: {withheld}"] if withheld else []), *_more(hits, asked)])
        )
    )
    for note in hits.notes:
        output.note(f"Note: {note}")
    return FOUND


def _count(hits: Hits) -> str:
    at_least = "" if hits.total_is_exact else "at least "
    return f"{len(hits.hits)} of {at_least}{layout.counted(hits.total, 'memory', 'memories')}"


def _more(hits: Hits, asked: Filters) -> list[str]:
    if hits.total <= len(hits.hits):
        return []
    wanted = min(hits.total, limits.RESULTS_MAX)
    return [f"more: --limit {wanted}"] if wanted > asked.limit else ["narrow it with --type, --tag, --since"]
