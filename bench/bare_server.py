"""The floor of an MCP server: the SDK's, with seven tools that do nothing. `python -m bench.bare_server`."""

from __future__ import annotations

from mcp.server import MCPServer

TOOLS = 7


def answer(text: str = "", limit: int = 10) -> str:
    """Answer with what was asked."""
    return text[:limit]


def main() -> None:
    server = MCPServer("bare", instructions="Tools that do nothing.")
    for number in range(TOOLS):
        server.tool(name=f"tool_{number}")(answer)
    server.run("stdio")


if __name__ == "__main__":
    main()
