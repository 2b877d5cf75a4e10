"""Stores of several sizes, grown as one and copied on the way, so that the larger ones begin like the smaller."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import apsw

from bench.corpus import AGENTS, PROJECTS, SEED, Corpus, Note
from nokosu.config import DATABASE_NAME, Config
from nokosu.nokosu import Nokosu
from nokosu.records import Author

_BATCH = 500
_SAMPLE = 3_000


@dataclass(frozen=True, slots=True)
class Store:
    """A store on disk: how many notes it holds, some of them, some of their ids, and the bytes of all their texts."""

    home: Path
    notes: int
    sample: list[Note]
    ids: list[str]
    text_bytes: int
    load_cpu_seconds: float

    @property
    def file(self) -> Path:
        return self.home / DATABASE_NAME

    def open(self, agent: str = AGENTS[0], project: str | None = PROJECTS[0]) -> Nokosu:
        return open_as(self.home, agent, project)

    def copy(self, name: str) -> Store:
        """The same store in another folder, for what changes it."""
        home = self.home.with_name(name)
        _copy(self.home, home)
        return Store(home, self.notes, self.sample, self.ids, self.text_bytes, self.load_cpu_seconds)


@dataclass(slots=True)
class _Loaded:
    notes: int = 0
    sample: list[Note] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    text_bytes: int = 0
    cpu_seconds: float = 0.0


def open_as(home: Path, agent: str = AGENTS[0], project: str | None = PROJECTS[0]) -> Nokosu:
    """The store of *home*, as an agent that works in *project*."""
    author = Author(agent=agent, session="bench", model="none", host="bench")
    return Nokosu(Config(home=home, author=author, user_home=home, project=project))


def grow(folder: Path, sizes: list[int], tell: Callable[[str], None]) -> dict[int, Store]:
    """Stores of these sizes, smallest first; of size 0 is one that holds a single note, so that there is a file."""
    corpus = Corpus(SEED)
    pick = random.Random(SEED)
    growing = folder / "growing"
    growing.mkdir(parents=True)
    loaded = _Loaded()
    stores: dict[int, Store] = {}
    for size in sorted(sizes):
        _load(corpus, pick, growing, loaded, max(size, 1))
        checkpoint(growing / DATABASE_NAME)
        home = folder / f"store-{size}"
        _copy(growing, home)
        ids = pick.sample(loaded.ids, min(_SAMPLE, len(loaded.ids)))
        stores[size] = Store(home, size, list(loaded.sample), ids, loaded.text_bytes, loaded.cpu_seconds)
        tell(f"{loaded.notes} notes loaded, {loaded.cpu_seconds:.1f} s CPU in all")
    shutil.rmtree(growing)
    return stores


def checkpoint(file: Path) -> None:
    """Write all of the WAL into the file and empty it."""
    connection = apsw.Connection(str(file))
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        connection.close()


def _load(corpus: Corpus, pick: random.Random, home: Path, loaded: _Loaded, until: int) -> None:
    agents = [open_as(home, agent) for agent in AGENTS]
    try:
        notes = corpus.notes(until - loaded.notes)
        while batch := list(islice(notes, _BATCH)):
            drafts = [
                note.draft((pick.choice(loaded.ids),) if note.supersedes_earlier and loaded.ids else ())
                for note in batch
            ]
            started = time.process_time()
            saved = agents[loaded.notes // _BATCH % len(agents)].save_many(drafts)
            loaded.cpu_seconds += time.process_time() - started
            loaded.ids += [one.id for one in saved]
            loaded.notes += len(batch)
            loaded.text_bytes += sum(note.text_bytes for note in batch)
            loaded.sample += batch
            if len(loaded.sample) > 2 * _SAMPLE:
                loaded.sample = pick.sample(loaded.sample, _SAMPLE)
    finally:
        for agent in agents:
            agent.close()


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    shutil.copy2(source / DATABASE_NAME, target / DATABASE_NAME)
