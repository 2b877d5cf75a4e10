"""`nokosu hub init`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
import msgspec
from msgspec import Struct

from nokosu import __version__, clock, ids, limits
from nokosu.cli import join, meshing, options, output, start
from nokosu.cli.output import one_line
from nokosu.config import ZENOHD, Config, set_engine
from nokosu.engine import located
from nokosu.engine.located import Engine
from nokosu.errors import PairingError, Refused, UsageError
from nokosu.mesh import addresses, engine_home, hub_pairing, hubs, joining, pairing_wire, pairing_words, service
from nokosu.mesh.addresses import Address
from nokosu.mesh.hub_pairing import Applicant
from nokosu.mesh.hubs import BlindHub
from nokosu.mesh.joining import HubHere
from nokosu.mesh.pairing import HubPlace
from nokosu.mesh.pairing_wire import ANYWHERE, Invitation, Session, dial
from nokosu.mesh.pairing_words import HUB_INIT, INVITE_HUB
from nokosu.nokosu import Nokosu
from nokosu.store import roster
from nokosu.store.roster import Listening, Space
from nokosu.store.roster_fold import clean_name

_HELP: Final = f"""Make this machine, which is always on, a hub.

It shows the line to type on a device that has your memories (nokosu hub add), good for one try within
{limits.PAIRING_CODE_SECONDS // 60} minutes; or it takes the ADDRESS and CODE that nokosu invite --hub shows there. It becomes
one more device of yours and reads what is in the space; with --blind it gets a certificate alone, and keeps what it cannot
read. A device that shares its memories already becomes a hub of them at once.

Typed again, it pairs a blind hub anew: after a device was revoked, or for another name or address.
"""


class Wish(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    blind: bool
    name: str | None
    listen: str | None
    port: int
    pairing_port: int
    reach: tuple[str, ...]
    space: str | None
    as_: str | None
    yes: bool
    apart: bool


@click.command(
    "init",
    help=_HELP,
    epilog=options.examples(
        "nokosu hub init",
        "nokosu hub init --blind --reach vps.example.org:28123 --port 28123",
        "nokosu hub init --blind 192.168.1.5:41234 4K2M-7XQP",
    ),
)
@click.argument("address", required=False)
@click.argument("code", required=False)
@click.option("--blind", is_flag=True, help="Keep what this machine cannot read: no secret, no memories, no names.")
@click.option("--name", metavar="NAME", help="What your devices call it; else its host name.")
@options.listen
@options.port
@click.option(
    "--reach",
    multiple=True,
    metavar="HOST:PORT",
    help="Where else your devices reach it: a public name, a forwarded port; may be repeated.",
)
@click.option(
    "--pairing-port", type=options.Whole(), metavar="N", default=0, help="The port to wait at; else the hub's own."
)
@click.option("--space", metavar="NAME", help="Be a hub of this space, which this device is in already.")
@click.option("--as", "as_", metavar="NAME", help="What to call the space here, if it is not a personal one.")
@click.option("--yes", is_flag=True, help="Share this machine's memories without asking.")
@click.option("--apart", is_flag=True, help="Share none of them: they move to the space local, which stays here.")
def init(address: str | None, code: str | None, **asked: object) -> None:
    """Make this machine, which is always on, a hub."""
    wish, called = _checked(msgspec.convert(asked, Wish), address, code)
    config = start.configuration()
    if wish.blind:
        _init_blind(config, wish, called)
    else:
        _init_reading(config, wish, called)


class Called(Struct, frozen=True):
    """The member that shows a code, and the code."""

    address: Address
    code: str


def _checked(wish: Wish, address: str | None, code: str | None) -> tuple[Wish, Called | None]:
    """What was asked for, if it goes together.

    Raises:
        UsageError: it does not.
    """
    if (address is None) != (code is None):
        raise UsageError("code: ADDRESS and CODE go together", hint=f"{INVITE_HUB}, on the other device", field="code")
    called = Called(addresses.parse(address), ids.pairing_code(code)) if address and code else None
    options.check_port(wish.port, "port")
    options.check_port(wish.pairing_port, "pairing-port")
    if wish.listen is not None:
        addresses.ip(wish.listen, field="listen")
    if wish.name is not None and (not wish.name or clean_name(wish.name) != wish.name):
        raise UsageError(f"name: {wish.name[:60]!a} cannot be a name: one short line", field="name")
    if wish.blind and (wish.space or wish.as_ or wish.yes or wish.apart):
        raise UsageError("blind: a blind hub has no space and no memories to ask about", field="blind")
    if called is not None and wish.space:
        raise UsageError("space: the other device says which one; --as names it here", field="space")
    reach = tuple(str(addresses.parse(one, field="reach")) for one in wish.reach)
    return msgspec.structs.replace(wish, reach=reach), called


# A blind one ----------------------------------------------------------------------------------------------------------


def _init_blind(config: Config, wish: Wish, called: Called | None) -> None:
    if config.database.exists():
        hint = "NOKOSU_HOME=/another/folder nokosu hub init --blind; or, without --blind, a hub that reads"
        raise Refused("this home has memories, and a blind hub has none: it needs a home of its own", hint=hint)
    before = hubs.load(config.home)
    engine = _engine(config)
    listening = _listening(wish, before=Listening(before.port, before.address) if before is not None else None)
    who = Applicant(
        name=wish.name or (before.name if before is not None else _own_name(config)),
        place=_place(before.zid if before is not None else engine_home.new_zid(os.urandom), listening, wish),
        listening=listening,
        version=__version__,
        engine=engine.version,
        before=before,
    )
    with _session(wish, called, listening) as session:
        hub = hub_pairing.apply(
            session, who, keep=lambda made: hubs.save(config.home, made), wall_clock=clock.system_wall_clock
        )
    runs = _restart(config)
    _tell_blind(hub, who.place, runs=runs, again=before is not None)


def _tell_blind(hub: BlindHub, place: HubPlace, *, runs: bool, again: bool) -> None:
    verb = "has a new certificate, and is a blind hub as before" if again else "is a blind hub now"
    output.line(f"{one_line(hub.name)} {verb}: it keeps what your devices give it, and can read none of it.")
    _tell_next(place, runs=runs)


# One that reads -------------------------------------------------------------------------------------------------------


def _init_reading(config: Config, wish: Wish, called: Called | None) -> None:
    if config.is_blind_hub:
        hint = "NOKOSU_HOME=/another/folder nokosu hub init; or nokosu hub init --blind, to pair it anew"
        raise Refused("this home is a blind hub: one that reads needs a home of its own", hint=hint)
    _engine(config)
    if called is None and config.database.exists():
        space = _space_here(config, wish)
        if space is not None:
            _be_hub_of(config, wish, space)
            return
    if wish.space is not None:
        raise Refused(
            f"space: {wish.space} is not shared by this device",
            hint="nokosu space list; nokosu hub init",
            field="space",
        )
    _join_as_hub(config, wish, called)


def _space_here(config: Config, wish: Wish) -> Space | None:
    """The space that this device shares already, and is to be a hub of; None if it shares none.

    Raises:
        NotFound, UsageError: the one that was named is not here, or it shares several.
    """
    with Nokosu(config) as memory, meshing.store_of(memory).database.reading() as connection:
        found = roster.shared_spaces(connection)
        if wish.space is not None:
            named = roster.space_named(connection, wish.space)
            return named if named in found else None
    if len(found) > 1:
        names = ", ".join(space.name for space in found)
        raise UsageError(f"space: this device shares several ({names}): say one with --space", field="space")
    return found[0] if found else None


def _be_hub_of(config: Config, wish: Wish, space: Space) -> None:
    """Make a device that is a member already a hub; nothing is paired."""
    if wish.name is not None:
        raise _named_already()
    with Nokosu(config) as memory:
        store = meshing.store_of(memory)
        with store.database.reading() as connection:
            joining.invitable(connection, space.name)
            before = roster.listening(connection, space)
        here = _here(config, wish, space.id, _listening(wish, before=before))
        set_engine(config.home, ZENOHD)  # first: a device that runs zenohd and is no hub yet does no harm
        with store.database.write() as connection:
            joining.be_hub(store, connection, space, here)
        name = joining.own_name(store, space)
    runs = _restart(start.configuration())
    output.line(f"{one_line(name)} is a hub of {one_line(space.name)} now.")
    _tell_next(here.place, runs=runs)


def _join_as_hub(config: Config, wish: Wish, called: Called | None) -> None:
    """Become a member, and a hub with it."""
    if wish.name is not None and config.database.exists():
        raise _named_already()
    named = msgspec.structs.replace(config, device_name=wish.name or _own_name(config))
    listening = _listening(wish, before=None)
    with _session(wish, called, listening) as session, Nokosu(named) as memory:
        store = meshing.store_of(memory)
        plan = joining.knock(session, store, name=wish.as_, hub=True)
        join.describe(plan)
        join.ask(session, plan, yes=wish.yes, apart=wish.apart, command=HUB_INIT)
        with store.database.reading() as connection:
            known = roster.space_with(connection, plan.preview.space)
            before = roster.listening(connection, known) if known is not None else None
        here = _here(config, wish, plan.preview.space, _again(wish, listening, before))
        host = called.address.host if called is not None else ""
        entered = joining.enter(session, store, plan, apart=wish.apart, inviter=host, hub=here)
        set_engine(config.home, ZENOHD)
        meshing.move_all(store)
        runs = _restart(start.configuration())
        meshing.first_sync(store, start.configuration(), entered.space)
        join.tell(store, entered, apart=wish.apart)
    output.line("It is a hub now: it keeps everything that is in the space, and reads it.")
    _tell_next(here.place, runs=runs)


def _again(wish: Wish, chosen: Listening, before: Listening | None) -> Listening:
    """Where to listen: as before, where this device was in the space already and nothing else is said."""
    if before is None:
        return chosen
    return Listening(wish.port or before.port, wish.listen or before.address)


def _here(config: Config, wish: Wish, space: bytes, listening: Listening) -> HubHere:
    return HubHere(_place(engine_home.hub_zid(config.home, space, os.urandom), listening, wish), listening)


def _named_already() -> UsageError:
    hint = "nokosu devices rename, for another name; and nokosu hub init without --name"
    return UsageError("name: this device has one", hint=hint, field="name")


# Both -----------------------------------------------------------------------------------------------------------------


def _own_name(config: Config) -> str:
    return clean_name(config.device_name)[: limits.DEVICE_NAME_CHARS_MAX] or "hub"


def _engine(config: Config) -> Engine:
    """The zenohd that this hub will run; tried before anybody is asked for anything.

    Raises:
        MeshError: there is none, or it does not work here.
    """
    found = located.find(config)
    located.check(found)
    return found


def _listening(wish: Wish, *, before: Listening | None) -> Listening:
    address = wish.listen or (before.address if before is not None else ANYWHERE)
    port = wish.port or (before.port if before is not None else 0)
    return Listening(port or joining.free_port(os.urandom, address), address)


def _place(zid: str, listening: Listening, wish: Wish) -> HubPlace:
    told = dict.fromkeys([*wish.reach, *addresses.reachable(listening.address, listening.port)])
    return HubPlace(zid=zid, port=listening.port, addresses=tuple(told)[: limits.ADDRESSES_MAX])


@contextmanager
def _session(wish: Wish, called: Called | None, listening: Listening) -> Iterator[Session]:
    """The conversation with a member: with the one that shows a code, or with whoever answers the code shown here."""
    if called is not None:
        with _dialled(called) as session:
            yield session
        return
    code = ids.new_pairing_code(os.urandom)
    port = wish.pairing_port or (listening.port if pairing_wire.is_free(listening.address, listening.port) else 0)
    try:
        with Invitation(code, random=os.urandom, address=listening.address, port=port, command=HUB_INIT) as waiting:
            _show(wish, addresses.reachable(listening.address, waiting.port), ids.shown_code(code), waiting.port)
            with waiting.wait(output.note) as session:
                hub_pairing.offered(session, blind=wish.blind)
                yield session
    except KeyboardInterrupt:
        output.note("It is over; nothing was changed.")
        raise


def _dialled(called: Called) -> Session:
    output.note(f"Calling {called.address} ...")
    try:
        return dial(called.address.host, called.address.port, called.code, random=os.urandom, shown_by=INVITE_HUB)
    except PairingError as error:
        raise pairing_words.explained(error, command=INVITE_HUB) from error


def _show(wish: Wish, hosts: tuple[str, ...], code: str, port: int) -> None:
    several = "one of these lines" if len(hosts) > 1 else "this line"
    kind = "a blind hub" if wish.blind else "a hub that reads"
    minutes = limits.PAIRING_CODE_SECONDS // 60
    output.line(
        f"To make this machine {kind}, type {several} within {minutes} minutes on a device that has your memories:"
    )
    output.line()
    shown = dict.fromkeys([*(addresses.shown(addresses.parse(one).host, port) for one in wish.reach), *hosts])
    for host in shown:
        output.line(f"  nokosu hub add {host} {code}{' --blind' if wish.blind else ''}")
    output.line()
    output.flush()
    output.note(f"Waiting; Ctrl-C ends it. If no line gets through, let TCP port {port} into this machine.")


def _restart(config: Config) -> bool:
    """Have the node run with what it is now; whether it does."""
    if not config.starts_node:
        return False
    return service.restart(config)


def _tell_next(place: HubPlace, *, runs: bool) -> None:
    output.line(f"Your devices call it at {', '.join(map(one_line, place.addresses))}.")
    output.line(f"Let them in, if there is a firewall: sudo ufw allow {place.port}/tcp")
    output.note("Next: nokosu hub status" if runs else "Next: nokosu hub start")
    output.note("To have it start with the machine: nokosu hub install")
