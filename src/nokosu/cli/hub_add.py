"""`nokosu hub add`."""

from __future__ import annotations

import os

import click

from nokosu import ids
from nokosu.cli import meshing, options, output, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.errors import PairingError
from nokosu.mesh import addresses, hub_pairing, joining, pairing_words
from nokosu.mesh.addresses import Address
from nokosu.mesh.hub_pairing import Certified
from nokosu.mesh.joining import Joined
from nokosu.mesh.pairing_wire import Session, dial
from nokosu.mesh.pairing_words import HUB_INIT
from nokosu.store import roster
from nokosu.store.roster import Space

_HELP = """Add the hub that shows ADDRESS and CODE (nokosu hub init).

A hub that reads becomes one of your devices. With --blind only one is taken that does not: it gets a certificate, and neither
the secret nor a name of anything. From then on all devices of the space call it; this one need not be reachable itself.
"""


@click.command(
    "add",
    help=_HELP,
    epilog=options.examples(
        "nokosu hub add 203.0.113.7:28123 4K2M-7XQP --blind", "nokosu hub add nas.local:28123 4K2M-7XQP --space team"
    ),
)
@click.argument("address")
@click.argument("code")
@click.option("--space", metavar="NAME", help="The space that it is to keep; else your personal one.")
@click.option("--blind", is_flag=True, help="Take it only if it cannot read what it keeps.")
def add(address: str, code: str, space: str | None, *, blind: bool) -> None:
    """Add the hub that shows ADDRESS and CODE."""
    where, word = addresses.parse(address), ids.pairing_code(code)
    with _session(where, word) as session, start.memory() as memory:
        store = meshing.store_of(memory)
        with store.database.reading() as connection:
            target = joining.invitable(connection, roster.PERSONAL if space is None else space)
        taken = hub_pairing.answer(session, store, target, blind=blind, dialled=where.host, tell=arrived)
        meshing.start_node(memory)
    tell(taken, target)


def _session(where: Address, code: str) -> Session:
    output.note(f"Calling {where} ...")
    try:
        return dial(where.host, where.port, code, random=os.urandom, shown_by=HUB_INIT)
    except PairingError as error:
        raise pairing_words.explained(error, "the hub", command=HUB_INIT) from error


def arrived(name: str) -> None:
    """Say who answered."""
    output.note(f"{name} knows the code ...")


def tell(taken: Certified | Joined, space: Space) -> None:
    """Say what became of it."""
    if isinstance(taken, Joined):
        _tell_joined(taken, space)
    else:
        _tell_certified(taken, space)
    output.note("Next: nokosu hub list")


def _tell_certified(taken: Certified, space: Space) -> None:
    hub = taken.hub
    again = "a hub of {} again, with a new certificate" if taken.again else "a hub of {} now"
    output.line(f"{one_line(hub.name)} is {again.format(one_line(space.name))}.")
    output.line("It is blind: it keeps what your devices give it, and can read none of it.")
    output.line(f"Your devices call it at {', '.join(map(one_line, hub.addresses))}.")
    if taken.namesakes:
        output.note(f"Note: another hub is called {hub.name} too; this one is {hub.zid[:8]}")


def _tell_joined(joined: Joined, space: Space) -> None:
    brings = f", and brings {counted(joined.memories, 'memory', 'memories')}" if joined.memories else ""
    output.line(f"{one_line(joined.name)} is a hub of {one_line(space.name)} now{brings}.")
    output.line("It is one of your devices: it reads what is in the space.")
    if joined.namesakes:
        id = ids.grouped(joined.device)
        output.note(f"Note: another device is called {joined.name} too; nokosu devices rename {id[:9]} NAME")
