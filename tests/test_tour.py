"""`nokosu try`: each act does what it says, and nothing of it is left, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.homes import NOKOSU, Home, eventually

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def user(tmp_path: Path) -> Home:
    """Somebody with nothing, whose temporary files are where the test can see them."""
    home = Home(tmp_path, "user")
    home.env["TMPDIR"] = str(home.folder / "run")
    return home


def leftovers(user: Home) -> list[str]:
    """What the tour has made and not removed: files, and processes with a home of its."""
    files = [path.name for path in (user.folder / "run").glob("nokosu-try-*")]
    return files + [str(pid) for pid in processes(str(user.folder / "run"))]


def processes(folder: str) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"NOKOSU_HOME={folder}".encode() in (entry / "environ").read_bytes():
                yield int(entry.name)


def test_the_tour_shows_agents_and_then_two_devices_and_leaves_nothing(user: Home) -> None:
    started = time.monotonic()
    said = user.ok("try").out
    assert time.monotonic() - started < 60
    assert "saved by claude-code on" in said
    assert "$ nokosu join 127.0.0.1:" in said
    assert "Both have both," in said
    assert leftovers(user) == []
    assert not (user.home / "nokosu.db").exists(), "the person's own memories are not touched"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminated"])
def test_a_tour_that_is_interrupted_leaves_nothing(user: Home, number: signal.Signals) -> None:
    command = [*NOKOSU, "try"]
    with subprocess.Popen(
        command,
        env=user.env,
        cwd=user.work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as tour:
        assert tour.stdout is not None
        assert any("goes offline" in line for line in tour.stdout)
        os.killpg(tour.pid, number)
        tour.communicate(timeout=60)
        assert tour.returncode == 128 + number
    eventually(lambda: leftovers(user) == [], 10)
