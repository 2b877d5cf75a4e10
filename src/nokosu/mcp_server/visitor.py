"""A coding agent's side of the protocol, by the official SDK's client: what the tour and the tests talk to our server with."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import Implementation
from msgspec import Struct

from nokosu.errors import NokosuError

_READ_SECONDS_MAX = 30.0


class Answer(Struct, frozen=True):
    """What a tool answered: its structured result, its text for the model, and how long it took, in seconds."""

    result: dict[str, Any]
    text: str
    seconds: float


class Visitor:
    """An agent that is connected to a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        """The names of the server's tools."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool.

        Raises:
            NokosuError: the server answered with an error.
        """
        started = time.perf_counter()
        answer = await self._client.call_tool(tool, arguments)
        seconds = time.perf_counter() - started
        text = "\n".join(part.text for part in answer.content if part.type == "text")
        if answer.is_error:
            raise NokosuError(f"{tool}: {text}")
        structured = answer.structured_content
        return Answer(structured if isinstance(structured, dict) else {}, text, seconds)


@asynccontextmanager
async def visit(agent: str, *, environ: Mapping[str, str], cwd: Path) -> AsyncIterator[Visitor]:
    """Start `nokosu mcp` as *agent*'s client would, in a process of its own, and connect to it; it ends with the block."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "nokosu", "mcp"], env=dict(environ), cwd=cwd)
    info = Implementation(name=agent, version="1.0")
    async with Client(server, client_info=info, read_timeout_seconds=_READ_SECONDS_MAX) as client:
        yield Visitor(client)
