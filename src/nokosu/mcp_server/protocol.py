"""Our server in the terms of the official SDK, which knows both eras of the protocol and all of its messages.

Only the SDK's low-level server is used: our schemas are written once, in `tools`, and our arguments are checked there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

import nokosu
from nokosu.config import Config
from nokosu.mcp_server import clients
from nokosu.mcp_server.desk import Desk, instructions
from nokosu.mcp_server.tools import TOOLS, Tool
from nokosu.records import Author

_TOOLS: Final = {tool.name: tool for tool in TOOLS}
_NAME_CHARS_SHOWN: Final = 64

# The tools change with the program only, never while it runs: a client may keep them for its session.
_LIST_HINT: Final = CacheHint(ttl_ms=3_600_000, scope="public")


def create_server(config: Config) -> Server[Desk]:
    """The server for one connection. It opens the store at the first call, and closes it when its connection ends."""

    @asynccontextmanager
    async def desk(_: Server[Desk]) -> AsyncIterator[Desk]:
        opened = Desk(config)
        opened.begin()
        try:
            yield opened
        finally:
            opened.close()

    async def list_tools(
        _: ServerRequestContext[Desk], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_listed(tool) for tool in TOOLS])

    async def call_tool(
        context: ServerRequestContext[Desk], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = _TOOLS.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name[:_NAME_CHARS_SHOWN]!a}")
        reply = await context.lifespan_context.answer(tool, params.arguments or {}, author(config, context))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=reply.text)],
            structured_content=reply.data,
            is_error=reply.refused,
        )

    server: Server[Desk] = Server(
        "nokosu",
        version=nokosu.__version__,
        instructions=instructions(),
        lifespan=desk,
        cache_hints={"tools/list": _LIST_HINT, "server/discover": _LIST_HINT},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.middleware.clear()  # the SDK's OpenTelemetry spans: we send none
    return server


def author(config: Config, context: ServerRequestContext[Any]) -> Author:
    """Who calls: the agent that the launch environment names, else the client by its own name. Arguments have no say."""
    known = context.session.client_params
    if known is None:
        return config.author
    info = known.client_info
    return msgspec.structs.replace(
        config.author,
        agent=config.author.agent or clients.agent_name(info.name),
        client=clients.one_line(f"{info.name} {info.version}"),
    )


def _listed(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=True,  # saving, editing or forgetting the same again changes nothing
            open_world_hint=False,
        ),
    )
