"""`nokosu try`: what nokosu does, shown on real input in under a minute, in throwaway homes.

The latest commits of the repository that it is run in become notes; outside a repository sample notes do. First one agent
saves them over the real MCP server, and another agent and then the command line find them (`agents`). Then a second
device is paired with a code, and memories cross both ways, those too that were written while the two were apart
(`devices`). Every step prints what happened and how long it took.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import anyio

from nokosu.config import Config
from nokosu.mcp_server.clients import CLIENTS, print_config
from nokosu.tour import agents, devices, notes
from nokosu.tour.telling import Echo


def main(config: Config, *, echo: Echo) -> int:
    """Run the tour; 0 when every step did what it says."""
    started = time.perf_counter()
    folder = next((path for path in config.workspaces if path.is_dir()), Path.cwd())
    remembered, origin = notes.of(folder)
    with tempfile.TemporaryDirectory(prefix="nokosu-try-") as throwaway:
        home = Path(throwaway) / "home"
        echo(f"A tour of nokosu, on {origin}.")
        echo(f"Its home is a throwaway: {home}")
        anyio.run(agents.share, remembered, folder, home, echo)
        found = agents.ask_in_a_shell(remembered[0], folder, home, echo)
        crossed = devices.meet(remembered, folder, home, echo)
    echo("")
    echo(f"Done in {time.perf_counter() - started:.1f} s; everything that the tour made is gone.")
    _what_next(echo)
    return 0 if found and crossed else 1


def _what_next(echo: Echo) -> None:
    echo("")
    echo("To use it, give it to your agent. For Claude Code:")
    for line in print_config("claude-code").splitlines():
        echo(f"   {line}")
    others = ", ".join(name for name in CLIENTS if name != "claude-code")
    echo(f"Others (nokosu mcp --print-config NAME): {others}")
    echo("To connect another machine, type there what this one shows: nokosu invite")
