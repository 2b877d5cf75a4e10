"""Where a server files what its agent saves."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import apsw
import pytest

from nokosu import Draft, Nokosu
from tests.mcp_server.agents import WAIT_S, Process, config_of, connected


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "harbour"
    folder.mkdir()
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def is_complete(home: Path) -> bool:
    return bool(apsw.Connection(str(home / "nokosu.db")).execute("SELECT complete FROM place").get == 1)


def test_a_first_commit_that_a_save_could_not_wait_for_is_added_afterwards(home: Path, workspace: Path) -> None:
    with Nokosu(config_of(home)) as memory:
        memory.save(Draft(text="x", project=str(workspace)))
    other = apsw.Connection(str(home / "nokosu.db"))
    other.execute("UPDATE place SET complete = 0")
    other.close()
    with connected(home, env={"CLAUDE_PROJECT_DIR": str(workspace)}) as process:
        process.call("save_memory", text="y", project=str(workspace))
        until = time.monotonic() + WAIT_S
        while not is_complete(home) and time.monotonic() < until:
            assert process.is_alive()  # it answers meanwhile
        assert is_complete(home)


def test_a_server_without_a_workspace_files_by_the_path_it_is_given(home: Path, workspace: Path) -> None:
    with Process(home, cwd=Path("/")) as process:
        process.begin()
        saved = process.call("save_memory", text="unfiled")
        assert saved["project"] == ""
        assert "unfiled" in saved["notes"][0]
        assert process.call("save_memory", text="filed", project=str(workspace))["project"] == "harbour"
