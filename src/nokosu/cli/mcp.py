"""`nokosu mcp`."""

from __future__ import annotations

import click

from nokosu.cli import options, output, start
from nokosu.mcp_server import clients, server


@click.command("mcp", epilog=options.examples("nokosu mcp --print-config", "nokosu mcp --print-config claude-code"))
@click.option(
    "--print-config",
    "client",
    is_flag=False,
    flag_value="",
    metavar="[CLIENT]",
    shell_complete=lambda _context, _option, typed: [name for name in clients.CLIENTS if name.startswith(typed)],
    help="Print how to add the server to a coding agent.",
)
def command(client: str | None) -> int:
    """Serve coding agents over MCP, on stdin and stdout; an agent starts it by itself.

    With --print-config it prints the entry to paste, for one client or, without a name, for any.
    """
    if client is None:
        return server.main(start.configuration(by_agent=True))
    output.line(clients.print_config(client or None).removesuffix("\n"))
    return 0
