"""`nokosu node`."""

from __future__ import annotations

import logging
import sys
from typing import Final

import click

from nokosu import node_process
from nokosu.cli import documents, node_told, options, output, start
from nokosu.cli.output import one_line
from nokosu.config import EMBEDDED, ZENOHD, Config, EngineName, set_engine
from nokosu.engine import located
from nokosu.errors import NotFound, Refused
from nokosu.mesh import control, service

_LINES_DEFAULT: Final = 40


@click.group(
    "node",
    epilog=options.examples("nokosu node status", "nokosu node stop", "nokosu node install"),
)
def command() -> None:
    """See, start and stop the process that connects this device with your others.

    It runs by itself from the moment a space is shared, one for a home, started by whatever uses the memory.
    NOKOSU_NODE=off in the environment keeps a command or an agent from starting it.
    """


@command.command("run", epilog=options.examples("nokosu node run"))
@click.option("--lock", type=options.Whole(), default=None, hidden=True)
def run(lock: int | None) -> int:
    """Be the node, in this terminal, until Ctrl-C; what it says goes to stderr."""
    from nokosu.mesh import node  # noqa: PLC0415 - Zenoh: only the node itself loads it

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if not node.run(start.configuration(), lock=lock):
        output.note("The node of this home runs already: nokosu node status")
    return 0


@command.command("start", epilog=options.examples("nokosu node start"))
def start_node() -> None:
    """Start the node, and let it start by itself again if it was stopped."""
    config = start.configuration()
    if not node_process.is_shared(config):
        raise NotFound("no space is shared yet, so there is nothing to carry", hint="nokosu invite")
    found = node_process.start(config)
    output.line(f"The node runs: process {found.pid}.")


@command.command("stop", epilog=options.examples("nokosu node stop"))
def stop() -> None:
    """Stop the node; it stays down until `nokosu node start`.

    Saving and searching go on as ever. What is saved meanwhile reaches the other devices after the start.
    """
    found = node_process.stop(start.configuration())
    if found is None:
        output.line("The node does not run; nothing will start it before: nokosu node start")
    else:
        output.line(f"The node (process {found.pid}) has ended; start it again with: nokosu node start")


@command.command("status", epilog=options.examples("nokosu node status", "nokosu node status --json"))
@options.as_json
def status(*, as_json: bool) -> int:
    """Show whether the node runs, and what it sees; exit code 1 if it does not."""
    config = start.configuration()
    found = control.status(config)
    if as_json:
        documents.write(found or {"pid": None, "stopped": node_process.is_stopped(config), "spaces": []})
    elif found is None:
        stopped = node_process.is_stopped(config)
        output.line(f"The node does not run{': it was stopped' if stopped else ''}.")
        output.note("Start it: nokosu node start")
    else:
        node_told.show(found)
    return 0 if found is not None else NotFound.exit_code


@command.command("engine", epilog=options.examples("nokosu node engine", "nokosu node engine zenohd"))
@click.argument("engine", type=click.Choice([EMBEDDED, ZENOHD]), required=False)
def engine(engine: EngineName | None) -> None:
    """Show what carries the node's traffic, or set it: the Zenoh inside the node, or a zenohd with RocksDB beside it.

    Nothing is lost either way, and no device has to be paired again. The node is started anew.
    """
    config = start.configuration()
    if engine is None:
        output.line(_of_engine(config))
        return
    if config.is_blind_hub:
        raise Refused("a blind hub is nothing but its zenohd", hint="nokosu hub status")
    if engine == ZENOHD:
        found = located.find(config)
        located.check(found)
        output.line(f"Found zenohd {found.version} with both plugins: {one_line(str(found.zenohd))}")
    set_engine(config.home, engine)
    runs = service.restart(start.configuration())
    output.line(f"The engine is {engine} now{', and the node runs with it' if runs else ''}.")


def _of_engine(config: Config) -> str:
    if config.engine == EMBEDDED and not config.is_blind_hub:
        return "embedded: the Zenoh inside the node"
    found = located.find(config)
    return f"zenohd {found.version}, {one_line(str(found.zenohd))}"


@command.command("logs", epilog=options.examples("nokosu node logs", "nokosu node logs --lines 200"))
@click.option("--lines", type=options.Whole(), default=_LINES_DEFAULT, show_default=True, metavar="N", help="How many.")
def logs(lines: int) -> None:
    """Show the end of what the node, and its zenohd, have said: starts, ends and faults, never a word of a memory."""
    node_told.show_logs(start.configuration(), lines)


@command.command("install", epilog=options.examples("nokosu node install"))
def install() -> None:
    """Have the system start the node when you log in, and again if it fails: systemd on Linux, launchd on macOS."""
    config = start.configuration()
    if not config.database.exists() and not config.is_blind_hub:
        raise NotFound("nothing is saved yet, so there is nothing to share", hint="nokosu save TEXT; nokosu invite")
    for line in service.install(config):
        output.line(one_line(line))
    output.line("The node is a service now; undo: nokosu node uninstall")
    if sys.platform.startswith("linux"):
        output.note("To have it run while you are logged out too: loginctl enable-linger")


@command.command("uninstall", epilog=options.examples("nokosu node uninstall"))
def uninstall() -> None:
    """Undo `nokosu node install`; from then on the node is started by itself again."""
    lines = service.uninstall(start.configuration())
    if not lines:
        raise NotFound("the node is no service here", hint="nokosu node install")
    for line in lines:
        output.line(one_line(line))
