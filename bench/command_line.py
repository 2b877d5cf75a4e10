"""`nokosu search` as a whole process, in a git repository whose notes are in the store, as an agent's shell runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure, Goal, growth, p50_goal
from bench.measuring import Stopwatch
from bench.processes import NOKOSU, Ended, environment, fingerprint, run
from bench.stores import Store

_ROUNDS = 15


def searching_by_command(stores: dict[int, Store], goal_size: int, folder: Path) -> list[Figure]:
    """Each store in turn, a bare interpreter start after each; then one search that is watched for what it writes."""
    copies = {size: store.copy(f"command-{size}") for size, store in stores.items()}
    watches = {size: Stopwatch() for size in stores}
    bare = Stopwatch()
    with _in_repository(folder / "orchard-api"):
        words = {size: _word(store) for size, store in copies.items()}
        for store in copies.values():
            _checked([*NOKOSU, "save", "The first note of this repository: its place is known from here on."], store)
        for at in range(_ROUNDS + 1):
            for size, store in copies.items():
                ended = run([*NOKOSU, "search", words[size]], environment(store.home))
                start = run([sys.executable, "-c", "pass"], environment(store.home))
                if at:  # the first round fills the caches
                    _note(watches[size], ended)
                    _note(bare, start)
        written = {size: _written(store, words[size]) for size, store in copies.items()}
    figures = [
        Figure(
            "nokosu search, whole process",
            size,
            watches[size].spread(),
            floor=bare.spread(),
            floor_name="python -c pass",
            goals=(p50_goal(watches[size].spread(), 180),) if size == goal_size else (),
        )
        for size in stores
    ]
    figures += [_written_figure(size, *written[size]) for size in stores if size == goal_size]
    if 0 in stores:
        spreads = {size: watch.spread() for size, watch in watches.items()}
        figures.append(growth("nokosu search: growth", spreads, 0, goal_size, 1.3))
    return figures


def _written_figure(size: int, bytes_written: int, changed: list[str]) -> Figure:
    beside_shm = [name for name in changed if not name.endswith("-shm")]
    return Figure(
        "bytes written by one nokosu search after a save",
        size,
        value=bytes_written,
        unit="B",
        goals=(Goal("files changed, WAL index apart", len(beside_shm), 0, unit=""),),
        remark=f"changed: {', '.join(changed) or 'nothing'}",
    )


def _written(store: Store, word: str) -> tuple[int, list[str]]:
    """The bytes that one search sends to file systems, and the files of the home that it changes.

    SQLite's WAL index (-shm) is shared memory that lies in a file; the first process to open a store fills it anew.
    """
    before = fingerprint(store.home)
    ended = run([*NOKOSU, "search", word], environment(store.home))
    after = fingerprint(store.home)
    return ended.written, sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _word(store: Store) -> str:
    """A word that the store holds, found in its middle: not one of the first notes, not one of the last."""
    note = store.sample[len(store.sample) // 2]
    return max(note.text.replace(".", "").lower().split(), key=len)


def _note(watch: Stopwatch, ended: Ended) -> None:
    if ended.code:
        raise RuntimeError(f"a measured command ended with {ended.code}")
    watch.note(ended.wall_ms, ended.cpu_ms)


def _checked(command: list[str], store: Store) -> None:
    subprocess.run(command, env=environment(store.home), check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _in_repository(folder: Path) -> Iterator[None]:
    """Work in a fresh repository with one commit."""
    folder.mkdir()
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(
        ["git", "-C", str(folder), *identity, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True
    )
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
