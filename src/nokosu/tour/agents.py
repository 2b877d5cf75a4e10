"""The first act: one agent saves over the real MCP server, another one and a person find."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nokosu.mcp_server.visitor import visit
from nokosu.tour.notes import Note
from nokosu.tour.telling import Echo, environ, seconds, short

_HITS_SHOWN: Final = 3
_SAVER, _FINDER = "claude-code", "codex"


async def share(notes: Sequence[Note], folder: Path, home: Path, echo: Echo) -> None:
    """One agent saves over MCP, another one finds."""
    echo("")
    echo(f"1. {_SAVER} starts its MCP server (nokosu mcp) and saves {len(notes)} memories.")
    started = time.perf_counter()
    async with visit(_SAVER, environ=environ(home, _SAVER), cwd=folder) as agent:
        tools = await agent.tools()
        echo(f"   server ready in {seconds(time.perf_counter() - started)}: {', '.join(tools)}")
        took = []
        for note in notes:
            answer = await agent.call("save_memory", **_arguments(note, folder))
            took.append(answer.seconds)
            if len(took) <= _HITS_SHOWN:
                echo(f"   saved {answer.result['id']}  {short(note.subject)}  ({seconds(answer.seconds)})")
        more = f"   ... {len(notes) - _HITS_SHOWN} more" if len(notes) > _HITS_SHOWN else "  "
        echo(f"{more} (median {seconds(sorted(took)[len(took) // 2])} a save: signed, on the disk, and findable)")
    echo("")
    echo(f"2. {_FINDER}, another agent with its own server, asks.")
    async with visit(_FINDER, environ=environ(home, _FINDER), cwd=folder) as agent:
        for note in notes[:2]:
            answer = await agent.call("search_memory", query=note.question, project=str(folder), limit=_HITS_SHOWN)
            _show(note.question, answer.result, answer.seconds, echo)


def ask_in_a_shell(note: Note, folder: Path, home: Path, echo: Echo) -> bool:
    """The same question, typed by a person; whether it was answered."""
    echo("")
    echo("3. You ask, in a shell.")
    echo(f"   $ nokosu search {note.question}")
    started = time.perf_counter()
    command = [sys.executable, "-m", "nokosu", "search", "--limit", "1", note.question]
    done = subprocess.run(command, cwd=folder, env=environ(home), capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        echo(f"   {line}")
    echo(f"   (exit {done.returncode}, {seconds(time.perf_counter() - started)} for the whole command)")
    return done.returncode == 0


def _show(question: str, result: Mapping[str, Any], took: float, echo: Echo) -> None:
    echo(f"   ? {question}  ({seconds(took)})")
    for hit in result["hits"]:
        echo(f"     {hit['id']}  {short(hit['subject'])}  [{hit['type']}, saved by {hit['agent']} on {hit['device']}]")
    if not result["hits"]:
        echo("     nothing found")


def _arguments(note: Note, folder: Path) -> dict[str, Any]:
    refs = {"refs": [note.ref]} if note.ref else {}
    return {"text": note.text, "subject": note.subject, "type": note.type, "project": str(folder), **refs}
