"""`python -m bench.recall.speed`: what recall by meaning costs, at a size.

A store of that many notes gets vectors that are random, since reading 50,000 notes takes hours and the time of a search does not depend
on what its vectors say. Then questions of 16 words, none twice, are asked in process, the embedder a process beside it with the real
models. Notes of 700 characters of real English are read. At last notes are saved, a few while the embedder reads what was saved
and a few while it is frozen, in turns. Wall time is what a caller waits, and CPU time what it costs on any machine however busy: ours,
and the embedder's.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bench import stores
from bench.corpus import SEED, Corpus
from bench.measuring import Stopwatch
from bench.recall import sets
from bench.recall.variants import wait_until_read
from bench.searching import questions
from bench.stores import Store
from nokosu.config import Config
from nokosu.drafts import Draft, Query
from nokosu.errors import StoreLocked
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.semantic import known, language, models, process
from nokosu.semantic.client import BY_WORDS, Embedder
from nokosu.semantic.known import DIMENSIONS
from nokosu.semantic.texts import of_note
from nokosu.store import embeddings
from nokosu.store.connection import Database
from nokosu.store.embeddings import Embedding

_QUESTIONS: Final = 200
_READ: Final = 48  # notes that are really read, for the speed of that
_READ_CHARS: Final = 700  # of each
_TURNS: Final = 40
_SAVES_A_TURN: Final = 5
_READ_BEFORE: Final = 96  # notes that wait for the embedder when saves begin, so that it reads all the time
_TICK: Final = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.recall.speed", description=__doc__)
    parser.add_argument("--notes", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nokosu-speed-") as named:
        store = stores.grow(Path(named), [options.notes], print)[options.notes]
        config = Config(home=store.home, author=Author(agent="bench"), user_home=store.home)
        texts = _real_texts()
        with Nokosu(config) as memory:
            memory.save_many([Draft(text=text) for text in texts])
        _fill(config.database, left_out=len(texts))
        semantic = msgspec.structs.replace(config, starts_embedder=True)
        embedder = Embedder(semantic)
        try:
            pid = _read(semantic, embedder, options.notes + len(texts))
            _ask("default, in process", config, store, None)
            _ask("[semantic]", semantic, store, pid)
            _save(config, pid)
            print(f"embedder: {_peak_mb(pid):.0f} MB at most")
        finally:
            embedder.stop()
        _by_model(texts)
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


def _real_texts() -> list[str]:
    """English, as agents write it: the texts of agent-notes one behind the other, cut to a length."""
    labelled = sets.agent_notes(sets.AGENT_NOTES)
    assert labelled is not None
    whole = " ".join(note.draft.text for note in labelled.notes if note.draft.text.isascii())
    return [whole[at * _READ_CHARS : (at + 1) * _READ_CHARS] for at in range(_READ)]


def _read(config: Config, embedder: Embedder, notes: int) -> int:
    """Start the embedder, and have it read what has no vectors; its process."""
    process.start_if_needed(config)
    while (state := embedder.state()) is None:
        time.sleep(0.05)
    pid, pending, began, before = state.pid, state.pending, time.monotonic(), _cpu_seconds(state.pid)
    wait_until_read(config, embedder, notes)
    took, cpu = time.monotonic() - began, _cpu_seconds(pid) - before
    print(
        f"started with {before:.1f} s CPU; {pending} notes of {_READ_CHARS} characters read by both models in {took:.1f} s, "
        f"{cpu * 1000 / pending:.0f} ms CPU each, so {pending / cpu:.1f} a second by one core"
    )
    return pid


def _by_model(texts: list[str]) -> None:
    """What each model takes of that, and both of the notes of agent-notes, as long and in the languages as they are."""
    loaded = {one: models.load(one) for one in known.MODELS}
    for one, model in loaded.items():
        model.of_note(texts[0])
        taken = _cpu_of(partial(model.of_note, text) for text in texts)
        print(f"{one.name}: {taken / len(texts):.0f} ms CPU a note")
    labelled = sets.agent_notes(sets.AGENT_NOTES)
    assert labelled is not None
    drafts = [note.draft for note in labelled.notes]
    whole = [of_note(draft.subject, draft.text, draft.tags) for draft in drafts]
    english = [text for text in whole if language.of(text) == language.ENGLISH]
    taken = _cpu_of(partial(loaded[known.MULTILINGUAL].of_note, text) for text in whole)
    taken += _cpu_of(partial(loaded[known.ENGLISH].of_note, text) for text in english)
    mean = statistics.mean(map(len, whole))
    print(
        f"agent-notes, {mean:.0f} characters: {taken / len(whole):.0f} ms CPU a note, {1000 * len(whole) / taken:.1f} a second"
    )


def _cpu_of(works: Iterable[Callable[[], object]]) -> float:
    """The CPU time of doing all of it, in milliseconds."""
    before = time.process_time()
    for work in works:
        work()
    return (time.process_time() - before) * 1000


def _save(config: Config, pid: int) -> None:
    """Save notes in turns, the embedder at work and frozen. It has notes to read all the time, so this is what it costs at most."""
    notes = Corpus(SEED + 1).notes(_READ_BEFORE + _TURNS * (2 * _SAVES_A_TURN + 1))
    watches = {True: Stopwatch(), False: Stopwatch()}
    with Nokosu(config) as memory:
        memory.save_many([next(notes).draft() for _ in range(_READ_BEFORE)])
        time.sleep(2)  # it looks once a second
        began, before = time.monotonic(), _cpu_seconds(pid)
        for turn in range(2 * _TURNS):
            works = turn % 2 == 0
            if not works:
                _freeze(pid, memory, next(notes).draft())
            for _ in range(_SAVES_A_TURN):
                draft = next(notes).draft()
                watches[works].time(partial(memory.save, draft))
            os.kill(pid, signal.SIGCONT)
    busy = (_cpu_seconds(pid) - before) / (time.monotonic() - began)
    at_work, frozen = (watches[works].spread() for works in (True, False))
    print(
        f"save: p50 {at_work.p50:.2f} ms, CPU {at_work.cpu_p50:.2f}, while the embedder reads; {frozen.p50:.2f} ms, CPU "
        f"{frozen.cpu_p50:.2f}, while it is frozen: x {at_work.p50 / frozen.p50:.2f}, CPU x {at_work.cpu_p50 / frozen.cpu_p50:.2f}; "
        f"p99 {at_work.p99:.1f} and {frozen.p99:.1f} ms; the embedder used {busy:.2f} of a core meanwhile"
    )


def _freeze(pid: int, memory: Nokosu, draft: Draft) -> None:
    """Stop the process, but not while it writes; the first save after that is not measured."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            memory.save(draft)
        except StoreLocked:
            os.kill(pid, signal.SIGCONT)
        else:
            return


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
