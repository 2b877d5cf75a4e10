"""Checks of the engine: is zenohd there, do its storages answer, is RocksDB sound, do all replicate alike, who can knock.

Where this home runs no zenohd and no hub serves its spaces, there is nothing to check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from nokosu.config import EMBEDDED, Config
from nokosu.doctor.result import Result
from nokosu.engine import located, plugins
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from nokosu.mesh import addresses, engine_home, storage_words

_LOGS: Final = "nokosu node logs"
_SYNC: Final = "nokosu sync --wait"
_RESTARTS_MAX: Final = 3  # a machine that was busy, or a kill by hand; more is a fault
_FULL: Final = "No space left"
_TAIL_BYTES: Final = 256 * 1024  # of RocksDB's own log
_UNSOUND: Final = re.compile(rb"^.*(?:Corruption|[Bb]ackground error|IO error).*$", re.MULTILINE)

Level = Literal["ok", "warn", "fail"]
Find = Callable[[Config], Engine]
Check = Callable[[Engine], None]


class Running(Struct, frozen=True, kw_only=True):
    """A zenohd of this home's, as the node tells it; see `mesh.supervisor.EngineState`."""

    pid: int
    version: str
    rss: int
    disk: int
    restarts: int
    ready: bool
    listening: tuple[str, ...] = ()


class Space(Struct, frozen=True, kw_only=True):
    """What the node tells of a space: its zenohd, where there is one that runs; the storages that it knows of, as in
    `control.status`; where it listens; and what is wrong.
    """

    id: bytes
    name: str
    zenohd: Running | None = None
    storages: tuple[Mapping[str, Any], ...] = ()
    port: int | None = None
    error: str = ""


class Outside(Struct, frozen=True, kw_only=True):
    """What is found outside; for tests to replace."""

    answers: bool
    find: Find = located.find
    check: Check = located.check


def spaces(status: Mapping[str, Any]) -> tuple[Space, ...]:
    """What the node has said, for the checks."""
    return tuple(
        Space(
            id=bytes.fromhex(space["id"]),
            name=space["name"],
            zenohd=msgspec.convert(space["zenohd"], Running) if space.get("zenohd") else None,
            storages=tuple(space.get("storages", ())),
            port=space["port"],
            error=space["error"],
        )
        for space in status["spaces"]
    )


def checks(config: Config, found: Sequence[Space], outside: Outside, now_ms: int) -> Iterator[Result]:
    """All checks of the engine, for the spaces that are *found* shared. *outside*: whether a node answers, and which zenohd
    there is.
    """
    runs_zenohd = config.engine != EMBEDDED or config.is_blind_hub
    if runs_zenohd:
        yield _engine(config, found, outside)
    for space in found:
        if runs_zenohd:
            if outside.answers:
                yield _zenohd(space)
                yield from _ports(space)
            yield _rocksdb(config, space)
        if space.storages:
            yield _replication(space)
            yield _storages(space, now_ms)


def _engine(config: Config, found: Sequence[Space], outside: Outside) -> Result:
    """Whether there is a zenohd that fits; what runs, fits."""
    try:
        engine = outside.find(config)
        if not any(space.zenohd for space in found):
            outside.check(engine)
    except MeshError as error:
        return Result("engine", "fail", error.message, f"{error.hint}; docs/hub.md, or nokosu node engine embedded")
    rest = plugins.missing(engine.plugins, [plugins.REST])
    details = () if rest else (f"{plugins.REST} lies in {engine.plugins}; it is never loaded",)
    return Result(
        "engine", "ok", f"zenohd {engine.version} with both plugins, {engine.origin}: {engine.zenohd}", "", details
    )


def _zenohd(space: Space) -> Result:
    """Whether it runs, and has loaded what it should."""
    found = space.zenohd
    if found is None:
        return _result(space, "zenohd", "fail", space.error or "it does not run", _LOGS)
    if not found.ready:
        return _result(space, "zenohd", "warn", "it runs, and its storages do not answer yet", _LOGS)
    if found.restarts > _RESTARTS_MAX:
        return _result(space, "zenohd", "warn", f"it has ended by itself {found.restarts} times", _LOGS)
    memory = f"{found.rss // 1024**2} MiB of memory"
    return _result(space, "zenohd", "ok", f"process {found.pid}, {memory}, plugins loaded, storages rec and vec answer")


def _ports(space: Space) -> Iterator[Result]:
    """Whether zenohd listens where it should and nowhere else, as with a REST plugin it would."""
    found = space.zenohd
    if found is None or not found.listening:
        return
    more = [address for address in found.listening if addresses.parse(address).port != space.port]
    if more:
        summary = f"zenohd listens at {', '.join(more)} as well: a REST plugin, or a configuration that is not ours"
        yield _result(space, "ports", "fail", summary, "nokosu node stop, then nokosu node start")
    else:
        yield _result(
            space, "ports", "ok", f"zenohd listens at {', '.join(found.listening)} alone, and no REST plugin is there"
        )


def _rocksdb(config: Config, space: Space) -> Result:
    """How large it is, and whether RocksDB has complained of it."""
    folder = engine_home.folder(config.home, space.id)
    sizes = {name: _bytes_below(folder / name) for name in ("rec", "vec")}
    lines = [line for name in sizes for line in _complaints(folder / name)]
    if any(_FULL in line for line in lines):
        hint = "free space on this disk; then nokosu node stop, nokosu node start"
        return _result(space, "rocksdb", "fail", "its disk was full", hint, details=lines)
    if lines:
        hint = f"nokosu node stop; rm -r {folder}/rec {folder}/vec; nokosu node start: the devices refill it"
        return _result(space, "rocksdb", "fail", "it has complained of its files", hint, details=lines)
    told = ", ".join(f"{name} {size / 1024**2:.1f} MiB" for name, size in sizes.items())
    return _result(space, "rocksdb", "ok", f"{told}, sound")


def _complaints(folder: Path) -> list[str]:
    """The last lines of faults in RocksDB's own log since it was opened."""
    found: list[bytes] = []
    for path in folder.glob("**/LOG"):
        with suppress(OSError), path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            found += _UNSOUND.findall(file.read(_TAIL_BYTES))[-2:]
    return [line.decode(errors="replace").strip() for line in found]


def _replication(space: Space) -> Result:
    """Whether all storages replicate with the same values and versions: those that differ ignore each other in silence."""
    here = [one for one in space.storages if one["reachable"] or one["own"]]
    troubled = [one for one in here if one["problem"]]
    if troubled:
        lines = tuple(f"{storage_words.name(one)}: {one['problem']}" for one in troubled)
        summary = "storages that do not replicate with one another; what is saved reaches each of them all the same"
        return _result(
            space, "replication", "warn", summary, "nokosu --version and zenohd --version, on each", details=lines
        )
    return _result(
        space, "replication", "ok", f"{len(here)} of {len(space.storages)} storages are reached, all of one group"
    )


def _storages(space: Space, now_ms: int) -> Result:
    """What the storages hold of what is here."""
    lines = tuple(storage_words.told(one, now_ms) for one in space.storages)
    lacking = [one for one in space.storages if one["reachable"] and one["lacking"]]
    if lacking:
        names = ", ".join(f"{one['lacking']:,} on {storage_words.name(one)}" for one in lacking)
        return _result(space, "storages", "warn", f"records that are not there yet: {names}", _SYNC, details=lines)
    whole = sum(one["lacking"] == 0 for one in space.storages)
    return _result(space, "storages", "ok", f"{whole} of {len(space.storages)} hold all that is here", details=lines)


def _result(
    space: Space, what: str, level: Level, summary: str, hint: str = "", *, details: Sequence[str] = ()
) -> Result:
    return Result(f"{what} ({space.name})", level, summary, hint, tuple(details))


def _bytes_below(folder: Path) -> int:
    """RocksDB removes its files while we count them."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total
