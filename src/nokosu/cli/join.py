"""`nokosu join`."""

from __future__ import annotations

import os
from typing import Final

import click

from nokosu import ids
from nokosu.cli import meshing, options, output, reading, start
from nokosu.cli.layout import counted
from nokosu.cli.output import one_line
from nokosu.errors import PairingError, Refused, UsageError
from nokosu.mesh import addresses, joining, pairing_words
from nokosu.mesh.addresses import Address
from nokosu.mesh.joining import Entered, Plan, Way
from nokosu.mesh.pairing_wire import Session, dial

_DEVICES_NAMED_MAX: Final = 8

_HELP = """Join this device to a space of another one, which shows ADDRESS and CODE (nokosu invite).

If it is the other's personal space, the memories of this device's own move there and are shared with all its devices: on a
terminal it asks first. Joining any other space copies nothing. This device then calls the others; it waits for calls
itself only with --listen, or once it invites.
"""


@click.command(
    "join",
    help=_HELP,
    epilog=options.examples(
        "nokosu join 192.168.1.5:41234 4K2M-7XQP", "nokosu join desk.local:41234 4K2M-7XQP --apart"
    ),
)
@click.argument("address")
@click.argument("code")
@click.option("--yes", is_flag=True, help="Share this device's memories without asking.")
@click.option("--apart", is_flag=True, help="Share none of them: they move to the space local, which stays here.")
@click.option("--as", "name", metavar="NAME", help="What to call the space here, if it is not a personal one.")
@options.listen
@options.port
def command(
    address: str, code: str, name: str | None, listen: str | None, port: int, *, yes: bool, apart: bool
) -> None:
    """Join this device to a space of another one."""
    where, word = addresses.parse(address), ids.pairing_code(code)
    listen_at = _listening(listen, port)
    with _session(where, word) as session, start.memory() as memory:
        store = meshing.store_of(memory)
        plan = joining.knock(session, store, name=name)
        describe(plan)
        ask(session, plan, yes=yes, apart=apart)
        entered = joining.enter(session, store, plan, apart=apart, inviter=where.host)
        if listen_at is not None:
            joining.listen(store, entered.space, joining.listening(store, entered.space, listen_at, port))
        meshing.move_all(store)
        meshing.start_node(memory)
        meshing.first_sync(store, memory.config, entered.space)
        tell(store, entered, apart=apart)


def _listening(listen: str | None, port: int) -> str | None:
    options.check_port(port, "port")
    if listen is None and port:
        raise UsageError("port: it goes with --listen", field="port")
    return addresses.ip(listen, field="listen") if listen is not None else None


def _session(where: Address, code: str) -> Session:
    output.note(f"Calling {where} ...")
    try:
        return dial(where.host, where.port, code, random=os.urandom)
    except PairingError as error:
        raise pairing_words.explained(error) from error


def describe(plan: Plan) -> None:
    """Say what would be joined."""
    said = plan.preview
    devices = counted(len(said.devices), "device")
    names = ", ".join(said.devices[:_DEVICES_NAMED_MAX]) + (", ..." if len(said.devices) > _DEVICES_NAMED_MAX else "")
    memories = counted(said.memories, "memory", "memories")
    output.note(f"{said.device_name} shares {said.name}: {devices} ({names}), {memories}")


def ask(session: Session, plan: Plan, *, yes: bool, apart: bool, command: str = "nokosu join") -> None:
    """Have the person agree to share, where there is one to ask and something to share."""
    if apart or not plan.memories:
        return
    own = counted(plan.memories, "memory", "memories")
    if yes or not reading.is_dialogue():
        output.note(f"{own} of this device will be shared with them.")
        return
    try:
        agreed = click.confirm(f"Share the {own} of this device with them?", default=None, err=True)
    except click.Abort:
        joining.decline(session)
        raise
    if not agreed:
        joining.decline(session)
        hint = f"{command} with a new code, and --apart, keeps this device's memories on it"
        raise Refused("nothing was shared, and nothing was joined", hint=hint)


def tell(store: joining.Store, entered: Entered, *, apart: bool) -> None:
    """Say what became of it."""
    with store.database.reading() as connection:
        here = joining.memories_of(connection, entered.space)
    devices = counted(len(entered.devices), "device")
    verb = "is in" if entered.way is Way.AGAIN else "joined"
    name = one_line(joining.own_name(store, entered.space))
    memories = counted(here, "memory", "memories")
    output.line(f"{name} {verb} {one_line(entered.space.name)}: {devices}, {memories} here")
    if apart and entered.moving:
        output.note(f"Note: {counted(entered.moving, 'memory', 'memories')} moved to the space local, and stay here.")
    elif apart and entered.way is Way.AGAIN:
        output.note(
            "Note: --apart changes nothing: this device is in that space already, with all that it had to share."
        )
