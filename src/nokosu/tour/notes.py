"""What the tour remembers: the latest commits of the repository that it is run in, or samples."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from msgspec import Struct

_COMMITS_MAX: Final = 24
_NOTES_MIN: Final = 3
_TEXT_CHARS_MAX: Final = 4_000
_QUESTION_WORDS: Final = 4
_GIT_SECONDS_MAX: Final = 10
_COMMON_WORDS: Final = """
about after again also because before being between could from have into more only other should some than that their them
then there these they this those were what when where which while with would adds makes uses
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())


class Note(Struct, frozen=True):
    """One thing to remember, and the question that should find it."""

    subject: str
    text: str
    type: str
    question: str
    ref: str = ""


_SAMPLES: Final = (
    Note(
        "Slot holds live in Postgres, not in Redis",
        "Redis evicted 41 live holds during the regatta weekend (allkeys-lru at maxmemory). Holds are rows in slot_holds now, with an "
        "exclusion constraint; purge_expired_holds runs every minute.",
        "decision",
        "why are slot holds not in redis",
    ),
    Note(
        "Double booking race in reserve_slot",
        "Two POST /v2/bookings within 30 ms both saw capacity=1. Fixed with SELECT ... FOR UPDATE in one transaction; SERIALIZABLE "
        "was tried and cost 3 % retries under load.",
        "bug",
        "how did we fix the double booking",
    ),
    Note(
        "Deploys run from the main branch only",
        "The release job refuses any other ref. A hotfix is a cherry-pick to main, tagged vX.Y.Z; CI publishes it.",
        "config",
        "how do I ship a hotfix",
    ),
    Note(
        "Time zones: store UTC, show the harbour's",
        "Every column is timestamptz; the view converts with the harbour's IANA zone. Naive datetimes fail a lint rule.",
        "pattern",
        "naive datetimes lint rule",
    ),
)


def of(folder: Path) -> tuple[list[Note], str]:
    """What to remember, and where it is from: the latest commits of the repository, or samples."""
    notes = [note for note in (_from_commit(fields) for fields in _commits(folder)) if note is not None]
    if len(notes) >= _NOTES_MIN:
        return notes, f"the latest {len(notes)} commits of {folder.name}"
    return list(_SAMPLES), "sample notes (run it inside a repository to see your own commits)"


def _commits(folder: Path) -> list[list[str]]:
    command = ["git", "-C", str(folder), "log", f"-{_COMMITS_MAX}", "--no-merges", "--format=%H%x00%s%x00%b%x1e"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS_MAX, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    entries = done.stdout.decode(errors="replace").split("\x1e")
    return [entry.strip().split("\0") for entry in entries if entry.strip()]


def _from_commit(fields: list[str]) -> Note | None:
    commit, subject, body = (*fields, "", "")[:3]
    text = " ".join(f"{subject}\n\n{body}".split(" ")).strip()[:_TEXT_CHARS_MAX].replace("\0", "")
    question = _question(subject)
    if not text or not question:
        return None
    type = "bug" if re.match(r"(?i)fix|bug|revert|mend", subject) else "decision"
    shown = "".join(character for character in subject if character.isprintable())
    return Note(shown[:200], text, type, question, commit)


def _question(subject: str) -> str:
    """What somebody might ask who half remembers a commit: its longer words."""
    words = [word for word in re.findall(r"[^\W_]{4,}", subject) if word.casefold() not in _COMMON]
    return " ".join(sorted(dict.fromkeys(words), key=len, reverse=True)[:_QUESTION_WORDS]).lower()
