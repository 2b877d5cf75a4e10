"""How the tests of the command line start it: as a process, on a terminal, or inside the test where a process adds nothing."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nokosu import cli

ROOT = Path(__file__).parents[2]
NOKOSU = (sys.executable, "-m", "nokosu")
SECONDS_MAX = 60

Word = str | bytes


class Done(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which has to be one JSON document."""
        return json.loads(self.out)

    @property
    def id(self) -> str:
        """Stdout, which has to be an id alone."""
        assert self.code == 0, self.err
        assert len(self.out) == 13, self.out
        return self.out.removesuffix("\n")


class Shell:
    """A clean environment with a home of its own, in which commands are started."""

    def __init__(self, folder: Path, byte_code: Path) -> None:
        self.home = folder / "nokosu"
        self.user_home = folder / "user"
        self.work = folder / "work"
        self.user_home.mkdir()
        self.work.mkdir()
        self.env = {
            "HOME": str(self.user_home),
            "NOKOSU_HOME": str(self.home),
            "NOKOSU_NODE": "off",
            "NOKOSU_EMBEDDER": "off",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONPYCACHEPREFIX": str(byte_code),
            "PYTHONWARNINGS": "error",
            "TERM": "xterm",
        }

    def __call__(
        self, *words: Word, stdin: str | bytes = b"", env: Mapping[str, str | None] | None = None, **more: Any
    ) -> Done:
        """Run a command to its end. An environment variable of None is taken away."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*NOKOSU, *words],
            input=data,
            env=self.environ(env),
            cwd=more.pop("cwd", self.work),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
            **more,
        )
        return checked(done.returncode, done.stdout.decode(), done.stderr.decode())

    def sh(self, script: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a script of the shell, in which `nokosu` is the command."""
        line = " ".join(f"'{word}'" for word in NOKOSU)
        script = f'nokosu() {{ {line} "$@"; }}\n{script}'
        return subprocess.run(
            ["bash", "-c", script],
            check=False,
            env=self.env,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            **more,
        )

    @contextmanager
    def started(self, *command: Word, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process, and end it with the test."""
        pipe = subprocess.PIPE
        more = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "env": self.env, **more}
        with subprocess.Popen(command, cwd=self.work, **more) as process:
            try:
                yield process
            finally:
                process.kill()

    def terminal(
        self, *words: Word, columns: int = 80, typed: str = "", env: Mapping[str, str | None] | None = None
    ) -> Done:
        """Run a command on a terminal so wide, at which a person types; stdout and stderr come back as one."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.write(ours, typed.encode())
        with self.started(
            *NOKOSU, *words, stdin=theirs, stdout=theirs, stderr=theirs, env=self.environ(env)
        ) as process:
            os.close(theirs)
            out = b"".join(iter(lambda: _read(ours), b"")).decode()
            code = process.wait(SECONDS_MAX)
        os.close(ours)
        return checked(code, out.replace("\r\n", "\n"), "")

    def environ(self, changes: Mapping[str, str | None] | None) -> dict[str, str]:
        changed = {**self.env, **(changes or {})}
        return {name: value for name, value in changed.items() if value is not None}


class Inside:
    """The same home, and commands run inside the test: for many small variations of what a process adds nothing to."""

    def __init__(self, shell: Shell, capture: pytest.CaptureFixture[str]) -> None:
        self.home, self.user_home, self.work = shell.home, shell.user_home, shell.work
        self._env = {name: shell.env[name] for name in ("HOME", "NOKOSU_HOME")}
        self._capture = capture

    def __call__(
        self, *words: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Done:
        """Run a command to its end."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        with pytest.MonkeyPatch.context() as patch, _stdin(data):
            for name, value in {**self._env, **(env or {})}.items():
                patch.setenv(name, value)
            patch.chdir(cwd or self.work)
            code = cli.run(words)
        return checked(code, *self._capture.readouterr())


@contextmanager
def _stdin(data: bytes) -> Iterator[None]:
    """Let descriptor 0 read *data*."""
    before = os.dup(0)
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            os.dup2(file.fileno(), 0)
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def checked(code: int, out: str, err: str) -> Done:
    """An answer in which no traceback is seen."""
    assert "Traceback" not in out + err, out + err
    return Done(code, out, err)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the last process has left the terminal
        return b""
