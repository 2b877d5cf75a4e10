"""Which project a memory is filed under, and which one a search is about.

A caller names a project, gives a folder, or just works somewhere. What a folder is was asked of git once and is cached
by path; the cache is written by saves only, because a read writes nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu import ids, limits
from nokosu.config import Config
from nokosu.errors import NotFound, Refused, UsageError
from nokosu.identity import projects as identity
from nokosu.identity.projects import Place
from nokosu.store import projects as store
from nokosu.store.roster import Device
from nokosu.store.sqlite import Connection

_KEYED_NAME: Final = re.compile(r"(?P<name>.+)@(?P<key>[0-9a-f]{4,32})")
_NAMES_SHOWN: Final = 12

GIVEN_UP: Final = 2
"""A place whose root commit git did not find even when given long; it is not looked for again."""


class Cached(Struct, frozen=True):
    """What is known of a folder: its place, and a stamp that changes when the repository settings do.

    `completeness`: 0 while the root commit is still to be found, 1 when all is known, `GIVEN_UP` when it took too long.
    """

    path: str
    stamp: str
    place: Place
    completeness: int


class Filed(Struct, frozen=True):
    """Where a memory goes: the keys and display name of its project, the place to cache, and what to tell the
    caller.
    """

    keys: tuple[bytes, ...] = ()
    name: str = ""
    place: Cached | None = None
    notes: tuple[str, ...] = ()


class Scope(Struct, frozen=True):
    """What a search is about: the project's number and name, or neither."""

    project: int | None = None
    name: str = ""


class Filing:
    """Finds projects for one caller."""

    def __init__(self, config: Config, locate: Callable[..., Place | None] = identity.locate) -> None:
        self._config = config
        self._locate = partial(locate, home=config.user_home, git=shutil.which("git") or "git")
        self._seen: dict[str, Cached] = {}

    def for_saving(self, connection: Connection, device: Device, named: str | None) -> Filed:
        """The project for a memory that names *named*, or else for where the caller works.

        Raises:
            UsageError: the folder does not exist.
            Refused: the name is that of several projects.
        """
        asked = named or self._config.project
        if asked is None:
            return self._here(connection, device)
        if asked.startswith("/"):
            return self._folder(connection, device, Path(asked)) or Filed(notes=(_unfiled(asked),))
        found = _by_name(connection, asked)
        if found is not None:
            return Filed(store.keys_of(connection, found.n), found.name)
        here = self._here(connection, device)
        if here.name.casefold() == asked.casefold():
            return here
        return Filed((identity.key("name", asked),), asked)

    def for_searching(self, connection: Connection, device: Device, named: str | None) -> Scope:
        """The project that a search names, or else the one the caller works in; neither if it has no memories.

        Raises:
            NotFound: no project has that name.
            Refused: the name is that of several projects.
        """
        asked = named or self._config.project
        if asked is None:
            return _scope(connection, self._here(connection, device))
        if asked.startswith("/"):
            filed = self._folder(connection, device, Path(asked)) or Filed()
            return _scope(connection, filed)
        found = _by_name(connection, asked)
        if found is not None:
            return Scope(found.n, found.name)
        here = self._here(connection, device)
        if here.name.casefold() == asked.casefold():
            return _scope(connection, here)
        if named is None:
            return Scope(None, asked)  # where the caller works has no memories yet
        names = store.all_names(connection)
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        raise NotFound(f"project: none is called {asked!a} (there are: {shown or 'none yet'})", field="project")

    def folder_of(
        self, connection: Connection, device: Device, named: str | None, scope: Scope
    ) -> tuple[Path, Path] | None:
        """Where the caller works in the project of *scope*, which *named* led to, and the top of it; None if that is not known.

        Raises:
            UsageError: the folder does not exist.
        """
        asked = named or self._config.project
        filed = (
            self._folder(connection, device, Path(asked))
            if asked is not None and asked.startswith("/")
            else self._here(connection, device)
        )
        if filed is None or filed.place is None or _scope(connection, filed) != scope:
            return None
        return Path(filed.place.path), Path(filed.place.place.root)

    def complete(self, connection: Connection, device: Device) -> Cached | None:
        """Look longer for the root commit of the caller's project, if it is still to be found; what to cache, or
        None.
        """
        for folder in dict.fromkeys((*self._config.workspaces, *map(Path, self._seen))):
            cached = self._cached(connection, str(folder))
            if cached is not None and cached.completeness == 0:
                place = self._locate(folder, device=device.id, wait_ms=limits.GIT_WAIT_MS_MAX)
                if place is None:
                    return None
                found = _joined(cached, place, self._stamp(folder), device)
                self._seen[cached.path] = found if found.completeness else _given_up(found)
                return self._seen[cached.path]
        return None

    def _here(self, connection: Connection, device: Device) -> Filed:
        for folder in self._config.workspaces:
            try:
                filed = self._folder(connection, device, folder)
            except UsageError:
                continue  # a folder that an agent named and that is gone; the next one may do
            if filed is not None:
                return filed
        where = self._config.workspaces[0] if self._config.workspaces else "the current folder"
        return Filed(notes=(_unfiled(str(where)),))

    def _folder(self, connection: Connection, device: Device, folder: Path) -> Filed | None:
        path = str(folder)
        cached = self._seen.get(path) or self._cached(connection, path)
        if cached is None or cached.stamp != self._stamp(folder):
            place = self._locate(folder, device=device.id)
            if place is None:
                return None
            fresh = Cached(path, self._stamp(folder), place, int(place.complete))
            cached = fresh if cached is None else _joined(cached, place, self._stamp(folder), device)
        self._seen[path] = cached
        return Filed((*cached.place.keys, *_name_key(connection, cached.place.name)), cached.place.name, cached)

    def _cached(self, connection: Connection, path: str) -> Cached | None:
        row = connection.row("SELECT stamp, root, name, keys, complete FROM place WHERE path = ?", (os.fsencode(path),))
        if row is None:
            return None
        stamp, root, name, keys, completeness = row
        size = ids.BINARY_ID_BYTES
        split = tuple(keys[start : start + size] for start in range(0, len(keys), size))
        return Cached(
            path, stamp, Place(root=os.fsdecode(root), name=name, keys=split, complete=completeness == 1), completeness
        )

    def _stamp(self, folder: Path) -> str:
        """Changes when the folder's work tree or its remotes do; made of stat calls only."""
        top = identity.top_of(folder, home=self._config.user_home)
        if top is None:
            return ""
        try:
            return f"{top}:{(top / '.git' / 'config').stat().st_mtime_ns}".encode(errors="surrogateescape").hex()
        except OSError:
            return str(top).encode(errors="surrogateescape").hex()  # a linked work tree: its .git is a file


def remember(connection: Connection, cached: Cached) -> None:
    """Keep what a folder is, inside the transaction of a save; nothing is written when it is known already."""
    place = cached.place
    row = (
        os.fsencode(cached.path),
        cached.stamp,
        os.fsencode(place.root),
        place.name,
        b"".join(place.keys),
        cached.completeness,
    )
    known = connection.row("SELECT path, stamp, root, name, keys, complete FROM place WHERE path = ?", row[:1])
    if known != row:
        connection.run(
            "INSERT OR REPLACE INTO place (path, stamp, root, name, keys, complete) VALUES (?, ?, ?, ?, ?, ?)", row
        )


def _joined(cached: Cached, place: Place, stamp: str, device: Device) -> Cached:
    """The place as it is now; with the keys it had before, if it is the same project: a record that names both joins
    them.

    It is the same if a key is, or if it was known by its path alone so far; otherwise another repository lies there now.
    """
    before = cached.place
    by_path = (identity.key("path", f"{device.id.hex()}:{before.root}"),)
    same = before.root == place.root and (before.keys == by_path or not set(before.keys).isdisjoint(place.keys))
    keys = tuple(sorted({*place.keys, *(before.keys if same else ())}))[: limits.PROJECT_KEYS_MAX]
    complete = place.complete or (same and cached.completeness == 1 and before.keys != by_path)
    joined = Place(root=place.root, name=place.name, keys=keys, complete=complete)
    return Cached(cached.path, stamp, joined, int(complete))


def _given_up(cached: Cached) -> Cached:
    return Cached(cached.path, cached.stamp, cached.place, GIVEN_UP)


def _name_key(connection: Connection, name: str) -> tuple[bytes, ...]:
    """The key of a project that was so far known by this name only: the folder of that name is it."""
    key = identity.key("name", name)
    found = store.find(connection, (key,))
    return (key,) if found is not None and store.keys_of(connection, found) == (key,) else ()


def _by_name(connection: Connection, asked: str) -> store.Project | None:
    keyed = _KEYED_NAME.fullmatch(asked)
    found = store.named(connection, asked)
    if not found and keyed is not None:
        found = [
            project
            for project in store.named(connection, keyed["name"])
            if any(key.hex().startswith(keyed["key"]) for key in store.keys_of(connection, project.n))
        ]
    if len(found) > 1:
        candidates = ", ".join(
            f"{project.name}@{store.keys_of(connection, project.n)[0].hex()[:8]}" for project in found
        )
        raise Refused(
            f"project: {len(found)} projects are called {asked!a}: say {candidates}, or give the absolute path of a folder",
            field="project",
        )
    return found[0] if found else None


def _scope(connection: Connection, filed: Filed) -> Scope:
    project = store.find(connection, filed.keys) if filed.keys else None
    return Scope(project, filed.name if project is None else store.name_of(connection, project))


def _unfiled(where: str) -> str:
    return f"unfiled: {where} is no project (name one with project)"
