"""Checks of the mesh: does the node run, do the devices reach and understand one another, and do they hold the same.

Of a space that is not shared there is nothing to check. Whatever is asked of the network has a time limit, and the store
is let go before that. That a log was continued twice is told by the checks of the store.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from nokosu import clock, limits, records, times
from nokosu.clock import WallClock
from nokosu.config import Config
from nokosu.doctor import engine, node, reach
from nokosu.doctor.node import Node, Peer
from nokosu.doctor.reach import Connects
from nokosu.doctor.result import Result
from nokosu.engine import located
from nokosu.errors import StoreError
from nokosu.fold import Status
from nokosu.mesh import addresses, vectors
from nokosu.records import Kind, Rekeying
from nokosu.store import counting, roster
from nokosu.store import vectors as announced
from nokosu.store.connection import Database
from nokosu.store.log import Head, heads
from nokosu.store.roster import Listening, Member, Secret, Space
from nokosu.store.sqlite import Connection
from nokosu.store.vectors import Known

CLOCK_WARN_MS: Final = 5_000
ENGINE_CLOCK_WARN_MS: Final = 500  # where zenohds compare by time, more makes them compare far too much
REFUSED_DAYS: Final = 7  # what was refused longer ago is not told any more
_PURGES_MAX: Final = 1_000  # the latest ones
_SYNC: Final = "nokosu sync --wait"

Level = Literal["ok", "warn", "fail"]


class Outside(Struct, frozen=True, kw_only=True):
    """What is found outside the store; all of it for tests to replace."""

    node: Node
    connect: Connects
    own_hosts: Sequence[str]
    wall_clock: WallClock
    find_engine: engine.Find = located.find
    check_engine: engine.Check = located.check

    def engine(self) -> engine.Outside:
        """The same for the checks of the engine."""
        return engine.Outside(answers=self.node.answers, find=self.find_engine, check=self.check_engine)


class _Other(Struct, frozen=True):
    """Another device of a space that was not revoked: what it announced last, its nodes that ours sees, its addresses."""

    name: str
    known: Known | None
    peers: tuple[Peer, ...]
    addresses: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        return any(peer.reachable for peer in self.peers)

    @property
    def heads(self) -> tuple[Head, ...]:
        return self.known.announcement.heads if self.known is not None else ()


class _View(Struct, frozen=True, kw_only=True):
    """A space as the checks see it."""

    space: Space
    members: list[Member]
    others: list[_Other]
    heads: list[Head]
    own: Known | None
    listening: Listening | None
    now_ms: int

    @property
    def is_revoked(self) -> bool:
        """Whether this device is no member any more; then nothing else is to be expected."""
        return any(one.own and one.revoked for one in self.members)


def examined(config: Config, outside: Outside | None = None) -> list[Result]:
    """All checks of the mesh; none where no space is shared. *outside* is as it is found, unless a test gives another."""
    database = Database(config.database)
    try:
        with database.reading() as connection:
            is_shared, moves = bool(roster.shared_spaces(connection)), _moves(connection)
        return [*(_checks(config, database, outside or _found(config)) if is_shared else ()), *moves]
    except StoreError as error:
        return [Result("mesh", "fail", str(error), error.hint or "nokosu verify")]
    finally:
        database.close()


def _found(config: Config) -> Outside:
    return Outside(
        node=node.asked(config),
        connect=reach.connects,
        own_hosts=addresses.own_hosts(),
        wall_clock=clock.system_wall_clock,
    )


def of_blind_hub(config: Config) -> list[Result]:
    """All checks of a blind hub: does its node run, and its zenohd. It has no store, and knows of no devices."""
    ours = node.asked(config)
    results = [_node(ours, [])]
    if ours.answers and any(ours.errors.values()):
        results = [Result("node", "fail", "its space is not carried", "nokosu node logs", tuple(ours.errors.values()))]
    return [
        *results,
        *engine.checks(config, ours.spaces, engine.Outside(answers=ours.answers), clock.system_wall_clock()),
    ]


def _checks(config: Config, database: Database, outside: Outside) -> list[Result]:
    with database.reading() as connection:
        views = [_view(connection, space, outside) for space in roster.shared_spaces(connection)]
        results = [_node(outside.node, [view.space for view in views if not view.is_revoked])]
        for view in views:
            results += _of_space(connection, view, outside.node)
    for view in views:
        results += _of_network(view, outside)
    here = [_told(view.space, outside.node) for view in views if not view.is_revoked]
    results += engine.checks(config, here, outside.engine(), outside.wall_clock())
    return results


def _told(space: Space, ours: Node) -> engine.Space:
    """What the node tells of the engine in a space, or that it tells nothing."""
    found = (one for one in ours.spaces if one.id == space.id)
    return next(found, engine.Space(id=space.id, name=space.name))


def _view(connection: Connection, space: Space, outside: Outside) -> _View:
    members = roster.members(connection, space)
    known = {one.device: one for one in announced.known(connection, space)}
    peers = outside.node.peers.get(space.id, ())
    own = next((one.device.id for one in members if one.own), b"")
    return _View(
        space=space,
        members=members,
        others=[
            _other(connection, space, one, known.get(one.device.id), peers)
            for one in members
            if not one.own and not one.revoked
        ],
        heads=heads(connection, space),
        own=known.get(own),
        listening=roster.listening(connection, space),
        now_ms=outside.wall_clock(),
    )


def _other(connection: Connection, space: Space, member: Member, known: Known | None, peers: Sequence[Peer]) -> _Other:
    id = member.device.id
    said = known.announcement.addresses if known is not None else ()
    where = tuple(dict.fromkeys([*roster.addresses(connection, space, id), *said]))
    return _Other(member.device.name, known, tuple(peer for peer in peers if peer.device == id), where)


def _of_space(connection: Connection, view: _View, ours: Node) -> Iterator[Result]:
    yield _roster(view)
    if view.is_revoked:
        return
    yield from _revoked(connection, view)
    if not view.others:
        return
    yield _key(connection, view)
    yield _clocks(view, ENGINE_CLOCK_WARN_MS if _told(view.space, ours).storages else CLOCK_WARN_MS)
    yield _versions(view, ours)
    yield _vectors(connection, view)
    yield _gaps(connection, view)
    yield _begun(connection, view)
    yield _refusals(connection, view)
    yield _purges(connection, view)


def _of_network(view: _View, outside: Outside) -> Iterator[Result]:
    if view.is_revoked:
        return
    if view.others:
        yield _addresses(view, outside)
    yield _listener(view, outside)


def _result(
    view: _View, what: str, level: Level, summary: str, hint: str = "", *, details: Sequence[str] = ()
) -> Result:
    return Result(f"{what} ({view.space.name})", level, summary, hint, tuple(details))


# The node and the spaces ------------------------------------------------------------------------------------------------


def _node(ours: Node, spaces: Sequence[Space]) -> Result:
    if not ours.running:
        return Result("node", "warn", f"it does not run, {ours.why}: nothing is sent or received", ours.hint)
    if not ours.answers:
        return Result("node", "fail", "it runs, and does not answer", "nokosu node logs")
    errors = tuple(f"{space.name}: {ours.errors[space.id]}" for space in spaces if space.id in ours.errors)
    if errors:
        return Result("node", "fail", "a space is not connected", "nokosu node logs", errors)
    if ours.version != ours.wanted:
        hint = "nokosu node stop, then nokosu node start"
        return Result("node", "warn", f"it is nokosu {ours.version}, and this is {ours.wanted}", hint)
    return Result("node", "ok", f"running, nokosu {ours.version}")


def _moves(connection: Connection) -> list[Result]:
    """Spaces whose memories were to go to another one, and have not all arrived there."""
    rows = connection.rows(
        "SELECT target.name, (SELECT count(*) FROM memory WHERE memory.space = space.n) "
        "FROM space JOIN space AS target ON target.n = space.moving_to"
    )
    return [
        Result("move", "warn", f"{left} memories are still on their way into the space {target}", "nokosu sync")
        for target, left in rows
    ]


# Who belongs ------------------------------------------------------------------------------------------------------------


def _roster(view: _View) -> Result:
    if view.is_revoked:
        summary = "this device was revoked: what it saves here reaches nobody"
        return _result(view, "roster", "fail", summary, "nokosu export FILE, to keep what is here")
    revoked = sum(one.revoked for one in view.members)
    others = f"this device and {len(view.others)} more" if view.others else "this device alone"
    return _result(view, "roster", "ok", f"{others}, and {revoked} revoked" if revoked else others)


def _revoked(connection: Connection, view: _View) -> list[Result]:
    """Revoked devices that still call: the older key opens the door until every device has heard of the new one."""
    since = view.now_ms - times.DAY_MS
    rows = connection.rows("SELECT DISTINCT device FROM refusal WHERE space = ? AND last_ms > ?", (view.space.n, since))
    names = [one.device.name for one in view.members if one.revoked and (one.device.id,) in rows]
    if not names:
        return []
    summary = f"revoked, and still calling: {', '.join(names)}; all of it is refused, and the new key shuts the door"
    return [_result(view, "revoked", "warn", summary, _SYNC)]


def _key(connection: Connection, view: _View) -> Result:
    """Whether every device has heard of the current secret."""
    current = next(iter(roster.secrets(connection, view.space)), None)
    if current is None or current.epoch == 0:
        return _result(view, "key", "ok", "the one that the space was made with")
    made = _rekeying(connection, view.space, current)
    unheard = [other.name for other in view.others if made is not None and not _covers(connection, view, other, made)]
    if not unheard:
        return _result(view, "key", "ok", f"epoch {current.epoch}, known to all devices")
    summary = f"epoch {current.epoch}, made when a device was revoked; not heard of yet by {', '.join(unheard)}"
    return _result(view, "key", "warn", summary, f"{_SYNC}; who was away for 30 days joins again: nokosu invite")


def _rekeying(connection: Connection, space: Space, current: Secret) -> Head | None:
    """Where the record lies that made a secret."""
    for record in counting.roster_records(connection, space.n) or ():
        content = record.roster()
        if isinstance(content, Rekeying) and content.key_id == current.key_id:
            return Head(record.place.log, record.place.seq, record.hash)
    return None


# What the devices say of themselves -------------------------------------------------------------------------------------


def _clocks(view: _View, warn_ms: int) -> Result:
    offsets = {other.name: _offset_ms(other) for other in view.others}
    off = {name: ms for name, ms in offsets.items() if ms is not None and abs(ms) > warn_ms}
    if not off:
        known = sum(ms is not None for ms in offsets.values())
        return _result(
            view, "clocks", "ok", f"{known} of {len(offsets)} compared, none off by over {warn_ms / 1000:g} s"
        )
    level: Level = "fail" if max(map(abs, off.values())) > limits.DRIFT_MS_MAX else "warn"
    told = ", ".join(f"{name} is {_span(abs(ms))} {'ahead' if ms > 0 else 'behind'}" for name, ms in off.items())
    return _result(view, "clocks", level, f"{told}: its clock is wrong, or this device's", "date, on both")


def _offset_ms(other: _Other) -> int | None:
    """How far a device's clock is ahead of ours. Where no node has compared them, its last announcement still proves that
    it is ahead, if it was made after it was heard.
    """
    told = [peer.clock_offset_ms for peer in other.peers if peer.clock_offset_ms is not None]
    if told:
        return max(told, key=abs)
    ahead = other.known.announcement.wall - other.known.seen_ms if other.known is not None else 0
    return ahead if ahead > 0 else None


def _span(ms: int) -> str:
    for size, unit in ((times.DAY_MS, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms // 1000} s" if ms >= 2_000 else f"{ms / 1000:.1f} s"


def _versions(view: _View, ours: Node) -> Result:
    said = {other.name: other.known.announcement.version for other in view.others if other.known is not None}
    skewed = [f"{name} has {version or 'an unknown one'}" for name, version in said.items() if version != ours.wanted]
    if not skewed:
        return _result(view, "versions", "ok", f"{len(said)} of {len(view.others)} heard of, all {ours.wanted}")
    summary = f"this device has {ours.wanted}, {', '.join(skewed)}: all goes on, but upgrade the older ones"
    return _result(view, "versions", "warn", summary, "nokosu --version, on each")


# What they hold ---------------------------------------------------------------------------------------------------------


def _vectors(connection: Connection, view: _View) -> Result:
    differ = {other.name: told for other in view.others if (told := _difference(connection, view, other))}
    equal = len(view.others) - len(differ)
    summary = f"{equal} of {len(view.others)} other devices hold the same, hash for hash"
    lines = [f"{name} {told}" for name, told in differ.items()]
    if any(other.is_here and other.name in differ for other in view.others):
        return _result(view, "vectors", "warn", f"{summary}, though more are connected", _SYNC, details=lines)
    return _result(view, "vectors", "ok", summary, details=lines)


def _difference(connection: Connection, view: _View, other: _Other) -> str:
    """In what a device's last announcement differs from what is held here; empty if it does not."""
    if other.known is None:
        return "was never heard of"
    if set(other.heads) == set(view.heads):
        return ""
    holds = announced.holder(connection, view.space)
    lacks = announced.behind(view.heads, other.heads, holds)
    has = sum(lack.records for lack in vectors.missing(view.heads, other.heads, holds))
    when = times.day(other.known.seen_ms, view.now_ms)
    return f"lacks {lacks} of our records, and has {has} that are not here, as it said {when}"


def _gaps(connection: Connection, view: _View) -> Result:
    rows = connection.rows(
        "SELECT device.name, count(*) FROM log JOIN record ON record.log = log.n JOIN device ON device.n = log.device "
        "JOIN member ON member.space = log.space AND member.device = log.device "
        "WHERE log.space = ? AND NOT record.linked AND NOT member.revoked GROUP BY device.n",
        (view.space.n,),
    )
    if not rows:
        return _result(view, "gaps", "ok", "no record waits for one before it")
    waiting = ", ".join(f"{count} of {name}" for name, count in rows)
    summary = f"records wait for others that come before them: {waiting}; they are found all the same"
    return _result(view, "gaps", "warn", summary, _SYNC)


def _begun(connection: Connection, view: _View) -> Result:
    """Devices that have begun many logs: each restored backup and each clone begins one, and there is a bound."""
    rows = connection.rows(
        "SELECT device.name, count(*) FROM log JOIN start ON start.log = log.n JOIN device ON device.n = log.device "
        "WHERE log.space = ? GROUP BY device.n ORDER BY 2 DESC, 1",
        (view.space.n,),
    )
    many = [(name, count) for name, count in rows if 2 * count >= limits.STARTS_MAX]
    if not many:
        return _result(view, "begun", "ok", f"at most {rows[0][1] if rows else 0} logs and branches of one device")
    told = ", ".join(f"{count} of {name}" for name, count in many)
    summary = f"of at most {limits.STARTS_MAX} logs and branches a device may begin: {told}; no others will be taken"
    return _result(view, "begun", "warn", summary, f"nokosu revoke {many[0][0]}, and let it join with a new key")


def _refusals(connection: Connection, view: _View) -> Result:
    """What was refused lately. What came from no member is told, and is no fault: anybody can knock."""
    rows = connection.rows(
        "SELECT device, reason, count, last_ms FROM refusal WHERE space = ? AND last_ms > ? ORDER BY last_ms DESC, reason",
        (view.space.n, view.now_ms - REFUSED_DAYS * times.DAY_MS),
    )
    names = {one.device.id: one.device.name for one in view.members}
    lines = [
        f"{names.get(device, 'no member')}: {count} refused ({reason}), last {times.day(last, view.now_ms)}"
        for device, reason, count, last in rows
    ]
    revoked = {one.device.id for one in view.members if one.revoked}
    senders = list(dict.fromkeys(names[device] for device, *_ in rows if device in names.keys() - revoked))
    if not senders:
        return _result(view, "refused", "ok", f"nothing of a member in {REFUSED_DAYS} days", details=lines)
    summary = f"what {', '.join(senders)} sent was refused: it is not what nokosu would send"
    return _result(view, "refused", "warn", summary, f"nokosu revoke {senders[0]}, unless you know why", details=lines)


def _purges(connection: Connection, view: _View) -> Result:
    """Memories that were purged here, and whose text a device may still have."""
    made: dict[str, list[Head]] = {}
    for memory, log, seq, hash, header in connection.rows(_PURGED, (view.space.n, Status.PURGED, _PURGES_MAX)):
        if records.read_core(header).kind == Kind.PURGE:
            made.setdefault(memory, []).append(Head(log, seq, hash))
    pending = {other.name: _unpurged(connection, view, other, made) for other in view.others}
    if view.own is not None:
        pending["this device"] = len(view.own.announcement.pending)
    told = ", ".join(f"{count} on {name}" for name, count in pending.items() if count)
    if not told:
        return _result(view, "purges", "ok", f"gone from all devices: {len(made)}" if made else "none")
    hint = f"{_SYNC}; nokosu show ID tells of one"
    return _result(view, "purges", "warn", f"purged memories that may still be there: {told}", hint)


_PURGED: Final = (
    "SELECT record.memory, log.id, record.seq, CAST(record.hash AS BLOB), CAST(record.header AS BLOB) FROM "
    "(SELECT id, space FROM memory NOT INDEXED WHERE space = ? AND status = ? ORDER BY n DESC LIMIT ?) AS purged "
    "CROSS JOIN record ON record.memory = purged.id JOIN log ON log.n = record.log AND log.space = purged.space"
)


def _unpurged(connection: Connection, view: _View, other: _Other, made: Mapping[str, Sequence[Head]]) -> int:
    """How many purges a device has not announced as carried out."""
    pending = set(other.known.announcement.pending) if other.known is not None else set()
    if set(other.heads) == set(view.heads):  # it holds all that is here: the chains need not be followed
        return len(pending & made.keys())
    return sum(
        memory in pending or not any(_covers(connection, view, other, purge) for purge in purges)
        for memory, purges in made.items()
    )


def _covers(connection: Connection, view: _View, other: _Other, held: Head) -> bool:
    return announced.covers(connection, view.space, other.heads, held)


# Who can be reached -----------------------------------------------------------------------------------------------------


def _addresses(view: _View, outside: Outside) -> Result:
    """Whether something answers at the addresses of the other devices."""
    answers = reach.answering((address for other in view.others for address in other.addresses), outside.connect)
    lost, lines = [], []
    for other in view.others:
        tried = {address: answers[address] for address in other.addresses if address in answers}
        told = ", ".join(f"{address} {reason or 'answers'}" for address, reason in tried.items())
        here = "connected; " if other.is_here else ""
        lines.append(f"{other.name}: {here}{told or 'no address is known, so it has to call this device'}")
        if not other.is_here and all(tried.values()):
            lost.append(other.name)
    if not lost:
        return _result(view, "addresses", "ok", "all other devices can be reached", details=lines)
    summary = f"not reached: {', '.join(lost)} (off, asleep or elsewhere)"
    hint = f"nokosu devices set-address {lost[0]} HOST:PORT, if it is on"
    return _result(view, "addresses", "warn", summary, hint, details=lines)


def _listener(view: _View, outside: Outside) -> Result:
    """Whether this device listens where it should, and nowhere that strangers can knock."""
    listening = view.listening
    if listening is None:
        return _result(view, "listener", "ok", "none: this device calls the others")
    everywhere = listening.address in addresses.ANYWHERE
    own = addresses.shown("127.0.0.1" if everywhere else listening.address, listening.port)
    reason = reach.answering([own], outside.connect)[own] if outside.node.running else ""
    if reason:
        return _result(view, "listener", "fail", f"the node runs, and not at {own}: {reason}", "nokosu node logs")
    public = [host for host in (outside.own_hosts if everywhere else [listening.address]) if _is_public(host)]
    if public:
        summary = f"the internet may reach port {listening.port} at {', '.join(public)}"
        more = ("only devices of the space get in; still, let it listen at an address of your own network",)
        hint = f"nokosu invite --space {view.space.name} --listen ADDRESS"
        return _result(view, "listener", "warn", summary, hint, details=more)
    where = "all interfaces" if everywhere else listening.address
    return _result(view, "listener", "ok", f"port {listening.port}, on {where}")


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False
