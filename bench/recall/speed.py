"""`python -m bench.recall.speed`: what recall by meaning costs, at a size.

A store of that many notes gets vectors that are random, since reading 50,000 notes takes hours and the time of a search does not depend
on what its vectors say. Then questions of 16 words, none twice, are asked in process, the embedder a process beside it with the real
models. Wall time is what a caller waits, and CPU time what it costs on any machine however busy: ours, and the embedder's.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from bench import stores
from bench.corpus import SEED
from bench.recall.variants import wait_until_read
from bench.searching import questions
from bench.stores import Store
from nokosu.config import Config
from nokosu.drafts import Query
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.semantic import known
from nokosu.semantic.client import BY_WORDS, Embedder
from nokosu.semantic.known import DIMENSIONS
from nokosu.store import embeddings
from nokosu.store.connection import Database
from nokosu.store.embeddings import Embedding

_QUESTIONS: Final = 200
_READ: Final = 40  # notes that are really read, for the speed of that
_TICK: Final = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.recall.speed", description=__doc__)
    parser.add_argument("--notes", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nokosu-speed-") as named:
        store = stores.grow(Path(named), [options.notes], print)[options.notes]
        config = Config(home=store.home, author=Author(agent="bench"), user_home=store.home)
        _fill(config.database, left_out=_READ)
        semantic = msgspec.structs.replace(config, starts_embedder=True)
        embedder = Embedder(semantic)
        try:
            _read(semantic, embedder, options.notes)
            pid = (embedder.state() or wait_until_read(semantic, embedder, options.notes)).pid
            _ask("default, in process", config, store, None)
            _ask("[semantic]", semantic, store, pid)
            print(f"embedder: {_peak_mb(pid):.0f} MB at most")
        finally:
            embedder.stop()
    return 0


def _fill(path: Path, *, left_out: int) -> None:
    """Give all memories vectors but for the newest few."""
    pick = random.Random(SEED)
    database = Database(path)
    with database.reading() as connection:
        records = list(embeddings.living(connection))[left_out:]
    for start in range(0, len(records), 1000):
        embeddings.put(
            database,
            [
                Embedding(record, model.number, "en", pick.randbytes(DIMENSIONS))
                for record in records[start : start + 1000]
                for model in known.MODELS
            ],
        )
    database.close()


def _read(config: Config, embedder: Embedder, notes: int) -> None:
    started = time.monotonic()
    state = wait_until_read(config, embedder, notes)
    took, cpu = time.monotonic() - started, _cpu_seconds(state.pid)
    print(
        f"start, and {_READ} notes read by both models: {took:.1f} s, {cpu:.1f} s CPU, so {2 * _READ / cpu:.1f} a pair of cores"
    )


def _ask(name: str, config: Config, store: Store, pid: int | None) -> None:
    waits, ours, late = [], [], 0
    before = _cpu_seconds(pid) if pid else 0.0
    with Nokosu(config) as memory:
        for text in questions(store, _QUESTIONS):
            began, used = time.perf_counter(), time.thread_time()
            found = memory.search(Query(text=text, all_projects=True))
            waits.append((time.perf_counter() - began) * 1000)
            ours.append((time.thread_time() - used) * 1000)
            late += any(note.startswith(BY_WORDS) for note in found.notes)
    theirs = ((_cpu_seconds(pid) if pid else 0.0) - before) * 1000 / _QUESTIONS
    waits.sort()
    print(
        f"{name}: 16-word question over everything, p50 {statistics.median(waits):.1f} ms, p99 {waits[-3]:.1f} ms; "
        f"CPU ours {statistics.mean(ours):.1f} ms, embedder {theirs:.1f} ms; {late} of {_QUESTIONS} without meaning"
    )


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _peak_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
