"""The picture of two machines in the README: what `nokosu invite` and `nokosu join` really print, and a search afterwards.

Both devices are homes on this machine, with nodes of their own on its loopback; the picture shows an address of a
network and a code instead of the real ones, so that it is the same each time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from docs.generate import search_picture, terminal
from nokosu.clock import system_wall_clock
from nokosu.config import Config
from nokosu.drafts import Draft
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.testing import HOUR_MS, ManualClock, SeededRandom

COLUMNS: Final = 92
SHOWN_ADDRESS: Final = "192.168.1.5:41234"
SHOWN_CODE: Final = "4K2M-7XQP"

_SECONDS_MAX: Final = 30
_LINE: Final = re.compile(r"nokosu join (\S+) (\S+)")
_PROGRESS: Final = re.compile(r"^Fetching: .*\n", re.MULTILINE)  # on a slow machine only
_NOTE: Final = Draft(
    project="harbour", type="config", subject="Release images are built on the desktop",
    text="The laptop has no KVM; `make image` there fails with /dev/kvm: permission denied.",
)  # fmt: skip


def draw() -> str:
    """The picture."""
    with tempfile.TemporaryDirectory(prefix="nokosu-docs-") as folder:
        laptop, desktop = (_Device(Path(folder) / name, name) for name in ("laptop", "desktop"))
        search_picture.save_notes(laptop.folder)
        desktop.save_its_note()
        with laptop.ended(), desktop.ended():
            shown = "\n\n".join(_told(laptop, desktop))
    return terminal.picture(shown, columns=COLUMNS, title="Two machines are paired, and what one saved the other finds")


def _told(laptop: _Device, desktop: _Device) -> Iterator[str]:
    command = "nokosu invite"
    invite = terminal.Started(f"{command} --listen 127.0.0.1", cwd=laptop.folder, env=laptop.env, columns=COLUMNS)
    try:
        line = _seen(invite, _LINE)
        join = f"nokosu join {line[1]} {line[2]}"
        joined = desktop.run(f"{join} --yes")
        _seen(invite, re.compile(r"joined personal.*\n"))

        def neutral(text: str) -> str:
            shown = text.replace(line[1], SHOWN_ADDRESS).replace(line[2], SHOWN_CODE)
            return _PROGRESS.sub("", shown).rstrip()

        yield _typed("laptop", command) + neutral(invite.output(0))
        yield _typed("desktop", neutral(join)) + neutral(joined)
        found = "nokosu search --limit 1 double booking"
        yield _typed("desktop", found) + desktop.run(found).rstrip()
    finally:
        invite.end()


def _seen(started: terminal.Started, pattern: re.Pattern[str]) -> re.Match[str]:
    until = time.monotonic() + _SECONDS_MAX
    while time.monotonic() < until:
        found = pattern.search(started.output(0.1))
        if found:
            return found
    raise RuntimeError(f"nokosu invite prints no {pattern.pattern}: {started.output(0)}")


def _typed(host: str, command: str) -> str:
    return f"\x1b[32m{host} $\x1b[0m \x1b[1m{command}\x1b[0m\n"


class _Device:
    """A home, and the commands typed there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.home = folder / "nokosu"
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / "config.toml").write_text(f'device_name = "{name}"\n')
        self.env: Mapping[str, str] = {
            "PATH": f"{search_picture.program(folder)}:/usr/bin:/bin", "HOME": str(folder), "NOKOSU_HOME": str(self.home),
            "NOKOSU_PROJECT": "harbour", "XDG_RUNTIME_DIR": str(folder), "TERM": "xterm", "LANG": "C.UTF-8",
            "NOKOSU_EMBEDDER": "off", "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip

    def run(self, command: str) -> str:
        ran = terminal.run(command, cwd=self.folder, env=self.env, columns=COLUMNS)
        if ran.code != 0:
            raise RuntimeError(f"{command} ended with {ran.code}: {ran.output}")
        return ran.output

    def save_its_note(self) -> None:
        config = Config(home=self.home, user_home=self.folder, author=Author(agent="codex"), device_name=self.name)
        with Nokosu(config, wall_clock=ManualClock(system_wall_clock() - HOUR_MS), random=SeededRandom(77)) as memory:
            memory.save(_NOTE)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Its node ends with the block."""
        try:
            yield
        finally:
            command = [sys.executable, "-m", "nokosu", "node", "stop"]
            subprocess.run(
                command, env=self.env, cwd=self.folder, capture_output=True, check=False, timeout=_SECONDS_MAX
            )
