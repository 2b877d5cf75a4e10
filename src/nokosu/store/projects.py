"""Projects as the store knows them: sets of keys that have occurred together.

A record carries the keys of its memory's project. Keys that occur in one record belong to one project, so a repository
known here by its root commit and there by its remote becomes one as soon as a record names both. A project that was
joined to another keeps its number, so nothing is indexed again; `root` names the one that stands for all of them.
"""

from __future__ import annotations

from msgspec import Struct

from nokosu.store.sqlite import Connection


class Project(Struct, frozen=True):
    """A project: the number that stands for it, and its display name."""

    n: int
    name: str


def resolve(connection: Connection, keys: tuple[bytes, ...], name: str = "", hlc: int = 0) -> int | None:
    """The number of the project that *keys* name, made or joined where that is new; None for no project.

    The name shown is the one given latest, by hybrid time; a project that no text names has none.
    """
    if not keys:
        return None
    known = _roots(connection, keys)
    if not known:
        connection.run("INSERT INTO project (root, name, named) VALUES (0, ?, ?)", (name, hlc))
        root = connection.last_insert_rowid()
        connection.run("UPDATE project SET root = n WHERE n = ?", (root,))
    else:
        root = min(known.values())
        _join(connection, root, {other for other in known.values() if other != root})
        connection.run("UPDATE project SET name = ?, named = ? WHERE n = ? AND named < ?", (name, hlc, root, hlc))
    for key in keys:
        if key not in known:
            connection.run("INSERT INTO project_key (key, project) VALUES (?, ?)", (key, root))
    return root


def find(connection: Connection, keys: tuple[bytes, ...]) -> int | None:
    """The project that any of *keys* names, or None."""
    return min(_roots(connection, keys).values(), default=None)


def named(connection: Connection, name: str) -> list[Project]:
    """The projects with that display name, in any case, oldest first."""
    rows = connection.rows("SELECT n, name FROM project WHERE n = root ORDER BY n")
    folded = name.casefold()
    return [Project(n, known) for n, known in rows if known.casefold() == folded]


def all_names(connection: Connection) -> list[str]:
    """The display names of all projects, in order of the alphabet."""
    return sorted({name for (name,) in connection.rows("SELECT name FROM project WHERE n = root AND name <> ''")})


def members(connection: Connection, project: int) -> tuple[int, ...]:
    """The numbers of all projects that have become one with *project*, in order."""
    rows = connection.rows(
        "SELECT n FROM project WHERE root = (SELECT root FROM project WHERE n = ?) ORDER BY n", (project,)
    )
    return tuple(n for (n,) in rows)


def keys_of(connection: Connection, project: int) -> tuple[bytes, ...]:
    """The keys of a project, in order."""
    rows = connection.rows(
        "SELECT key FROM project_key JOIN project ON project.n = project_key.project "
        "WHERE project.root = (SELECT root FROM project WHERE n = ?) ORDER BY key",
        (project,),
    )
    return tuple(key for (key,) in rows)


def name_of(connection: Connection, project: int | None) -> str:
    """The display name of a project; empty for none."""
    if project is None:
        return ""
    row = connection.row(
        "SELECT root.name FROM project JOIN project AS root ON root.n = project.root WHERE project.n = ?", (project,)
    )
    return str(row[0]) if row else ""


def _roots(connection: Connection, keys: tuple[bytes, ...]) -> dict[bytes, int]:
    found = {}
    for key in keys:
        row = connection.row(
            "SELECT project.root FROM project_key JOIN project ON project.n = project_key.project WHERE key = ?", (key,)
        )
        if row is not None:
            found[key] = row[0]
    return found


def _join(connection: Connection, root: int, others: set[int]) -> None:
    for other in others:
        newer = connection.row("SELECT name, named FROM project WHERE n = ?", (other,))
        assert newer is not None
        connection.run("UPDATE project SET name = ?, named = ? WHERE n = ? AND named < ?", (*newer, root, newer[1]))
        connection.run("UPDATE project SET root = ? WHERE root = ?", (root, other))
