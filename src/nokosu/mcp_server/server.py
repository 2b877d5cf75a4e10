"""The MCP server, `nokosu mcp`: one agent, over stdin and stdout.

Loading the official SDK is nearly all of its start: a second of building models of the protocol. So the protocol's descriptors are
made safe first, and the garbage collector rests until the models stand, which saves a quarter of that second.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

from nokosu.mcp_server import stdio

if TYPE_CHECKING:
    from nokosu.config import Config


def main(config: Config) -> int:
    """Serve until the client is gone: 0; or until a signal comes: 128 and its number, as shells say."""
    os.umask(0o077)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="nokosu mcp: %(levelname)s %(name)s: %(message)s"
    )
    if os.isatty(0):
        sys.stderr.write(
            "nokosu mcp speaks with coding agents; nokosu mcp --print-config tells how to add it. Ctrl-D ends it.\n"
        )
    try:
        wire = stdio.claim()
    except OSError:
        return 0  # started without stdin or stdout: nobody is there to be served
    gc.disable()
    import anyio  # noqa: PLC0415 - from here on nothing that a library prints can tear a message

    from nokosu.mcp_server.protocol import create_server  # noqa: PLC0415
    from nokosu.mcp_server.transport import serve  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    return anyio.run(serve, wire, create_server(config))
