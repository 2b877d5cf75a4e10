"""`nokosu mcp`."""

from __future__ import annotations

import click

from nokosu.cli import options, output, start
from nokosu.mcp_server import clients


@click.command("mcp", epilog=options.examples("nokosu mcp --print-config", "nokosu mcp --print-config claude-code"))
@click.option(
    "--print-config",
    "client",
    is_flag=False,
    flag_value="",
    metavar="[CLIENT]",
    help="Print how to add the server to a coding agent.",
)
def command(client: str | None) -> int:
    """Serve coding agents over MCP, on stdin and stdout; an agent starts it by itself.

    With --print-config it prints the entry to paste, for one client or for all that it knows.
    """
    if client is None:
        from nokosu.mcp_server import server  # noqa: PLC0415 - the SDK takes a second, which --help can do without

        return server.main(start.configuration(by_agent=True))
    output.line(clients.print_config(client or None))
    return 0
