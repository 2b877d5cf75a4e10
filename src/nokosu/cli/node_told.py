"""What the commands of a node, and of a hub, tell of it: what it sees, and the end of what it and its zenohd have said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nokosu import clock, node_process
from nokosu.cli import layout, output
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.config import Config
from nokosu.engine.process import LOG_NAME
from nokosu.errors import MeshError, NotFound
from nokosu.mesh import engine_home, storage_words


def show(found: Mapping[str, Any]) -> None:
    """What a running node said of itself, by `control.status`."""
    rows = [
        ("node", f"process {found['pid']}, version {found['version']}, since {_time(found['started'])}"),
        ("error", found["error"]),
    ]
    for space in found["spaces"]:
        rows += _of_blind(space) if found.get("blind") else _of_space(space)
    for line in layout.labelled([(label, one_line(value)) for label, value in rows]):
        output.line(line)
    if not found["spaces"]:
        output.note("No space is shared yet: nokosu invite")


def show_logs(config: Config, count: int) -> None:
    """The last *count* lines of the node's log, and of each zenohd's.

    Raises:
        NotFound: nothing was said yet.
        MeshError: a log cannot be read.
    """
    own = config.home / node_process.LOG_NAME
    engines = sorted((config.home / engine_home.ENGINE_FOLDER).glob(f"*/{LOG_NAME}"))
    if not own.exists() and not engines:
        raise NotFound("the node has said nothing yet", hint="nokosu node start")
    for path in (own, *engines):
        if path in engines:
            output.line(f"zenohd, {one_line(str(path))}:")
        for line in _end(path, count):
            output.line(line)


def _end(path: Path, count: int) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from (one_line(line.removesuffix("\n")) for line in deque(file, maxlen=max(count, 0)))
    except FileNotFoundError:
        return
    except OSError as error:
        raise MeshError(f"{path} cannot be read ({error.strerror})", hint=f"ls -l {path}") from error


def _of_space(space: Mapping[str, Any]) -> list[tuple[str, str]]:
    where = f"listens at port {space['port']}" if space["port"] else "calls the others, and listens to no call"
    now_ms = clock.system_wall_clock()
    return [
        (f"space {space['name']}", where),
        ("  problem", space["error"]),
        ("  reach it at", ", ".join(space["addresses"])),
        ("  engine", _of_zenohd(space)),
        *((f"  {peer['name']}", _of_peer(peer)) for peer in space["peers"]),
        *(("  storage", storage_words.told(one, now_ms)) for one in space.get("storages", ())),
    ]


def _of_blind(space: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A hub that cannot read what it carries: it knows no names."""
    where = f"listens at port {space['port']}" if space["port"] else "does not listen"
    devices = space.get("devices", ())
    return [
        (f"hub {space['name']}", f"blind, {where}"),
        ("  problem", space["error"]),
        ("  reach it at", ", ".join(space["addresses"])),
        ("  engine", _of_zenohd(space)),
        ("  connections", str(len(space["links"])) if space["links"] else ""),
        ("  devices", ", ".join(devices) or "none is connected"),
    ]


def _of_zenohd(space: Mapping[str, Any]) -> str:
    if space.get("engine") != "zenohd":
        return ""
    found = space["zenohd"]
    if found is None:
        return "zenohd, which does not run"
    restarts = found["restarts"]
    parts = [
        f"zenohd {found['version']}, process {found['pid']}, since {_time(found['since'])}",
        f"{layout.size(found['rss'])} of memory, {layout.size(found['disk'])} in RocksDB",
        "" if found["ready"] else "its storages do not answer yet",
        f"started again {counted(restarts, 'time')} after it ended by itself" if restarts else "",
    ]
    return "; ".join(part for part in parts if part)


def _of_peer(peer: Mapping[str, Any]) -> str:
    if not peer["reachable"]:
        return "not reached"
    if peer["equal"]:
        return "connected, equal"
    return f"connected, {counted(peer['missing'], 'record')} to get, {peer['behind']:,} to give"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
