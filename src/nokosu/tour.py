"""`nokosu try`: what nokosu does, shown on real input in under a minute, in a throwaway home.

The latest commits of the repository that it is run in become notes; outside a repository sample notes do. One agent saves them over
the real MCP server, another agent and then the command line find them. Every step prints what happened and how long it took.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
from msgspec import Struct

from nokosu.config import Config
from nokosu.mcp_server.clients import CLIENTS, print_config
from nokosu.mcp_server.visitor import visit

Echo = Callable[[str], None]

_COMMITS_MAX: Final = 24
_NOTES_MIN: Final = 3
_TEXT_CHARS_MAX: Final = 4_000
_QUESTION_WORDS: Final = 4
_HITS_SHOWN: Final = 3
_GIT_SECONDS_MAX: Final = 10
_SAVER, _FINDER = "claude-code", "codex"
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


def main(config: Config, *, echo: Echo) -> int:
    """Run the tour; 0 when every step did what it says."""
    started = time.perf_counter()
    folder = next((path for path in config.workspaces if path.is_dir()), Path.cwd())
    notes, origin = _notes(folder)
    with tempfile.TemporaryDirectory(prefix="nokosu-try-") as throwaway:
        home = Path(throwaway) / "home"
        echo(f"A tour of nokosu, on {origin}.")
        echo(f"Its home is a throwaway: {home}")
        anyio.run(_agents, notes, folder, home, echo)
        found = _command_line(notes[0], folder, home, echo)
    echo("")
    echo(f"Done in {time.perf_counter() - started:.1f} s; the throwaway home is gone.")
    _what_next(echo)
    return 0 if found else 1


async def _agents(notes: list[Note], folder: Path, home: Path, echo: Echo) -> None:
    """One agent saves over MCP, another one finds."""
    echo("")
    echo(f"1. {_SAVER} starts its MCP server (nokosu mcp) and saves {len(notes)} memories.")
    started = time.perf_counter()
    async with visit(_SAVER, environ=_environ(home, _SAVER), cwd=folder) as agent:
        tools = await agent.tools()
        echo(f"   server ready in {_seconds(time.perf_counter() - started)}: {', '.join(tools)}")
        took = []
        for note in notes:
            answer = await agent.call("save_memory", **_arguments(note, folder))
            took.append(answer.seconds)
            if len(took) <= _HITS_SHOWN:
                echo(f"   saved {answer.result['id']}  {_short(note.subject)}  ({_seconds(answer.seconds)})")
        more = f"   ... {len(notes) - _HITS_SHOWN} more" if len(notes) > _HITS_SHOWN else "  "
        echo(f"{more} (median {_seconds(sorted(took)[len(took) // 2])} a save: signed, on the disk, and findable)")
    echo("")
    echo(f"2. {_FINDER}, another agent with its own server, asks.")
    async with visit(_FINDER, environ=_environ(home, _FINDER), cwd=folder) as agent:
        for note in notes[:2]:
            answer = await agent.call("search_memory", query=note.question, project=str(folder), limit=_HITS_SHOWN)
            _show(note.question, answer.result, answer.seconds, echo)


def _command_line(note: Note, folder: Path, home: Path, echo: Echo) -> bool:
    """The same question, typed by a person."""
    echo("")
    echo("3. You ask, in a shell.")
    echo(f"   $ nokosu search {note.question}")
    started = time.perf_counter()
    command = [sys.executable, "-m", "nokosu", "search", "--limit", "1", note.question]
    done = subprocess.run(command, cwd=folder, env=_environ(home, ""), capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        echo(f"   {line}")
    echo(f"   (exit {done.returncode}, {_seconds(time.perf_counter() - started)} for the whole command)")
    return done.returncode == 0


def _what_next(echo: Echo) -> None:
    echo("")
    echo("To use it, give it to your agent. For Claude Code:")
    for line in print_config("claude-code").splitlines():
        echo(f"   {line}")
    others = ", ".join(name for name in CLIENTS if name != "claude-code")
    echo(f"Others (nokosu mcp --print-config NAME): {others}")


def _show(question: str, result: Mapping[str, Any], seconds: float, echo: Echo) -> None:
    echo(f"   ? {question}  ({_seconds(seconds)})")
    for hit in result["hits"]:
        echo(f"     {hit['id']}  {_short(hit['subject'])}  [{hit['type']}, saved by {hit['agent']} on {hit['device']}]")
    if not result["hits"]:
        echo("     nothing found")


def _arguments(note: Note, folder: Path) -> dict[str, Any]:
    refs = {"refs": [note.ref]} if note.ref else {}
    return {"text": note.text, "subject": note.subject, "type": note.type, "project": str(folder), **refs}


def _environ(home: Path, agent: str) -> dict[str, str]:
    """The environment of an agent's server: its own identity, the throwaway home, and nothing of the caller's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "TERM") if name in os.environ}
    return {**kept, "NOKOSU_HOME": str(home), "NOKOSU_AGENT": agent}


def _notes(folder: Path) -> tuple[list[Note], str]:
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


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.1f} s"
