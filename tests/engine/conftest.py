"""A program that stands in for zenohd where only our side is tested, and the real one where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nokosu.config import Config
from nokosu.engine import located, plugins
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from nokosu.records import Author

Pretender = Callable[..., Engine]

SERVING = """
with open(sys.argv[2]) as file:
    config = json.load(file)
listening = socket.socket(socket.AF_UNIX)
listening.bind(config["listen"]["endpoints"][-1].removeprefix("unixsock-stream/"))
listening.listen()
"""
FOREVER = "\nsignal.pause()\n"


@pytest.fixture
def pretend(tmp_path: Path) -> Pretender:
    """`pretend("...", version="1.10.2")`: an engine whose zenohd is that Python script."""

    def made(script: str, *, version: str = "1.10.2", folder: str = "engine") -> Engine:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name in plugins.LIBRARIES:
            (place / name).write_bytes(b"")
        program = place / plugins.PROGRAM
        program.write_text(
            f"#!{sys.executable} -I\nimport json, os, signal, socket, sys, time\n"
            f"if sys.argv[1:] == ['--version']:\n    print('zenohd v{version}')\n    sys.exit()\n{script}"
        )
        program.chmod(0o755)
        return Engine(program, place, version, "NOKOSU_ENGINE")

    return made


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(home=tmp_path / "home", author=Author(), user_home=tmp_path)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The real one, from the wheel that `make engine` has installed."""
    home = tmp_path_factory.mktemp("no-home")
    try:
        return located.find(Config(home=home, author=Author(), user_home=home))
    except MeshError as error:
        pytest.skip(f"no engine here: make engine ({error.message})")
