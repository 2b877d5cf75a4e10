"""What a person pastes into their agent."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nokosu import UsageError
from nokosu.mcp_server.clients import CLIENTS, agent_name, one_line, own_command, print_config

COMMAND = ("/opt/my tools/no\"ko'su", "mcp")


def json_in(text: str) -> Any:
    return json.loads(text[text.index("{\n") : text.rindex("}") + 1])


def test_the_clients_that_are_promised_are_there() -> None:
    promised = {"claude-code", "codex", "gemini-cli", "antigravity", "cursor", "vscode", "zed", "windsurf"}
    assert promised <= set(CLIENTS)


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("claude-code", "mcpServers"),
        ("gemini-cli", "mcpServers"),
        ("antigravity", "mcpServers"),
        ("cursor", "mcpServers"),
        ("vscode", "servers"),
        ("zed", "context_servers"),
        ("windsurf", "mcpServers"),
        ("claude-desktop", "mcpServers"),
    ],
)
def test_an_entry_is_json_under_the_client_s_own_key(client: str, key: str) -> None:
    entry = json_in(print_config(client, COMMAND))[key]["nokosu"]
    assert (entry["command"], entry["args"]) == (COMMAND[0], ["mcp"])
    assert CLIENTS[client].file in print_config(client, COMMAND)


def test_opencode_takes_one_list() -> None:
    entry = json_in(print_config("opencode", COMMAND))["mcp"]["nokosu"]
    assert entry == {"type": "local", "command": list(COMMAND), "enabled": True}


def test_codex_takes_toml() -> None:
    text = print_config("codex", COMMAND)
    entry = tomllib.loads(text[text.index("[mcp_servers") :])["mcp_servers"]["nokosu"]
    assert entry == {"command": COMMAND[0], "args": ["mcp"]}


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("claude-code", ["claude", "mcp", "add", "--scope", "user", "nokosu", "--", *COMMAND]),
        ("codex", ["codex", "mcp", "add", "nokosu", "--", *COMMAND]),
        ("gemini-cli", ["gemini", "mcp", "add", "--scope", "user", "nokosu", *COMMAND]),
    ],
)
def test_a_client_with_a_command_of_its_own_gets_a_line_to_type(client: str, words: list[str]) -> None:
    line = next(line for line in print_config(client, COMMAND).splitlines() if line.startswith(words[0]))
    assert shlex.split(line) == words


def test_the_line_for_vs_code_carries_json() -> None:
    line = next(line for line in print_config("vscode", COMMAND).splitlines() if line.startswith("code "))
    assert json.loads(shlex.split(line)[2]) == {"name": "nokosu", "command": COMMAND[0], "args": ["mcp"]}


def test_without_a_client_there_is_the_usual_entry_and_all_names() -> None:
    text = print_config(None, COMMAND)
    entry = json.loads(text[: text.index("\n\n")])
    assert entry["mcpServers"]["nokosu"]["command"] == COMMAND[0]
    assert all(name in text for name in CLIENTS)


def test_an_unknown_client_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="client: 'emacs' is not one of claude-code, codex"):
        print_config("emacs")


def test_the_command_is_this_nokosu_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nokosu"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert own_command() != (str(program), "mcp")  # it cannot be run
    program.chmod(0o700)
    assert own_command() == (str(program), "mcp")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["./nokosu"])
    assert own_command() == (str(program), "mcp")


def test_without_a_program_of_its_own_the_interpreter_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "pytest")])
    program, *arguments = own_command()
    assert os.path.isabs(program)  # noqa: PTH117
    assert arguments in (["mcp"], ["-m", "nokosu", "mcp"])
    assert subprocess.run([program, *arguments, "--help"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", CLIENTS)
def test_an_agent_is_known_by_its_own_name(name: str) -> None:
    assert agent_name(name) == name
    assert all(agent_name(announced) == name for announced in CLIENTS[name].announces)


def test_a_name_from_outside_becomes_one_short_line() -> None:
    assert one_line(" a\n\tb\x1b[2J\u202ec ") == "a b [2J c"
    assert len(one_line("x" * 1000)) == 200
    assert agent_name("") == ""
