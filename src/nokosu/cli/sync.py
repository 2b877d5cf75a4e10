"""`nokosu sync`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
from msgspec import Struct

from nokosu import clock, delivery, ids, limits, node_process, overview
from nokosu.cli import documents, meshing, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.config import Config
from nokosu.errors import MeshError, UsageError
from nokosu.memory import DeviceStatus, SpaceStatus
from nokosu.mesh import control, storage_words
from nokosu.nokosu import Nokosu
from nokosu.store import log, roster

_WAIT_METAVAR: Final = f"1-{limits.SYNC_SECONDS_MAX}"


class Device(Struct, frozen=True, kw_only=True):
    """Another device: `missing` counts its records that are not here, `behind` ours that it lacks, as it last said."""

    name: str
    id: str
    reachable: bool
    equal: bool
    missing: int
    behind: int
    last_seen: str | None


class Hub(Struct, frozen=True, kw_only=True):
    """A hub: `lacking` counts the records here that it has not given back when asked, None while it was not asked; `told`
    says it all on a line.
    """

    name: str
    zid: str
    reachable: bool
    lacking: int | None
    told: str


class Space(Struct, frozen=True, kw_only=True):
    """A shared space, with how much this device holds of it; `error` is why the node is not connected, if it is not;
    `revoked`: this device is no member any more.
    """

    name: str
    records: int
    logs: int
    devices: tuple[Device, ...]
    hubs: tuple[Hub, ...] = ()
    error: str = ""
    revoked: bool = False


class Synced(Struct, frozen=True):
    """What came of it; `done`: devices or hubs were reached, and all that were hold the same."""

    done: bool
    spaces: tuple[Space, ...]


@click.command("sync", epilog=options.examples("nokosu sync", "nokosu sync --wait", "nokosu sync --wait 120 --json"))
@click.option(
    "--wait",
    type=options.Whole(),
    is_flag=False,
    flag_value=limits.SYNC_SECONDS_DEFAULT,
    metavar=f"[{_WAIT_METAVAR}]",
    help=f"Wait until all hold the same, so many seconds at most; {limits.SYNC_SECONDS_DEFAULT} if none are given.",
)
@options.as_json
def command(wait: int | None, *, as_json: bool) -> int:
    """Compare with the other devices and hubs now, and say which of them hold the same.

    With --wait it returns when every device that can be reached holds the same, which equal vectors prove: the hash at the
    end of each log covers all before it; and when every hub that can be reached has given all of it back. Exit code 0 then;
    5 if that took longer, or nobody could be reached. Without it, it only asks, and tells how things stand.

    What is saved is sent without this command, too. Wait for it before you close the lid.
    """
    if wait is not None and not 1 <= wait <= limits.SYNC_SECONDS_MAX:
        raise UsageError(f"wait: {wait} is not from {_WAIT_METAVAR} seconds", field="wait")
    with start.memory() as memory:
        shared = [space for space in memory.status().spaces if space.shared]
        said = _asked(memory, wait or 0) if _others(shared) else {"spaces": []}
        synced = _synced(memory, shared, said)
    if as_json:
        documents.write(synced)
    else:
        _write(synced)
    return 0 if synced.done or wait is None or not _others(shared) else MeshError.exit_code


def _others(shared: Iterable[SpaceStatus]) -> bool:
    """Whether there is any device or hub to compare with."""
    return any(space.delivery is not None and (space.delivery.devices > 1 or space.hubs) for space in shared)


def _asked(memory: Nokosu, seconds: int) -> Mapping[str, Any]:
    """What the node says after it has compared; it is started if need be.

    Raises:
        MeshError: it does not run, or does not answer.
    """
    meshing.move_all(meshing.store_of(memory))
    node_process.start_if_needed(memory.config, memory.store()[0])
    said = control.sync(memory.config, seconds)
    if said is None:
        raise _not_running(memory.config)
    return said


def _not_running(config: Config) -> MeshError:
    why = overview.of_node(config)
    if why.running or (config.starts_node and not node_process.is_stopped(config)):
        return MeshError("nothing was compared: the node was started and has ended", hint="nokosu node logs")
    return MeshError(f"nothing was compared: the node does not run, {why.why}", hint=why.hint)


def _synced(memory: Nokosu, shared: Sequence[SpaceStatus], said: Mapping[str, Any]) -> Synced:
    told = {space["name"]: space for space in said["spaces"]}
    spaces = tuple(_space(memory, space, told.get(space.name, {})) for space in shared)
    reached = [one for space in spaces for one in space.devices if one.reachable]
    hubs = [one for space in spaces for one in space.hubs if one.reachable]
    is_same = all(one.equal for one in reached) and all(one.lacking == 0 for one in hubs)
    return Synced(bool(reached or hubs) and is_same, spaces)


def _space(memory: Nokosu, space: SpaceStatus, told: Mapping[str, Any]) -> Space:
    by_id = {ids.grouped(bytes.fromhex(one["device"])): one for one in told.get("devices", ())}
    database, _ = memory.store()
    with database.reading() as connection:
        heads = log.heads(connection, roster.space_named(connection, space.name))
    return Space(
        name=space.name,
        records=sum({head.log: head.seq for head in heads}.values()),
        logs=len({head.log for head in heads}),
        devices=tuple(_device(one, by_id.get(one.id)) for one in space.devices if not (one.this or one.revoked)),
        hubs=tuple(map(_hub, told.get("hubs", ()))),
        error=told.get("error") or "",
        revoked=space.delivery is None,
    )


def _device(known: DeviceStatus, seen: Mapping[str, Any] | None) -> Device:
    """A device as the node sees it; where it is not seen, as it was last heard."""
    here = seen if seen is not None and seen["reachable"] else None
    return Device(
        name=known.name,
        id=known.id,
        reachable=here is not None,
        equal=here is not None and here["equal"],
        missing=here["missing"] if here is not None else 0,
        behind=here["behind"] if here is not None else known.behind,
        last_seen=known.last_seen,
    )


def _hub(seen: Mapping[str, Any]) -> Hub:
    return Hub(
        name=seen["name"],
        zid=seen["zid"],
        reachable=seen["reachable"],
        lacking=seen["lacking"],
        told=storage_words.told(seen, clock.system_wall_clock()),
    )


def _write(synced: Synced) -> None:
    for space in synced.spaces:
        name = f"{one_line(space.name)}: " if len(synced.spaces) > 1 else ""
        output.line(f"{name}{_sentence(space)}")
    if not synced.spaces:
        output.line("No space is shared: all is on this device. To share it: nokosu invite")


def _sentence(space: Space) -> str:
    if space.revoked:
        return delivery.REVOKED
    if not space.devices and not space.hubs:
        return "no other device is in it: nokosu invite"
    equal = [one.name for one in space.devices if one.equal]
    held = f"{counted(space.records, 'record')}, {counted(space.logs, 'log')}"
    parts = [f"equal with {_listed(equal)} (vectors equal hash for hash: {held})"] if equal else []
    parts += [_apart(one) for one in space.devices if not one.equal]
    parts += [hub.told for hub in space.hubs]
    parts += [f"not connected: {space.error}"] if space.error else []
    return one_line("; ".join(parts))


def _apart(one: Device) -> str:
    if not one.reachable:
        return f"{one.name} not reachable, {delivery.last_seen(one.last_seen, clock.system_wall_clock())}"
    counts = [
        *([f"lacks {counted(one.behind, 'record')}"] if one.behind else []),
        *([f"has {counted(one.missing, 'record')} more than this one"] if one.missing else []),
    ]
    return f"{one.name} {' and '.join(counts) or 'has not said yet what it holds'}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
