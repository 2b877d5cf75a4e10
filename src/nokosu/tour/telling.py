"""What the acts of the tour share: how they say what happened, and the environment of what they start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

Echo = Callable[[str], None]

_KEPT: Final = ("PATH", "HOME", "LANG", "PYTHONPATH", "TERM")


def environ(home: Path, agent: str = "") -> dict[str, str]:
    """The environment of a process of the tour: its own identity, a throwaway home, and nothing of the caller's."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "NOKOSU_HOME": str(home), "NOKOSU_AGENT": agent, "NOKOSU_EMBEDDER": "off"}


def short(text: str, width: int = 60) -> str:
    """The beginning of *text*, where it is too long for its column.

    >>> short("Slot holds live in Postgres", 10)
    'Slot hold…'
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def seconds(value: float) -> str:
    """How long something took.

    >>> seconds(0.0042), seconds(1.25)
    ('4.2 ms', '1.2 s')
    """
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.1f} s"
