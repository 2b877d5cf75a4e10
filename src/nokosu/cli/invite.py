"""`nokosu invite`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from msgspec import Struct

from nokosu import ids, limits
from nokosu.cli import hub_add, meshing, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.errors import UsageError
from nokosu.mesh import addresses, hub_pairing, joining
from nokosu.mesh.hub_pairing import Certified
from nokosu.mesh.joining import Joined
from nokosu.mesh.pairing import Introduction
from nokosu.mesh.pairing_wire import INVITE, Invitation, Session
from nokosu.mesh.pairing_words import HUB_INIT, INVITE_HUB
from nokosu.store import roster
from nokosu.store.roster import Space

_HELP = f"""Invite another device: print the line to type there, and wait for it.

The code in it is good for one try, within {limits.PAIRING_CODE_SECONDS // 60} minutes. The device becomes a member of the
space: it gets what is in it, and what is saved there later. From then on this device listens for the others of that space,
on all its interfaces, at a port that is chosen once.

With --hub the line makes a machine that is always on a hub of the space (nokosu hub init).
"""


@click.command(
    "invite",
    help=_HELP,
    epilog=options.examples(
        "nokosu invite",
        "nokosu invite --space team",
        "nokosu invite --listen 192.168.1.5",
        "nokosu invite --hub --blind",
    ),
)
@click.option("--space", metavar="NAME", help="The space to invite to; else your personal one.")
@options.listen
@options.port
@click.option(
    "--pairing-port", type=options.Whole(), metavar="N", default=0, help="The port to wait at; else a free one."
)
@click.option("--hub", is_flag=True, help="Invite a hub.")
@click.option("--blind", is_flag=True, help="With --hub: take only one that cannot read what it keeps.")
def command(space: str | None, listen: str | None, port: int, pairing_port: int, *, hub: bool, blind: bool) -> None:
    """Invite another device: print the line to type there, and wait for it."""
    if blind and not hub:
        raise UsageError("blind: only a hub is", hint=f"{INVITE_HUB} --blind", field="blind")
    asked = addresses.ip(listen, field="listen") if listen is not None else None
    options.check_port(port, "port")
    options.check_port(pairing_port, "pairing-port")
    with start.memory() as memory:
        store = meshing.store_of(memory)
        with store.database.reading() as connection:
            target = joining.invitable(connection, roster.PERSONAL if space is None else space)
            address = joining.listening_address(connection, target, asked)
        ask = Asked(address, port, pairing_port)
        if hub:
            taken = _wait_for_hub(store, target, ask, blind=blind)
            meshing.start_node(memory)
            hub_add.tell(taken, target)
        else:
            joined = _wait(store, target, ask)
            meshing.start_node(memory)
            _tell(joined, target)


class Asked(Struct, frozen=True):
    """Where to listen from now on, at which port, and at which one for this pairing; 0 is one that is free."""

    address: str
    port: int
    pairing_port: int


def _wait(store: joining.Store, space: Space, ask: Asked) -> Joined:
    what = f"share {one_line(space.name)}", "the other device"
    with _invited(ask, what, "nokosu join", INVITE) as session:
        where = joining.listening(store, space, ask.address, ask.port)
        return joining.admit(session, store, space, where, tell=_arrived)


def _wait_for_hub(store: joining.Store, space: Space, ask: Asked, *, blind: bool) -> Certified | Joined:
    what = f"add a hub to {one_line(space.name)}", "it"
    line = f"{HUB_INIT} --blind" if blind else HUB_INIT
    with _invited(ask, what, line, INVITE_HUB) as session:
        where = joining.listening(store, space, ask.address, ask.port)
        return hub_pairing.receive(session, store, space, where, blind=blind, tell=hub_add.arrived)


@contextmanager
def _invited(ask: Asked, what: tuple[str, str], line: str, command: str) -> Iterator[Session]:
    """The conversation with whoever types *line* and what follows it; *what* says why, and where."""
    code = ids.new_pairing_code(os.urandom)
    try:
        with Invitation(
            code, random=os.urandom, address=ask.address, port=ask.pairing_port, command=command
        ) as invitation:
            hosts = addresses.reachable(ask.address, invitation.port)
            _show(what, [f"{line} {host} {ids.shown_code(code)}" for host in hosts])
            with invitation.wait(output.note) as session:
                yield session
    except KeyboardInterrupt:
        output.note("The invitation is over; nobody has joined.")
        raise


def _show(what: tuple[str, str], lines: Sequence[str]) -> None:
    several = "one of these lines" if len(lines) > 1 else "this line"
    minutes = limits.PAIRING_CODE_SECONDS // 60
    output.line(f"To {what[0]}, type {several} on {what[1]} within {minutes} minutes:")
    output.line()
    for line in lines:
        output.line(f"  {line}")
    output.line()
    output.flush()
    output.note("Waiting; Ctrl-C ends the invitation.")


def _arrived(said: Introduction) -> None:
    output.note(f"{said.name} knows the code; waiting for its answer ...")


def _tell(joined: Joined, space: Space) -> None:
    verb = "is in again:" if joined.again else "joined"
    brings = f", and brings {counted(joined.memories, 'memory', 'memories')}" if joined.memories else ""
    output.line(f"{one_line(joined.name)} {verb} {one_line(space.name)}{brings}.")
    if joined.namesakes:
        id = ids.grouped(joined.device)
        output.note(f"Note: another device is called {joined.name} too; nokosu devices rename {id[:9]} NAME")
