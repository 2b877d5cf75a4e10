"""A guarded process never outlives the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nokosu.engine.guard import Guarded
from nokosu.errors import MeshError

SECONDS = 10.0
FOREVER = ("/bin/sh", "-c", "echo begun; exec sleep 600")


def guarded(folder: Path, *command: str) -> Guarded:
    return Guarded(command, environ={"PATH": os.environ["PATH"]}, folder=folder, log=folder / "log")


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether no process has this number, or only one that nobody has taken note of yet."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] in {"", "Z"}


def test_it_runs_until_it_is_stopped(tmp_path: Path) -> None:
    process = guarded(tmp_path, *FOREVER)
    assert process.is_alive()
    assert process.ended() is None
    wait_until(lambda: "begun" in (tmp_path / "log").read_text())
    assert not is_gone(process.pid)
    process.stop()
    assert is_gone(process.pid)
    assert not process.is_alive()
    assert process.ended() == 128 + signal.SIGKILL
    process.stop()


def test_how_it_ended_by_itself_is_known(tmp_path: Path) -> None:
    process = guarded(tmp_path, "/bin/sh", "-c", "echo to stdout; echo to stderr >&2; exit 7")
    wait_until(lambda: not process.is_alive())
    assert process.ended() == 7
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["to stderr", "to stdout"]
    process.stop()


def test_a_program_that_is_not_there_ends_and_says_so_in_the_log(tmp_path: Path) -> None:
    process = guarded(tmp_path, str(tmp_path / "nothing"))
    wait_until(lambda: not process.is_alive())
    assert process.ended() == 127
    assert "not found" in (tmp_path / "log").read_text()
    process.stop()


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"^sleep cannot be started \(No such file or directory\)$"):
        guarded(tmp_path / "nowhere", "sleep", "1")


def test_what_it_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    process = guarded(tmp_path, "/bin/sh", "-c", "mkdir made; : >file")
    wait_until(lambda: not process.is_alive())
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"made": 0o700, "file": 0o600, "log": 0o600}
    process.stop()


def test_its_log_is_added_to(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    process = guarded(tmp_path, "echo", "after")
    wait_until(lambda: not process.is_alive())
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    process.stop()


def test_it_is_told_nothing_of_our_environment_and_has_none_of_our_files(tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    process = guarded(tmp_path, "/bin/sh", "-c", f'echo "<$HOME>"; if [ -e /dev/fd/{held} ]; then echo held; fi')
    wait_until(lambda: not process.is_alive())
    os.close(held)
    assert (tmp_path / "log").read_text() == "<>\n"
    process.stop()


PARENT = """
import sys, time
from pathlib import Path
from nokosu.engine.guard import Guarded
folder = Path(sys.argv[1])
process = Guarded(["/bin/sleep", "600"], environ={}, folder=folder, log=folder / "log")
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whatever_ends_its_parent_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    source = Path(__file__).parents[2] / "src"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONPATH": str(source)},
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.send_signal(number)
        parent.wait(SECONDS)
        wait_until(lambda: is_gone(pid))


def test_it_ends_though_its_shell_was_killed(tmp_path: Path) -> None:
    process = guarded(tmp_path, *FOREVER)
    shell = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(process.pid)]))
    os.kill(shell, signal.SIGKILL)
    wait_until(lambda: not process.is_alive())
    process.stop()
    wait_until(lambda: is_gone(process.pid))


def test_it_ends_though_the_watcher_was_killed(tmp_path: Path) -> None:
    process = guarded(tmp_path, *FOREVER)
    shell = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(process.pid)]))
    children = subprocess.check_output(["ps", "-o", "pid=,ppid=", "-A"], text=True).splitlines()
    (watcher,) = [
        int(pid) for pid, parent in map(str.split, children) if int(parent) == shell and int(pid) != process.pid
    ]
    os.kill(watcher, signal.SIGKILL)
    process.stop()
    assert is_gone(process.pid)
