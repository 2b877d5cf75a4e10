"""The picture of `nokosu search` in the README: what the program really prints, on a few notes that three agents left."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from docs.generate import terminal
from nokosu.clock import system_wall_clock
from nokosu.config import Config
from nokosu.drafts import Draft
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.testing import DAY_MS, HOUR_MS, ManualClock, SeededRandom

COLUMNS: Final = 92
COMMANDS: Final = ("nokosu search double booking",)

_PROJECT: Final = "harbour"
_NOTES: Final = (  # who, how long ago, and what
    (
        "codex", 33 * DAY_MS,
        Draft(
            project=_PROJECT, type="decision", subject="Slot holds live in Postgres, not in Redis",
            text="Redis evicted 41 live holds during the regatta weekend. Holds are rows in slot_holds now, with an exclusion "
            "constraint, so two bookings can never hold the same slot.",
        ),
    ),
    (
        "gemini-cli", 12 * DAY_MS,
        Draft(
            project=_PROJECT, type="config", subject="Deploys run from the main branch only",
            text="The release job refuses any other ref. A hotfix is a cherry-pick to main, tagged vX.Y.Z; CI publishes it.",
        ),
    ),
    (
        "claude-code", 5 * DAY_MS,
        Draft(
            project=_PROJECT, type="bug", subject="Double booking race in reserve_slot",
            text="Two POST /v2/bookings within 30 ms both saw capacity=1. Fixed with SELECT ... FOR UPDATE in one transaction; "
            "SERIALIZABLE was tried and cost 3 % retries under load.",
        ),
    ),
    (
        "codex", 2 * HOUR_MS,
        Draft(
            project=_PROJECT, type="decision", subject="Bookings are confirmed by e-mail, never by SMS",
            text="Two providers lost messages in one week; e-mail has the double opt-in already.",
        ),
    ),
)  # fmt: skip


def draw() -> str:
    """The picture, the same each time: ids come from a seed, and ages are counted back from now."""
    with tempfile.TemporaryDirectory(prefix="nokosu-docs-") as folder:
        home = Path(folder)
        save_notes(home)
        env = {
            "PATH": f"{program(home)}:/usr/bin:/bin", "HOME": folder, "NOKOSU_HOME": str(home / "nokosu"),
            "NOKOSU_PROJECT": _PROJECT, "TERM": "xterm", "LANG": "C.UTF-8", "NOKOSU_EMBEDDER": "off",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        shown = []
        for command in COMMANDS:
            ran = terminal.run(command, cwd=home, env=env, columns=COLUMNS)
            if ran.code != 0:
                raise RuntimeError(f"{command} ended with {ran.code}: {ran.output}")
            shown.append(f"\x1b[32m$\x1b[0m \x1b[1m{command}\x1b[0m\n{ran.output.rstrip()}")
    return terminal.picture("\n\n".join(shown), columns=COLUMNS, title="What nokosu search prints in a terminal")


def save_notes(home: Path) -> None:
    """Have three agents save what the picture shows, on a device called laptop; its home is `nokosu` in *home*."""
    now = system_wall_clock()
    for number, (agent, age_ms, draft) in enumerate(_NOTES):
        config = Config(home=home / "nokosu", user_home=home, author=Author(agent=agent), device_name="laptop")
        with Nokosu(config, wall_clock=ManualClock(now - age_ms), random=SeededRandom(number)) as memory:
            memory.save(draft)


def program(home: Path) -> Path:
    """A folder for the PATH with the `nokosu` of this very environment in it."""
    folder = home / "bin"
    folder.mkdir()
    program = folder / "nokosu"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nokosu "$@"\n')
    program.chmod(0o755)
    return folder
