"""Tools from outside that the system tests drive."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]

Inspector: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def inspector() -> Inspector:
    """The MCP Inspector's command line: `inspector("--method", "tools/list", "nokosu", "mcp", env=...)`.

    `--protocol-era legacy` or `modern` picks the protocol, `--strict` judges the tools' schemas.
    """
    programs = ROOT / ".venv/inspector/node_modules/.bin"
    if not (programs / "mcp-inspector").exists():
        pytest.skip("the MCP Inspector is not installed: make test-system installs it where npm is")

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        env = dict(os.environ if env is None else env)
        env["PATH"] = f"{programs}{os.pathsep}{env.get('PATH', os.defpath)}"  # finds the Node that npm brought first
        command = ["node", str(programs / "mcp-inspector"), "--cli", *arguments]
        return subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    return run
