"""`python -m bench.peer`: the same notes through kioku-mesh 1.2.0 and through nokosu, in one run, as ratios.

kioku-mesh is installed from PyPI into an environment of its own in the cache folder, once; nothing else here touches a
network, and its own look for updates is turned off. Both are asked the same through the same doors: their MCP servers over
stdio, where every note is saved, and their commands.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import platformdirs

from bench import machine
from bench.corpus import SEED, Corpus, Note
from bench.measuring import Stopwatch, percentile
from bench.processes import NOKOSU, environment, run
from bench.report import PEER_HEADING, as_markdown, write_part
from bench.stdio_client import StdioClient

VERSION = "1.2.0"
_SIZES = [1_000, 10_000]
_SAVES = 200
_SEARCHES = 60
_COMMANDS = 7
_STARTS = 5


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is spoken to: its commands, its environment, and its names for the same two tools."""

    name: str
    server: Sequence[str]
    search_command: Sequence[str]
    environ: dict[str, str]
    save_tool: str
    save_arguments: Callable[[Note], dict[str, Any]]
    search_arguments: Callable[[str], dict[str, Any]]

    def start(self) -> StdioClient:
        return StdioClient(self.server, self.environ)

    def save(self, client: StdioClient, note: Note) -> None:
        client.call(self.save_tool, self.save_arguments(note))

    def search(self, client: StdioClient, words: str) -> None:
        client.call("search_memory", self.search_arguments(words))


@dataclass(slots=True)
class Times:
    """What one program took at one size, by what was asked."""

    watches: dict[str, Stopwatch] = field(default_factory=dict)

    def of(self, name: str) -> Stopwatch:
        return self.watches.setdefault(name, Stopwatch())


def main() -> int:
    """Install what is missing, measure both, print the ratios."""
    options = _options()
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="nokosu-peer-", dir=options.folder) as named:
        folder = Path(named)
        if options.markdown:
            options.markdown = options.markdown.absolute()
        os.chdir(folder)  # no project of either program
        programs = [_nokosu(folder / "nokosu"), _kioku(folder / "kioku", installed(options.cache))]
        rows: list[list[str]] = []
        corpus, loaded = Corpus(SEED), 0
        for size in options.sizes:
            notes = list(islice(corpus.notes(size), size - loaded))
            loaded = size
            times = _measured(programs, notes)
            rows += _rows(size, times)
            print(f"{size} notes done", file=sys.stderr, flush=True)
        described = machine.describe(folder, before, machine.load())
    part = _part(rows, described)
    print(part)
    if options.markdown:
        write_part(options.markdown, part)
    return 0


def installed(cache: Path) -> Path:
    """The folder of kioku-mesh's commands, in an environment that is made once."""
    home = cache / f"kioku-mesh-{VERSION}"
    done = home / "done"
    if not done.exists():
        print(f"installing kioku-mesh {VERSION} from PyPI into {home} (once) ...", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        pip = [
            str(home / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        subprocess.run([*pip, f"kioku-mesh=={VERSION}"], check=True)
        done.touch()
    return home / "bin"


def _nokosu(home: Path) -> Program:
    home.mkdir(mode=0o700)
    return Program(
        name="nokosu",
        server=[*NOKOSU, "mcp"],
        search_command=[*NOKOSU, "search"],
        environ=environment(home),
        save_tool="save_memory",
        save_arguments=lambda note: {
            "text": note.text,
            "subject": note.subject,
            "type": note.type,
            "project": note.project,
            "tags": list(note.tags),
        },
        search_arguments=lambda words: {"query": words, "limit": 10},
    )


def _kioku(home: Path, commands: Path) -> Program:
    home.mkdir(mode=0o700)
    environ = environment(home)
    environ |= {
        "KIOKU_MESH_STATE_DIR": str(home / "state"),
        "KIOKU_MESH_BACKEND": "local",
        "KIOKU_MESH_AGENT_FAMILY": "claude",
        "KIOKU_MESH_CLIENT_ID": "bench",
        "XDG_CONFIG_HOME": str(home / "config"),
        "FASTMCP_CHECK_FOR_UPDATES": "off",
        "FASTMCP_SHOW_SERVER_BANNER": "false",
        "PYTHONPATH": "",
    }
    subprocess.run(
        [commands / "kioku-mesh", "init", "--mode", "local"], env=environ, check=True, stdout=subprocess.DEVNULL
    )
    return Program(
        name=f"kioku-mesh {VERSION}",
        server=[str(commands / "kioku-mesh-mcp")],
        search_command=[str(commands / "kioku-mesh"), "search", "-n", "10"],
        environ=environ,
        save_tool="save_observation",
        save_arguments=lambda note: {
            "content": note.text,
            "subject": note.subject,
            "summary": note.subject,
            "memory_type": note.type,
            "project": note.project,
            "tags": list(note.tags),
        },
        search_arguments=lambda words: {"query": words, "limit": 10, "search_mode": "and_or"},
    )


def _measured(programs: Sequence[Program], notes: Sequence[Note]) -> dict[str, Times]:
    """Load *notes* into each program, timing the last saves; then search, by server and by command, and start anew."""
    times = {program.name: Times() for program in programs}
    for program in programs:
        with program.start() as client:
            for note in notes[:-_SAVES]:
                program.save(client, note)
    clients = [program.start() for program in programs]
    try:
        for program, client in zip(programs, clients, strict=True):
            program.search(client, "warm")  # the store opens at the first call
        for note in notes[-_SAVES:]:
            for program, client in zip(programs, clients, strict=True):
                times[program.name].of("save").time(partial(program.save, client, note))
        for name, words in _queries(notes):
            for program, client in zip(programs, clients, strict=True):
                times[program.name].of(name).time(partial(program.search, client, words))
    finally:
        for client in clients:
            client.close()
    _measure_processes(programs, times, notes[0])
    return times


def _queries(notes: Sequence[Note]) -> list[tuple[str, str]]:
    corpus = Corpus(SEED)
    sample = notes[:: max(1, len(notes) // _SEARCHES)][:_SEARCHES]
    kinds = (
        ("search one keyword", corpus.keyword),
        ("search two words", corpus.two_words),
        ("search a question of 16 words", corpus.question),
    )
    return [(name, make(note)) for note in sample for name, make in kinds]


def _measure_processes(programs: Sequence[Program], times: dict[str, Times], note: Note) -> None:
    word = max(note.text.replace(".", "").lower().split(), key=len)
    for _ in range(_COMMANDS):
        for program in programs:
            ended = run([*program.search_command, word], program.environ)
            if ended.code:
                raise RuntimeError(f"{program.name}: the search command ended with {ended.code}")
            times[program.name].of("search by command, whole process").note(ended.wall_ms, ended.cpu_ms)
    for _ in range(_STARTS):
        for program in programs:
            times[program.name].of("restart: from spawn to the first answer").time(partial(_restart, program, word))


def _restart(program: Program, word: str) -> None:
    with program.start() as client:
        program.search(client, word)


def _rows(size: int, times: dict[str, Times]) -> list[list[str]]:
    ours, theirs = times.values()
    rows = []
    for name, watch in ours.watches.items():
        mine, other = watch.wall_ms, theirs.watches[name].wall_ms
        p50s, p99s = [[percentile(values, percent) for values in (mine, other)] for percent in (50, 99)]
        worst = [f"{value:,.1f}" for value in p99s] if len(mine) >= _SEARCHES else ["", ""]
        rows.append([name, f"{size:,}", *(f"{value:,.1f}" for value in p50s), *worst, f"{p50s[1] / p50s[0]:,.1f}"])
    return rows


def _part(rows: list[list[str]], described: machine.Machine) -> str:
    headings = ["wall ms", "notes", "nokosu p50", "kioku-mesh p50", "nokosu p99", "kioku-mesh p99", "× (p50)"]
    return (
        f"{PEER_HEADING} {VERSION}\n\n"
        "`make bench-peer`: the same notes saved through both MCP servers; then each call to the one is followed by the same call "
        "to the other, over the whole store. kioku-mesh runs in its local mode, which needs no network, and does not wait for the "
        "disk at each save (`synchronous=NORMAL`); nokosu does.\n\n"
        f"{described.system}, {described.cores} cores, {described.file_system}; load average {described.load_before:.1f} before, "
        f"{described.load_after:.1f} after.\n\n"
        f"{as_markdown([headings, *rows])}\n"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__)
    parser.add_argument(
        "--sizes", type=lambda text: sorted(int(size) for size in text.split(",")), default=_SIZES, metavar="N,N"
    )
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("nokosu-bench")), metavar="DIR")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to put the stores: a real disk")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the table into this page (docs/benchmarks.md)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
