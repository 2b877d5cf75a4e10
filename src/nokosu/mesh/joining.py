"""Both ends of a pairing and their stores: who may join what, what is sent, and what is written when.

The inviter admits the joiner in its own log before it sends the welcome; the joiner writes everything that makes it a
member in one transaction. So whatever fails in between, pairing again repairs it: a device that was admitted and never
heard of it is harmless, and one that is a member already only gets what it has missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

from nokosu import clock, fold, ids, limits, records
from nokosu.errors import NokosuError, PairingError, RecordRefused, Refused, UsageError
from nokosu.identity import boxes, secrets
from nokosu.mesh import addresses, pairing, pairing_wire, seal
from nokosu.mesh.pairing import (
    Acceptance,
    Application,
    Done,
    HubPlace,
    Introduction,
    Preview,
    Reason,
    Welcome,
    WelcomeAddress,
    WelcomeSecret,
)
from nokosu.mesh.pairing_wire import Session
from nokosu.mesh.pairing_words import REVOKED_HINT, explained, refused
from nokosu.records import Hub
from nokosu.store import membership, moving, roster
from nokosu.store.connection import Database
from nokosu.store.log import Log
from nokosu.store.roster import Listening, Member, Secret, Space
from nokosu.store.roster_fold import clean_name
from nokosu.store.sqlite import Connection

_ADDRESSES_SENT_MAX: Final = 256
_PORTS: Final = range(20_000, 32_768)  # below those that systems give to outgoing connections, so it stays free
_PORTS_TRIED_MAX: Final = 64


class Store(Struct, frozen=True):
    """What both ends need of this device: its database and log, randomness, which nokosu this is, and the time."""

    database: Database
    log: Log
    random: ids.Random
    version: str
    wall_clock: clock.WallClock = clock.system_wall_clock


# The inviter ----------------------------------------------------------------------------------------------------------


class Joined(Struct, frozen=True, kw_only=True):
    """Who joined: `memories` it brings along; `again` if it was a member before; whether it is a *hub* from now on; how many
    other devices have its name.
    """

    device: bytes
    name: str
    version: str
    memories: int
    again: bool
    hub: bool
    namesakes: int


def invitable(connection: Connection, name: str) -> Space:
    """The space to which a device may be invited.

    Raises:
        NotFound: there is none of that name.
        Refused: it never leaves this device, or this device is no member of it any more.
    """
    if name == roster.LOCAL:
        raise Refused("space: local never leaves this device", hint="nokosu space create NAME", field="space")
    space = roster.space_named(connection, name)
    if any(member.own and member.revoked for member in roster.members(connection, space)):
        raise Refused(f"space: this device was revoked from {name}", hint=REVOKED_HINT, field="space")
    return space


def listening(store: Store, space: Space, address: str, port: int = 0) -> Listening:
    """Where this device's node is to listen for *space*: at *port*, else at the port it has, else at a free one.

    Raises:
        PairingError: none is free.
    """
    with store.database.reading() as connection:
        before = roster.listening(connection, space)
    return Listening(port or (before.port if before is not None else free_port(store.random, address)), address)


def listen(store: Store, space: Space, where: Listening) -> None:
    """Have this device's node listen there from now on."""
    with store.database.write() as connection:
        _listen(connection, space, where)


def _listen(connection: Connection, space: Space, where: Listening) -> None:
    if roster.listening(connection, space) != where:
        roster.set_listening(connection, space, where.port, where.address)


def listening_address(connection: Connection, space: Space, asked: str | None) -> str:
    """The address to listen at: the one *asked* for, else the one that was, else all of this device's."""
    before = roster.listening(connection, space)
    return asked or (before.address if before is not None else pairing_wire.ANYWHERE)


def admit(
    session: Session, store: Store, space: Space, where: Listening, *, tell: Callable[[Introduction], None]
) -> Joined:
    """Talk to the device that knows the code until it is a member; *tell* is given who it is, once it is known.

    With its admission, and not before, this device begins to listen at *where*.

    Raises:
        PairingError: it may not join, does not want to, or was lost on the way.
    """
    said = session.hear_first()
    if not isinstance(said, Introduction):
        raise refused(session, Reason.DEVICE_INVITED if isinstance(said, Application) else Reason.MEMBER_WAITS)
    return admit_introduced(session, store, space, where, said, tell=tell)


def admit_introduced(
    session: Session,
    store: Store,
    space: Space,
    where: Listening | None,
    said: Introduction,
    *,
    tell: Callable[[Introduction], None],
    dialled: str = "",
) -> Joined:
    """The same for a device that has introduced itself; *dialled* is the host at which it was reached, if it was called.
    This device goes on as it is, where it is not told to listen.
    """
    pairing.check_introduction(session.channel, said)
    with store.database.reading() as connection:
        reason = _kept_out(connection, space, records.device_id(said.key))
        preview = _preview(connection, space, store.version)
    if reason is not None:
        raise refused(session, reason, name=_named(said))
    tell(said)
    session.say(preview)
    try:
        accepted = session.hear(Acceptance, seconds=limits.PAIRING_ANSWER_SECONDS)
        joined = _admitted(store, space, where, said, accepted, dialled=dialled)
        with store.database.reading() as connection:
            welcome = _welcome(connection, space)
        session.say(welcome)
    except pairing.Refused as error:
        raise explained(error, _named(said)) from error
    except NokosuError as error:
        if not isinstance(error, PairingError):
            session.refuse(Reason.FAILED)
        raise
    try:
        session.hear(Done)
    except PairingError as error:
        message = f"{joined.name} was admitted, but hung up before it said that it is in"
        raise PairingError(message, hint="if it is not: nokosu invite, and nokosu join there, again") from error
    return joined


def _kept_out(connection: Connection, space: Space, device: bytes) -> Reason | None:
    if device == roster.own_device(connection).id:
        return Reason.SELF
    member = _member(roster.members(connection, space), device)
    return Reason.REVOKED if member is not None and member.revoked else None


def _preview(connection: Connection, space: Space, version: str) -> Preview:
    own = roster.own_device(connection)
    members = [member for member in roster.members(connection, space) if not member.revoked]
    return Preview(
        space=space.id,
        name=space.name,
        personal=space.name == roster.PERSONAL,
        device=own.id,
        device_name=next((member.device.name for member in members if member.own), own.name),
        version=version,
        devices=tuple(member.device.name for member in members),
        memories=memories_of(connection, space),
    )


def _admitted(
    store: Store, space: Space, where: Listening | None, said: Introduction, accepted: Acceptance, *, dialled: str
) -> Joined:
    device = records.device_id(said.key)
    with store.database.write() as connection:
        if roster.space_with(connection, space.id) is None or moving.target_of(connection, space) is not None:
            raise Refused(f"space: {space.name!a} joined another one meanwhile", hint="nokosu invite", field="space")
        if _kept_out(connection, space, device) is not None:
            raise Refused(f"{_named(said)} was revoked a moment ago")
        members = roster.members(connection, space)
        known = _member(members, device)
        if where is not None:
            _listen(connection, space, where)
        if known is None:
            membership.admit(
                store.log,
                connection,
                space,
                public_key=said.key,
                box_key=said.box,
                name=clean_name(said.name) or "device",
            )
        after = roster.members(connection, space)
        member = _member(after, device)
        assert member is not None
        if accepted.hub is not None:
            at = msgspec.structs.replace(accepted.hub, addresses=reached_at(accepted.hub, dialled))
            note_hub(store, connection, space, member, at)
        return Joined(
            device=device,
            name=member.device.name,
            version=clean_name(said.version),
            memories=accepted.memories,
            again=known is not None,
            hub=accepted.hub is not None,
            namesakes=sum(one.device.name == member.device.name and not one.revoked for one in after) - 1,
        )


def note_hub(store: Store, connection: Connection, space: Space, member: Member, place: HubPlace) -> None:
    """Have a member be a reading hub of a space from now on, unless that is known."""
    hub = Hub(zid=place.zid, name=member.device.name, addresses=place.addresses, blind=False, device=member.device.id)
    known = {one.zid: one for one in roster.hubs(connection, space)}.get(hub.zid)
    if known is None or not set(hub.addresses) <= set(known.addresses) or known.name != hub.name:
        membership.set_hub(store.log, connection, space, hub)


def reached_at(place: HubPlace, dialled: str) -> tuple[str, ...]:
    """Where a hub may be called: first where it was just now, if it was."""
    here = [addresses.shown(dialled, place.port)] if dialled else []
    told = [one for one in place.addresses if addresses.is_address(one)]
    return tuple(dict.fromkeys([*here, *told]))[: limits.ADDRESSES_MAX]


def _welcome(connection: Connection, space: Space) -> Welcome:
    own = roster.own_device(connection)
    listening = roster.listening(connection, space)
    found = [
        (own.id, address) for address in (addresses.reachable(listening.address, listening.port) if listening else ())
    ]
    for member in roster.members(connection, space):
        if not member.own and not member.revoked:
            found += [(member.device.id, address) for address in roster.addresses(connection, space, member.device.id)]
    return Welcome(
        founder=roster.founder(connection, space),
        secrets=tuple(WelcomeSecret(one.epoch, one.secret) for one in roster.secrets(connection, space)),
        records=tuple(map(seal.pack, membership.roster_records(connection, space))),
        addresses=tuple(WelcomeAddress(*one) for one in found[:_ADDRESSES_SENT_MAX]),
        port=listening.port if listening else 0,
    )


def free_port(random: ids.Random, address: str) -> int:
    """A port to listen at for good.

    Raises:
        PairingError: none is free.
    """
    for _ in range(_PORTS_TRIED_MAX):
        port = _PORTS[int.from_bytes(random(4), "big") % len(_PORTS)]
        if pairing_wire.is_free(address, port):
            return port
    raise PairingError(f"no free port was found on {address}", hint="say one: --port PORT")


# The joiner -----------------------------------------------------------------------------------------------------------


class Way(Enum):
    """How a space is joined."""

    MERGE = "merge"  # both are personal: this device's memories move into the other's
    ENTER = "enter"  # beside the spaces that are here; nothing is copied
    AGAIN = "again"  # this device is in it already, and catches up


class Plan(Struct, frozen=True, kw_only=True):
    """What joining would do here: the space is called `name`, and `memories` of this device would be shared in it."""

    way: Way
    name: str
    memories: int
    preview: Preview


class Entered(Struct, frozen=True, kw_only=True):
    """The space that was joined, and how many memories of this device move."""

    space: Space
    way: Way
    devices: tuple[str, ...]
    moving: int


def knock(session: Session, store: Store, *, name: str | None = None, hub: bool = False) -> Plan:
    """Introduce this device, and find out what joining means here; *name* is what the space is to be called, and a *hub*
    says at once that it is to be one.

    Raises:
        Refused: it cannot be joined from here; the message says why, the hint what to do.
        PairingError: the inviter does not want this device, or was lost.
    """
    with store.database.reading() as connection:
        own = roster.own_device(connection)
        key, box = roster.signing_key(connection), boxes.public_key(roster.box_private_key(connection))
    session.say(
        pairing.introduction(
            session.channel, key, box, own.name[: limits.DEVICE_NAME_CHARS_MAX], store.version, hub=hub
        )
    )
    try:
        preview = session.hear(Preview)
    except pairing.Refused as error:
        raise explained(error, "the other device") from error
    try:
        with store.database.reading() as connection:
            return _plan(connection, preview, name)
    except NokosuError as error:
        session.refuse(error.reason if isinstance(error, _NotHere) else Reason.FAILED)
        raise


class HubHere(Struct, frozen=True):
    """That this device is to be a hub of what it joins: where the others reach it, and where it listens."""

    place: HubPlace
    listening: Listening


def enter(
    session: Session, store: Store, plan: Plan, *, apart: bool, inviter: str, hub: HubHere | None = None
) -> Entered:
    """Agree, and become a member: all of it in one transaction. What moves, moves afterwards (`store.moving`).

    *apart* moves this device's memories into `local` instead; of one that is a member already, those that have not moved into
    the space yet. *inviter* is the host that was dialled, empty if none was.

    Raises:
        PairingError: the inviter was lost; nothing was changed here.
    """
    session.say(Acceptance(0 if apart else plan.memories, hub.place if hub is not None else None))
    try:
        welcome = session.hear(Welcome, bytes_max=limits.PAIRING_WELCOME_BYTES_MAX)
    except pairing.Refused as error:
        raise explained(error, plan.preview.device_name) from error
    try:
        with store.database.write() as connection:
            entered = _entered(connection, store, plan, welcome, apart=apart)
            _keep_addresses(connection, entered.space, plan.preview, welcome, inviter)
            if hub is not None:
                be_hub(store, connection, entered.space, hub)
    except NokosuError:
        session.refuse(Reason.FAILED)
        raise
    session.say(Done())
    store.log.settle()
    return entered


def be_hub(store: Store, connection: Connection, space: Space, hub: HubHere) -> None:
    """Have this device listen as a hub of a space that it is in, and the members know of it."""
    _listen(connection, space, hub.listening)
    own = next(member for member in roster.members(connection, space) if member.own)
    note_hub(store, connection, space, own, hub.place)


def decline(session: Session) -> None:
    """The person does not want it."""
    session.refuse(Reason.DECLINED)


class _NotHere(Refused):
    """The joiner's side cannot join; the inviter is told `reason`."""

    def __init__(self, reason: Reason, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def _plan(connection: Connection, preview: Preview, name: str | None) -> Plan:
    own = roster.own_device(connection)
    if preview.device == own.id:
        raise _NotHere(Reason.SELF, "this is the device that invites", hint="type the line on the other device")
    here = roster.space_with(connection, preview.space)
    if here is not None:
        return Plan(way=Way.AGAIN, name=here.name, memories=0, preview=preview)
    if preview.personal:
        personal = roster.space_named(connection, roster.PERSONAL)
        if any(not member.own for member in roster.members(connection, personal)):
            raise _NotHere(Reason.SHARED, _SHARED, hint=_SHARED_HINT)
        return Plan(way=Way.MERGE, name=roster.PERSONAL, memories=memories_of(connection, personal), preview=preview)
    try:
        wanted = membership.space_name(name or preview.name)
    except UsageError as error:
        raise _NotHere(Reason.NAME, error.message, hint=_NAME_HINT) from error
    if any(space.name == wanted for space in roster.spaces(connection)):
        message = f"another space called {wanted!a} is on this device already"
        raise _NotHere(Reason.NAME, message, hint=_NAME_HINT)
    return Plan(way=Way.ENTER, name=wanted, memories=0, preview=preview)


def _entered(connection: Connection, store: Store, plan: Plan, welcome: Welcome, *, apart: bool) -> Entered:
    found = [Secret(secrets.key_id(one.secret), one.epoch, one.secret) for one in welcome.secrets]
    try:
        carried = list(map(seal.unpack, welcome.records))
        space = membership.enter(
            store.log,
            connection,
            id=plan.preview.space,
            name=plan.name,
            founder=welcome.founder,
            secrets=found,
            records=carried,
        )
    except RecordRefused as error:
        raise PairingError(f"what the other device sent is not valid ({error.message})") from error
    moving_now = plan.memories
    if plan.way is Way.MERGE:
        _merge(connection, space, apart=apart)
    elif plan.way is Way.AGAIN and apart:
        moving_now = sum(memories_of(connection, source) for source in moving.turn_to_local(connection, space))
    members = [member.device.name for member in roster.members(connection, space) if not member.revoked]
    joined = roster.space_with(connection, space.id)
    assert joined is not None
    return Entered(space=joined, way=plan.way, devices=tuple(members), moving=moving_now)


def _merge(connection: Connection, joined: Space, *, apart: bool) -> None:
    """Have this device's personal space move into *joined*, or into `local`; from now on *joined* is the personal one."""
    old = roster.space_named(connection, roster.PERSONAL)
    told = roster.listening(connection, old)
    if told is not None:  # to whoever was invited and never came; the word to listen was about this device
        roster.stop_listening(connection, old)
        roster.set_listening(connection, joined, told.port, told.address)
    moving.begin_move(connection, old, roster.space_named(connection, roster.LOCAL) if apart else joined)
    roster.name_space(connection, joined, roster.PERSONAL)


def _keep_addresses(connection: Connection, space: Space, preview: Preview, welcome: Welcome, inviter: str) -> None:
    """Where the others are; last, so that it is tried first, the host at which the inviter was just now reached."""
    known = {member.device.id for member in roster.members(connection, space) if not member.own}
    heard = [(one.device, one.address) for one in reversed(welcome.addresses) if one.device in known]
    if inviter and 0 < welcome.port < 1 << 16:
        heard.append((preview.device, addresses.shown(inviter, welcome.port)))
    for device, address in heard:
        try:
            roster.set_address(connection, space, device, str(addresses.parse(address)), "heard")
        except NokosuError:
            continue  # of a form that a later version knows


def own_name(store: Store, space: Space) -> str:
    """How this device is called in a space."""
    with store.database.reading() as connection:
        return next(member.device.name for member in roster.members(connection, space) if member.own)


# Both -----------------------------------------------------------------------------------------------------------------


def memories_of(connection: Connection, space: Space) -> int:
    """How many memories a space shows."""
    row = connection.row("SELECT count(*) FROM memory WHERE space = ? AND status = ?", (space.n, fold.Status.LIVE))
    return int(row[0]) if row is not None else 0


def _member(members: Sequence[Member], device: bytes) -> Member | None:
    return next((member for member in members if member.device.id == device), None)


def _named(said: Introduction) -> str:
    return clean_name(said.name) or "the other device"


_NAME_HINT: Final = "nokosu join ADDRESS CODE --as NAME, with a new code and another name"
_SHARED: Final = "the personal space of this device has other devices: it cannot join another's"
_SHARED_HINT: Final = (
    "nokosu invite here, and nokosu join on the other device; or share a space: nokosu space create NAME"
)
