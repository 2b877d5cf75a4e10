"""Our server as a client of another make sees it: the MCP Inspector's command line, in both eras of the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nokosu
from tests.system.conftest import Inspector

pytestmark = pytest.mark.system

ERAS = ("legacy", "modern")


class Inspected:
    """A home, and the Inspector's requests to a server in it."""

    def __init__(self, inspector: Inspector, home: Path) -> None:
        self._inspector = inspector
        self._home = home

    def run(self, era: str, method: str, *options: str) -> subprocess.CompletedProcess[str]:
        source = Path(nokosu.__file__).parents[1]
        return self._inspector(
            *(sys.executable, "-m", "nokosu", "mcp"),
            *("--method", method, "--protocol-era", era, *options),
            *("-e", f"NOKOSU_HOME={self._home}", "-e", f"PYTHONPATH={source}"),
        )

    def call(self, era: str, tool: str, **arguments: Any) -> dict[str, Any]:
        pairs = [
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in arguments.items()
        ]
        done = self.run(era, "tools/call", "--tool-name", tool, "--tool-arg", *pairs)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)["structuredContent"]
        assert isinstance(result, dict)
        return result


@pytest.fixture
def inspected(inspector: Inspector, tmp_path: Path) -> Inspected:
    return Inspected(inspector, tmp_path / "home")


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_lists_the_tools_and_finds_no_fault_in_their_schemas(inspected: Inspected, era: str) -> None:
    done = inspected.run(era, "tools/list", "--strict")
    assert done.returncode == 0, done.stderr
    names = [tool["name"] for tool in json.loads(done.stdout)["tools"]]
    assert names[:2] == ["save_memory", "search_memory"]
    assert len(names) == 7


def test_what_the_inspector_saves_in_one_era_it_finds_in_the_other(inspected: Inspected) -> None:
    saved = inspected.call(
        "legacy", "save_memory", text="The inspector was here", project="p", tags=["a", "b"], importance=3
    )
    found = inspected.call("modern", "search_memory", query="who was here", project="p", limit=5)
    (hit,) = found["hits"]
    assert (hit["id"], hit["tags"], hit["importance"]) == (saved["id"], ["a", "b"], 3)
    assert "inspector" in hit["agent"]


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_sees_a_refusal_as_an_error(inspected: Inspected, era: str) -> None:
    done = inspected.run(era, "tools/call", "--tool-name", "save_memory", "--tool-arg", "text=x", "type=idea")
    assert done.returncode != 0 or json.loads(done.stdout)["isError"] is True
    assert "type: 'idea' is not one of note" in done.stdout + done.stderr
