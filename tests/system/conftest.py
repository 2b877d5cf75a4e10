"""Tools from outside that the system tests drive."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from nokosu import config
from nokosu.engine import located
from nokosu.errors import MeshError
from tests.hosts import Hosts, Unavailable

ROOT = Path(__file__).parents[2]

_ENGINE = ("NOKOSU_ENGINE", "PATH", "HOME")

Inspector: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def inspector() -> Inspector:
    """The MCP Inspector's command line, the server's first: `inspector("nokosu", "mcp", "--method", "tools/list")`.

    `--protocol-era legacy` or `modern` picks the protocol, `--strict` judges the tools' schemas.
    """
    modules = ROOT / ".venv/inspector/node_modules"
    program = modules / ".bin/mcp-inspector"
    if not program.exists():
        pytest.skip("the MCP Inspector is not installed: make test-system installs it where npm is")
    node = next(modules.glob("node-linux-*/bin/node"), "node")  # Debian's own may be too old for the Inspector

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [node, program, "--cli", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """An empty switch: `hosts.add("laptop")` puts a machine on it."""
    with ExitStack() as until_the_end:
        try:
            network = until_the_end.enter_context(Hosts(tmp_path))
        except Unavailable as reason:
            pytest.skip(f"no network namespaces here: {reason}")
        yield network


@pytest.fixture(scope="session")
def engine_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a home needs in its environment to find the real zenohd: nothing where `make engine` has installed the wheel."""
    home = tmp_path_factory.mktemp("no-home")
    settings = config.load({name: os.environ[name] for name in _ENGINE if name in os.environ}, cwd=None, home=home)
    try:
        located.check(located.find(settings))
    except MeshError as error:
        pytest.skip(f"no engine here: make engine ({error.message})")
    return {"NOKOSU_ENGINE": str(settings.engine_folder)} if settings.engine_folder is not None else {}
