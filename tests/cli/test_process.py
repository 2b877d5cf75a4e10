"""The command line as a process: streams, signals, many at once, what it loads, and what it writes."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import NOKOSU, Shell

COMMANDS_THAT_READ = [
    ("search", "needle"),
    ("list",),
    ("show", "{id}"),
    ("brief",),
    ("status",),
    ("export",),
    ("verify",),
]


# Row 16: streams ------------------------------------------------------------------------------------------------------


@pytest.fixture
def much(run: Shell) -> str:
    """Memories whose listing is more than a pipe holds; the id of one."""
    script = "for n in 1 2 3 4; do printf 'needle %s %32000s' $n x | nokosu save - || exit 1; done"
    done = run.sh(script)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_16_a_reader_that_has_seen_enough_ends_it_quietly(run: Shell, much: str) -> None:
    for command in ("list --json", "export", "search needle --json"):
        done = run.sh(f"nokosu {command} | head -1 > /dev/null; echo ${{PIPESTATUS[0]}}")
        assert done.stdout.strip() in {"0", "141"}
        assert done.stderr in {"", "4 memories exported\n"}
    done = run.sh("nokosu search needle | head -1")
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


@pytest.mark.parametrize(
    "command", ["list", "search needle", "show {id}", "status", "--help", "list --help", "save again"]
)
def test_16_nobody_reading_at_all_is_no_traceback(run: Shell, much: str, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with run.started(*NOKOSU, *command.format(id=much).split(), stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


def test_16_closed_streams_do_no_harm(run: Shell) -> None:
    for number, closed in enumerate((">&-", "2>&-", "<&-", "<&- >&- 2>&-")):
        done = run.sh(f'nokosu save "text {number}" {closed}')
        assert done.returncode == 0, (closed, done.stderr)
        assert "Traceback" not in done.stderr
    assert len(run("list").out.splitlines()) == 4
    assert run("verify").code == 0
    empty = run.sh("nokosu save - <&-")
    assert (empty.returncode, empty.stderr) == (2, "Error: text: empty text\n")


def test_16_a_full_disk_behind_stdout_is_told(run: Shell) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    id = run("save", "-", stdin="x" * 50_000).id
    commands = ["save one", "list --json", "list", "export", f"show {id}"]
    done = run.sh("\n".join(f"nokosu {command} > /dev/full; echo $?" for command in commands))
    assert done.stdout == "4\n" * len(commands)
    told = "Error: the command was carried out, but its result could not be written (No space left on device)\n"
    assert done.stderr == told * len(commands)
    assert len(run("list").out.splitlines()) == 2


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}])
def test_16_streams_are_utf_8_in_any_locale(run: Shell, locale: dict[str, str | None]) -> None:
    id = run("save", "-", stdin="東京都の港", env=locale).id
    assert "東京都の港" in run("show", id, env=locale).out
    assert run("search", "東京都", env={"LC_ALL": "C"}).out.startswith(id)
    assert "'港'" in run("list", "--project", "港", env={"LC_ALL": "C"}).err.encode().decode("unicode_escape")


# Row 17: signals ------------------------------------------------------------------------------------------------------

# A save that stops inside its transaction, says so, and waits for a signal.
HALF_SAVED = """
import os, signal, sys
from nokosu import cli
from nokosu.cli import start
from nokosu.nokosu import Nokosu

def stop(count):
    sys.stdout.write("inside\\n")
    sys.stdout.flush()
    signal.pause()
    return os.urandom(count)

start.memory = lambda: Nokosu(start.configuration(), random=stop)
cli.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_17_a_signal_inside_a_transaction_leaves_nothing_behind(run: Shell, number: signal.Signals, code: int) -> None:
    first = run("save", "first").id
    with run.started(sys.executable, "-c", HALF_SAVED, "save", "half") as process:
        assert process.stdout
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, b"", b"")
    assert run("list").out.split("\t")[0] == first
    assert run("list", "--json").json["total"] == 1
    assert run("verify").code == 0
    assert run("save", "half").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_17_a_signal_while_stdin_is_read_is_quiet(run: Shell, number: signal.Signals, code: int) -> None:
    with run.started(*NOKOSU, "save", "-") as process:
        assert process.stdin
        process.stdin.write(b"x" * 65_537)  # one byte more than a pipe holds: when it is written, reading has begun
        process.stdin.flush()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, b"", b"")
    assert not run.home.exists()


def test_17_a_signal_while_a_result_waits_for_its_reader_is_quiet(run: Shell, much: str) -> None:
    with run.started(*NOKOSU, "list", "--json") as process:
        assert process.stdout
        process.stdout.read(1)  # the rest does not fit the pipe
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")


# Many at once ---------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("saves", [8, pytest.param(20, marks=pytest.mark.system)])
def test_twelve_shells_save_at_once_and_every_save_succeeds(run: Shell, saves: int) -> None:
    script = f'for n in {" ".join(map(str, range(saves)))}; do nokosu save "shell $0 note $n"; done'
    words = " ".join(f"'{word}'" for word in NOKOSU)
    command = f'nokosu() {{ {words} "$@"; }}; {script}'
    shells = [
        subprocess.Popen(
            ["bash", "-c", command, str(n)], env=run.env, cwd=run.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for n in range(12)
    ]
    said = [shell.communicate(timeout=280) for shell in shells]
    assert [err for _, err in said] == [b""] * 12
    ids = b"".join(out for out, _ in said).decode().split()
    assert len(set(ids)) == len(ids) == 12 * saves
    listed = run("export").out
    assert {line.split('"')[3] for line in listed.splitlines()} == set(ids)
    assert len(set(re.findall(r'"text":"(shell \d+ note \d+)"', listed))) == 12 * saves
    assert run("verify").code == 0


# What a command loads and writes --------------------------------------------------------------------------------------


def snapshot(home: Path) -> dict[str, tuple[int, int, str]]:
    """Each file's time, size and hash; of the -shm file, which is memory shared by readers and no data, only that it is there."""
    files = sorted(path for path in home.rglob("*") if path.is_file())
    states = [(0, 0, "") if path.name.endswith("-shm") else _state(path) for path in files]
    return {path.name: state for path, state in zip(files, states, strict=True)}


def _state(path: Path) -> tuple[int, int, str]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("command", COMMANDS_THAT_READ, ids=lambda command: command[0])
def test_reading_writes_nothing(run: Shell, command: tuple[str, ...]) -> None:
    id = run("save", "a needle").id
    if command == ("brief",):
        run(*command)  # it notes how far one was told, beside the store, and then not again
    before = snapshot(run.home)
    for _ in range(2):
        assert run(*(word.format(id=id) for word in command)).code == 0
    assert snapshot(run.home) == before
    assert list(run.work.iterdir()) == []


def loaded(run: Shell, *words: str) -> set[str]:
    """The modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nokosu", *words],
        env=run.env,
        cwd=run.work,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    return set(re.findall(r"\| +([\w.]+)$", done.stderr.decode(), re.MULTILINE))


def test_the_help_loads_no_command_and_nothing_heavy(run: Shell) -> None:
    for words in (["--help"], ["--version"], []):
        modules = loaded(run, *words)
        ours = {module for module in modules if module.startswith("nokosu")}
        assert ours == {
            "nokosu",
            "nokosu.cli",
            "nokosu.cli.output",
            "nokosu.errors",
            "nokosu.security",
            "nokosu.security.display",
        }
        assert not modules & {"mcp", "cryptography", "apsw", "msgspec", "asyncio", "importlib.metadata"}


def test_a_command_loads_neither_the_mcp_sdk_nor_another_command(run: Shell) -> None:
    run("save", "one")
    modules = loaded(run, "search", "one")
    assert not modules & {
        "mcp",
        "pydantic",
        "asyncio",
        "nokosu.mcp_server",
        "nokosu.cli.save",
        "nokosu.doctor",
        "sqlite3",
    }


# Bugs -----------------------------------------------------------------------------------------------------------------

BUG = """
from nokosu import cli
from nokosu.cli import start

def memory():
    raise TypeError("what the memory said")

start.memory = memory
cli.main()
"""


def test_a_bug_is_one_line_and_its_traceback_can_be_asked_for(run: Shell) -> None:
    command = [sys.executable, "-c", BUG, "list"]
    done = subprocess.run(command, env=run.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "Error: a bug in nokosu: TypeError at <string>:6\nTry: NOKOSU_DEBUG=1 nokosu ..., and report the traceback\n"
    )
    debugged = subprocess.run(
        command, env={**run.env, "NOKOSU_DEBUG": "1"}, capture_output=True, text=True, check=False
    )
    assert debugged.returncode == 4
    assert debugged.stderr.startswith("Traceback")
    assert debugged.stderr.endswith(done.stderr)
