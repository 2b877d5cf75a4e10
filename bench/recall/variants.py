"""What is compared: ways to save a set's notes and to ask its questions.

`Default` is nokosu as it is installed, through its public door, and `Semantic` the same with the extra and its embedder, a process of
its own. `BareFullText` is the floor: one FTS5 table as most programs make it,
asked for any of the question's words.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import apsw
import msgspec

from bench.recall.measures import SHOWN, Answer
from bench.recall.sets import Labelled, Note, Question
from nokosu import limits
from nokosu.config import Config
from nokosu.drafts import Draft, Query
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.semantic import known, process
from nokosu.semantic.client import BY_WORDS, Embedder
from nokosu.semantic.wire import State
from nokosu.testing import ManualClock, SeededRandom

_READ_SECONDS_MAX: Final = 3600
_TRIES: Final = 50

Ask = Callable[[Question, bool], Answer]
"""Answers a question; with superseded memories shown too, if that is asked."""


class Variant(Protocol):
    """A way to find notes."""

    @property
    def name(self) -> str: ...

    def opened(self, labelled: Labelled, folder: Path) -> AbstractContextManager[Ask]:
        """Save the notes in *folder*, and give what answers questions about them."""
        ...


class Default:
    """nokosu with keywords alone."""

    name: str = "default"

    @contextmanager
    def opened(self, labelled: Labelled, folder: Path) -> Iterator[Ask]:
        """A question with a project is asked by an agent who works there, any other about all projects."""
        units = _saved(labelled, folder)
        doors: dict[str | None, Nokosu] = {}

        def ask(question: Question, with_superseded: bool) -> Answer:
            if question.project not in doors:
                config = self._config(folder, question.project)
                doors[question.project] = Nokosu(config, wall_clock=ManualClock(labelled.now_ms))
            query = Query(
                text=question.text,
                all_projects=question.project is None,
                limit=_limit(labelled),
                include_superseded=with_superseded,
            )
            hits = self._answered(doors[question.project], query).hits
            return Answer(_each_once(units[hit.id] for hit in hits), sum(not hit.weak for hit in hits))

        try:
            yield ask
        finally:
            for door in doors.values():
                door.close()

    def _config(self, folder: Path, project: str | None) -> Config:
        return _config(folder, "claude-code", project)

    def _answered(self, door: Nokosu, query: Query) -> Hits:
        return door.search(query)


class Semantic(Default):
    """nokosu with the extra `[semantic]`."""

    name = "[semantic]"

    @staticmethod
    def is_installed() -> bool:
        """Whether the extra is here, with both models."""
        return all(model.is_installed for model in known.MODELS)

    @contextmanager
    def opened(self, labelled: Labelled, folder: Path) -> Iterator[Ask]:
        """Questions begin when the embedder has read every note."""
        with super().opened(labelled, folder) as ask:
            embedder = Embedder(self._config(folder, None))
            try:
                wait_until_read(self._config(folder, None), embedder, len({note.key for note in labelled.notes}))
                yield ask
            finally:
                embedder.stop()

    def _config(self, folder: Path, project: str | None) -> Config:
        return msgspec.structs.replace(super()._config(folder, project), starts_embedder=True)

    def _answered(self, door: Nokosu, query: Query) -> Hits:
        """The answer by meaning; on a busy machine a question may have to be asked again."""
        notes: tuple[str, ...] = ()
        for _ in range(_TRIES):
            hits = door.search(query)
            if not any(note.startswith(BY_WORDS) for note in hits.notes):
                return hits
            notes = hits.notes
        raise RuntimeError(f"no answer by meaning: {notes}")


class BareFullText:
    """One FTS5 table with `porter unicode61`, any of the words, by BM25; in a project, that project alone."""

    name: Final = "bare FTS5"

    @contextmanager
    def opened(self, labelled: Labelled, folder: Path) -> Iterator[Ask]:
        connection = apsw.Connection(":memory:")
        connection.execute(
            "CREATE VIRTUAL TABLE note USING fts5(words, project UNINDEXED, tokenize = 'porter unicode61')"
        )
        units = {}
        for n, note in enumerate(labelled.notes):
            draft = note.draft
            words = "\n".join((draft.subject, draft.text, *draft.tags))
            connection.execute("INSERT INTO note (rowid, words, project) VALUES (?, ?, ?)", (n, words, draft.project))
            units[n] = note.unit

        def ask(question: Question, _: bool) -> Answer:
            words = dict.fromkeys(re.findall(r"\w+", question.text))
            found = connection.execute(
                "SELECT rowid FROM note WHERE note MATCH ?1 AND (?2 IS NULL OR project = ?2) ORDER BY rank LIMIT ?3",
                (" OR ".join(f'"{word}"' for word in words), question.project, _limit(labelled)),
            )
            shown = _each_once(units[n] for (n,) in found)
            return Answer(shown, len(shown))

        try:
            yield ask
        finally:
            connection.close()


def wait_until_read(config: Config, embedder: Embedder, notes: int) -> State:
    """Start the embedder, and wait until it has vectors of all notes; how it is then."""
    until = time.monotonic() + _READ_SECONDS_MAX
    while (state := embedder.state()) is None or state.pending or state.memories < notes:
        if state is None:
            process.start_if_needed(config)
        if time.monotonic() > until or process.last_words(config):
            raise RuntimeError(f"the embedder has not read the notes: {state} {process.last_words(config)}")
        time.sleep(0.2)
    return state


def _saved(labelled: Labelled, folder: Path) -> dict[str, str]:
    """Save the notes in the order of their times, each by its agent; the unit of each memory's id."""
    doors: dict[str, tuple[Nokosu, ManualClock]] = {}
    ids: dict[str, str] = {}
    units: dict[str, str] = {}
    for note in sorted(labelled.notes, key=lambda note: note.created_ms):
        if note.agent not in doors:
            clock = ManualClock(note.created_ms)
            random = SeededRandom(len(doors))
            doors[note.agent] = (Nokosu(_config(folder, note.agent), wall_clock=clock, random=random), clock)
        door, clock = doors[note.agent]
        clock.now_ms = note.created_ms
        ids[note.key] = door.save(_with_links(note, ids)).id
        units[ids[note.key]] = note.unit
    for door, _ in doors.values():
        door.close()
    return units


def _limit(labelled: Labelled) -> int:
    """Ten hits, or as many as ten units may have."""
    most = max(Counter(note.unit for note in labelled.notes).values())
    return min(SHOWN * most, limits.RESULTS_MAX)


def _each_once(units: Iterable[str]) -> tuple[str, ...]:
    """Each unit at the rank of its first hit."""
    return tuple(dict.fromkeys(units))[:SHOWN]


def _with_links(note: Note, ids: dict[str, str]) -> Draft:
    older = tuple(ids[key] for key in note.supersedes if key in ids)
    return msgspec.structs.replace(note.draft, supersedes=older)


def _config(folder: Path, agent: str, project: str | None = None) -> Config:
    author = Author(agent=agent, session="bench", model="none", host="bench")
    return Config(home=folder / "home", author=author, user_home=folder, project=project)
