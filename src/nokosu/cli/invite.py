"""`nokosu invite`."""

from __future__ import annotations

import os

import click

from nokosu import ids, limits
from nokosu.cli import meshing, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.mesh import addresses, joining
from nokosu.mesh.joining import Joined
from nokosu.mesh.pairing import Introduction
from nokosu.mesh.pairing_wire import Invitation
from nokosu.store import roster
from nokosu.store.roster import Space

_HELP = f"""Invite another device: print the line to type there, and wait for it.

The code in it is good for one try, within {limits.PAIRING_CODE_SECONDS // 60} minutes. The device becomes a member of the
space: it gets what is in it, and what is saved there later. From then on this device listens for the others of that space,
on all its interfaces, at a port that is chosen once.
"""


@click.command(
    "invite",
    help=_HELP,
    epilog=options.examples("nokosu invite", "nokosu invite --space team", "nokosu invite --listen 192.168.1.5"),
)
@click.option("--space", metavar="NAME", help="The space to invite to; else your personal one.")
@options.listen
@options.port
@click.option(
    "--pairing-port", type=options.Whole(), metavar="N", default=0, help="The port to wait at; else a free one."
)
def command(space: str | None, listen: str | None, port: int, pairing_port: int) -> None:
    """Invite another device: print the line to type there, and wait for it."""
    asked = addresses.ip(listen, field="listen") if listen is not None else None
    options.check_port(port, "port")
    options.check_port(pairing_port, "pairing-port")
    with start.memory() as memory:
        store = meshing.store_of(memory)
        with store.database.reading() as connection:
            target = joining.invitable(connection, roster.PERSONAL if space is None else space)
            address = joining.listening_address(connection, target, asked)
        joined = _wait(store, target, address, port, pairing_port)
        meshing.start_node(memory)
    _tell(joined, target)


def _wait(store: joining.Store, space: Space, address: str, port: int, pairing_port: int) -> Joined:
    code = ids.new_pairing_code(os.urandom)
    try:
        with Invitation(code, random=os.urandom, address=address, port=pairing_port) as invitation:
            _show(space, addresses.reachable(address, invitation.port), ids.shown_code(code))
            with invitation.wait(output.note) as session:
                where = joining.listening(store, space, address, port)
                return joining.admit(session, store, space, where, tell=_arrived)
    except KeyboardInterrupt:
        output.note("The invitation is over; nobody has joined.")
        raise


def _show(space: Space, hosts: tuple[str, ...], code: str) -> None:
    several = "one of these lines" if len(hosts) > 1 else "this line"
    minutes = limits.PAIRING_CODE_SECONDS // 60
    output.line(f"To share {one_line(space.name)}, type {several} on the other device within {minutes} minutes:")
    output.line()
    for host in hosts:
        output.line(f"  nokosu join {host} {code}")
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
