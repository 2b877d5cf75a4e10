from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.cli.processes")  # before it is imported: its asserts then show what they compared

from tests.cli.processes import Inside, Shell  # noqa: E402


@pytest.fixture(scope="session")
def byte_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of all tests keep compiled modules, which else cost each of them as long as all the rest."""
    return tmp_path_factory.mktemp("byte-code")


@pytest.fixture
def run(tmp_path: Path, byte_code: Path) -> Shell:
    """Starts a command in a process of its own: `run("save", "text")`."""
    return Shell(tmp_path, byte_code)


@pytest.fixture
def inside(run: Shell, capsys: pytest.CaptureFixture[str]) -> Iterator[Inside]:
    """Runs a command inside this process, in the same home as `run`."""
    umask, handler = os.umask(0), signal.getsignal(signal.SIGTERM)
    yield Inside(run, capsys)
    os.umask(umask)
    signal.signal(signal.SIGTERM, handler)
