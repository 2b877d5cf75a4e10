"""The coding agents that nokosu knows: what to paste into each one's configuration, and how to tell who is calling."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nokosu import limits
from nokosu.errors import UsageError

Command = Sequence[str]


@dataclass(frozen=True, slots=True)
class Client:
    """A coding agent. Over MCP it introduces itself by a name that begins with its own here, or as one of *announces* does."""

    title: str
    file: str
    entry: Callable[[Command], str]
    line: Callable[[Command], str] | None = None
    announces: tuple[str, ...] = ()


def print_config(client: str | None = None, command: Command | None = None) -> str:
    """What to paste so that *client* starts *command*, by default this nokosu by its absolute path; None: what most of them take.

    Raises:
        UsageError: there is no such client.
    """
    command = own_command() if command is None else command
    if client is None:
        more = f"For the exact entry of one agent: nokosu mcp --print-config NAME\nNAME is {', '.join(CLIENTS)}"
        return f"{_json_under('mcpServers')(command)}\n\n{more}\n"
    known = CLIENTS.get(client)
    if known is None:
        raise UsageError(f"client: {client[:40]!a} is not one of {', '.join(CLIENTS)}", field="client")
    line = f"# {known.title}: type\n{known.line(command)}\n\n# or " if known.line is not None else f"# {known.title}: "
    return f"{line}put this into {known.file}\n{known.entry(command)}\n"


def own_command() -> tuple[str, ...]:
    """How an agent starts this very nokosu from anywhere."""
    beside = Path(sysconfig.get_path("scripts")) / "nokosu"
    for program in (Path(sys.argv[0]), beside):
        if program.name == "nokosu" and program.is_file() and os.access(program, os.X_OK):
            return (str(program.absolute()), "mcp")
    return (sys.executable, "-m", "nokosu", "mcp")


def agent_name(announced: str) -> str:
    """The agent behind the name that a client gives itself: the same one as in a shell that the agent opens."""
    folded = announced.casefold()
    for name, client in CLIENTS.items():
        if folded.startswith(tuple(known.casefold() for known in (name, *client.announces))):
            return name
    return one_line(announced)


def one_line(text: str) -> str:
    """A name from outside as one short line that can be stored and shown."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"\s+", " ", kept).strip()[: limits.AUTHOR_CHARS_MAX]


def _json_under(key: str, **more: object) -> Callable[[Command], str]:
    def entry(command: Command) -> str:
        server: dict[str, Any] = {**more, "command": command[0], "args": list(command[1:])}
        return json.dumps({key: {"nokosu": server}}, indent=2, ensure_ascii=False)

    return entry


def _opencode(command: Command) -> str:
    server = {"type": "local", "command": list(command), "enabled": True}
    return json.dumps({"mcp": {"nokosu": server}}, indent=2, ensure_ascii=False)


def _toml(command: Command) -> str:
    # A JSON string of printable characters is a TOML basic string.
    first, *rest = (json.dumps(part, ensure_ascii=False) for part in command)
    return f"[mcp_servers.nokosu]\ncommand = {first}\nargs = [{', '.join(rest)}]"


def _typed(*words: str) -> Callable[[Command], str]:
    return lambda command: shlex.join([*words, *command])


def _code_add_mcp(command: Command) -> str:
    return shlex.join(
        ["code", "--add-mcp", json.dumps({"name": "nokosu", "command": command[0], "args": list(command[1:])})]
    )


CLIENTS: Final = {
    "claude-code": Client(
        "Claude Code",
        ".mcp.json of a project, or ~/.claude.json",
        _json_under("mcpServers", type="stdio"),
        _typed("claude", "mcp", "add", "--scope", "user", "nokosu", "--"),
    ),
    "codex": Client(
        "Codex",
        "~/.codex/config.toml",
        _toml,
        _typed("codex", "mcp", "add", "nokosu", "--"),
    ),
    "gemini-cli": Client(
        "Gemini CLI",
        "~/.gemini/settings.json",
        _json_under("mcpServers"),
        _typed("gemini", "mcp", "add", "--scope", "user", "nokosu"),
    ),
    "antigravity": Client("Antigravity", "~/.gemini/config/mcp_config.json", _json_under("mcpServers")),
    "cursor": Client("Cursor", "~/.cursor/mcp.json", _json_under("mcpServers")),
    "vscode": Client(
        "VS Code",
        ".vscode/mcp.json, or mcp.json of your profile",
        _json_under("servers", type="stdio"),
        _code_add_mcp,
        announces=("Visual Studio Code", "Visual-Studio-Code"),
    ),
    "zed": Client("Zed", "~/.config/zed/settings.json", _json_under("context_servers", source="custom")),
    "windsurf": Client("Windsurf", "~/.codeium/windsurf/mcp_config.json", _json_under("mcpServers")),
    "opencode": Client("OpenCode", "~/.config/opencode/opencode.json", _opencode),
    "claude-desktop": Client(
        "Claude Desktop", "claude_desktop_config.json", _json_under("mcpServers"), announces=("claude-ai",)
    ),
}
