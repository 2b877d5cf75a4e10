"""A save, a search and an agent's server use no network and load nothing of the mesh, in a space that is shared and out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nokosu.store.connection import Database
from tests.homes import Home

WATCHED = """
import json, socket, sys
seen = []
def hook(event, arguments):
    if event.startswith("socket."):
        family = arguments[1] if event == "socket.__new__" else None
        if event != "socket.gethostname" and family != socket.AF_UNIX:  # an event loop's own pipe is no network
            seen.append(event)
sys.addaudithook(hook)
from nokosu.cli import run
code = run(json.loads(sys.argv[1]))
mesh = sorted(name for name in sys.modules if name.split(".")[0] in ("zenoh", "spake2", "ifaddr") or name.startswith("nokosu.mesh"))
print(json.dumps({"code": code, "sockets": seen, "mesh": mesh}), file=sys.stderr)
"""
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
MESSAGES = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "save_memory", "arguments": {"text": "An agent's."}}},
    {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "search_memory", "arguments": {"query": "agent"}}},
]  # fmt: skip


@pytest.fixture(params=["alone", "shared"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A device with a memory, whose space nobody else is in, or somebody was invited to and the node was stopped."""
    made = Home(tmp_path, "laptop")
    made.save("Deploys run from main.")
    if request.param == "shared":
        (made.home / "node.stopped").touch()
        database = Database(made.home / "nokosu.db")
        with database.write() as connection:
            connection.run("UPDATE space SET port = 49999, listen = '127.0.0.1' WHERE name = 'personal'")
        database.close()
    return made


def watched(home: Home, *words: str, stdin: str = "") -> None:
    """Run a command with an eye on its sockets and modules."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(words)],
        input=stdin,
        env=home.env,
        cwd=home.work,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report = json.loads(done.stderr.splitlines()[-1])
    assert report == {"code": 0, "sockets": [], "mesh": []}, done.stdout + done.stderr


def test_saving_searching_and_forgetting_use_no_network_and_load_no_mesh(home: Home) -> None:
    watched(home, "save", "Slot holds live in Postgres.")
    watched(home, "search", "postgres")
    watched(home, "brief")
    [memory] = [one["id"] for one in home.exported() if one["text"].startswith("Slot")]
    watched(home, "edit", memory, "--text", "Slot holds live in slotd.")
    watched(home, "show", memory)
    watched(home, "forget", memory)


def test_an_agents_server_uses_no_network_and_loads_no_mesh(home: Home) -> None:
    watched(home, "mcp", stdin="".join(f"{json.dumps(message)}\n" for message in MESSAGES))
    assert "An agent's." in home.texts()


def test_the_watch_sees_a_command_that_does_use_the_network(tmp_path: Path) -> None:
    home = Home(tmp_path, "laptop")
    home.save("Something to share.")
    with pytest.raises(AssertionError, match=r"nokosu\.mesh"):
        watched(home, "join", "127.0.0.1:9", "aaaa-aaaa", "--yes")
