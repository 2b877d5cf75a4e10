"""What a brief is made of, out of the store and the repository: what stands, what is new to the caller, what files say anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu import asking, brief, looks, times, view
from nokosu.brief import Sources
from nokosu.config import Config
from nokosu.filing import Scope
from nokosu.identity.guides import guides
from nokosu.looks import Look, Position
from nokosu.memory import Hit
from nokosu.search.ranking import Ranked
from nokosu.store import projects, reading, standing
from nokosu.store.sqlite import Connection

_SINCE_TOLD: Final = "New since you were last told, by others"
_ROWS_AT_ONCE: Final = 8  # a brief asks for few of what there is


class Gathered(Struct, frozen=True):
    """The sources of a brief; they can be read as long as their transaction lasts. `look` is what to note where, once it was told."""

    sources: Sources
    look: tuple[Path, Look] | None


class _News(Struct, frozen=True):
    title: str = ""
    numbers: tuple[int, ...] = ()
    look: tuple[Path, Look] | None = None


def gather(
    connection: Connection,
    config: Config,
    scope: Scope,
    folder: tuple[Path, Path] | None,
    *,
    now_ms: int,
    since_ms: int | None,
) -> Gathered:
    """The sources of the brief of *scope*, for somebody who works in *folder*, of which the second path is the top.

    News are what others wrote since *since_ms*, or else what came in since the caller was last told.
    """
    about = _about(connection, config, scope)
    stands = standing.standing(connection, about, now_ms)
    news = (
        _news_since(connection, config, about, since_ms)
        if since_ms is not None
        else _news(connection, config, about, scope)
    )
    living = stands.numbers if news.numbers else set()
    numbers = {brief.NEWS: [n for n in news.numbers if n in living], **stands.by_type}
    found = guides(*folder) if folder is not None else []
    sources = Sources(
        project=scope.name,
        now_ms=now_ms,
        memories={kind: _hits(connection, several, now_ms) for kind, several in numbers.items()},
        counts={type: len(several) for type, several in stands.by_type.items()},
        is_all=stands.is_all,
        news=news.title,
        guides=tuple(guide.text for guide in found),
        unread=tuple(f"{guide.name} ({guide.unread})" for guide in found if guide.unread),
    )
    return Gathered(sources, news.look)


def _about(connection: Connection, config: Config, scope: Scope) -> standing.Scope:
    """The projects that a brief of *scope* is about."""
    if scope.project is not None:
        return standing.scope_of(projects.members(connection, scope.project), ())
    if scope.name:
        return standing.scope_of((), ())  # it has no memories yet
    apart = [n for root in sorted(asking.apart(connection, config)) for n in projects.members(connection, root)]
    return standing.scope_of(None, apart)


def _news_since(connection: Connection, config: Config, about: standing.Scope, since_ms: int) -> _News:
    numbers = standing.written_since(connection, about, since_ms, config.author.agent)
    return _News(f"New since {times.format_ms(since_ms)[:16]}Z, by others", tuple(numbers))


def _news(connection: Connection, config: Config, about: standing.Scope, scope: Scope) -> _News:
    """What came in since the caller was last told, and what to note of this time.

    The mark moves on only when there is something new behind it. So the same store tells the same news, however often it is asked.
    """
    if scope.name and scope.project is None:
        return _News()
    keys = projects.keys_of(connection, scope.project) if scope.project is not None else ()
    path = looks.path_of(config.home, config.author.agent, keys[0] if keys else b"")
    last = _still_true(connection, looks.read(path))
    now = standing.position(connection)
    if last is None:
        return _News(look=(path, Look(None, now)))
    since: Position | None = last.until
    numbers = standing.came_in(connection, about, last.until, config.author.agent)
    if not numbers:
        since = last.since
        numbers = standing.came_in(connection, about, last.since, config.author.agent) if last.since is not None else []
    return _News(_SINCE_TOLD, tuple(numbers), (path, Look(since, now)))


def _still_true(connection: Connection, look: Look | None) -> Look | None:
    """The look, unless the store was put back or made anew since."""
    if look is None or not standing.is_of_this_store(connection, look.until):
        return None
    is_true = look.since is None or standing.is_of_this_store(connection, look.since)
    return look if is_true else Look(None, look.until)


def _hits(connection: Connection, numbers: Sequence[int], now_ms: int) -> Iterator[Hit | None]:
    """Memories by number, read as they are asked for; None where one is damaged."""
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        some = numbers[start : start + _ROWS_AT_ONCE]
        rows = reading.rows_by_number(connection, some)
        found = [rows[n] for n in some if n in rows]
        contents = reading.shown(connection, found)
        for row in found:
            content = contents[row.n]
            yield view.hit(Ranked(row, 0.0), content, now_ms) if content is not None else None
