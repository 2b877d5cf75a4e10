"""The vectors of a store, kept in step with it: those that are there are loaded, those that are missing are made, newest first.

Everything is a comparison of what the store shows with what is held, so it can be broken off anywhere and begun again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

import numpy as np

from nokosu.records import Content
from nokosu.search.meaning import Near
from nokosu.semantic import language, models
from nokosu.semantic.known import ENGLISH, MULTILINGUAL
from nokosu.semantic.models import Model
from nokosu.semantic.texts import of_note
from nokosu.semantic.vectors import Nearness, Question, Vectors
from nokosu.semantic.wire import Look, Told
from nokosu.store import embeddings
from nokosu.store.connection import Database
from nokosu.store.embeddings import Embedding
from nokosu.store.sqlite import Connection

BATCH: Final = 16  # notes: embedded and then written together
_LOADED_AT_ONCE: Final = 512
_QUESTIONS_KEPT: Final = 64


class Keeper:
    """Holds what the store has, and answers with it. `refresh` and `embed_some` belong to one thread, `question` and `near` to
    one other at a time.
    """

    def __init__(self, database: Database, loaded: Mapping[int, Model], vectors: Vectors) -> None:
        """*loaded* are the models that are there, by number, of which there is the one for English."""
        self._database = database
        self._models = loaded
        self._vectors = vectors
        self._lock = Lock()
        self._held: dict[int, int] = {}  # the number of each memory's record, by the memory's
        self._pending: list[tuple[int, int]] = []  # records and memories, newest first
        self._passed_over: set[int] = set()  # damaged, or of a language that no model here reads
        self._seen = -1
        self._side_by_side = ThreadPoolExecutor(len(loaded), "nokosu-model")  # for a question, somebody waits
        self._questions: OrderedDict[str, Question] = OrderedDict()

    @property
    def memories(self) -> int:
        """How many memories have their vectors."""
        return len(self._held)

    @property
    def pending(self) -> int:
        """How many have not."""
        return len(self._pending)

    def refresh(self) -> bool:
        """Take in what has changed in the store since the last time; whether anything has.

        Raises:
            StoreError: it cannot be read.
        """
        with self._database.reading() as connection:
            version = connection.pragma("data_version")
            if version == self._seen:
                return False
            living, there = embeddings.living(connection), embeddings.there(connection)
            self._drop(living, there)
            missing = [record for record in living if record in there and self._held.get(living[record]) != record]
            for start in range(0, len(missing), _LOADED_AT_ONCE):
                self._load(embeddings.of_records(connection, missing[start : start + _LOADED_AT_ONCE]), living)
        self._pending = [
            (record, memory)
            for record, memory in living.items()
            if self._held.get(memory) != record and record not in self._passed_over
        ]
        self._seen = version
        return True

    def embed_some(self, pool: Executor) -> int:
        """Make the vectors of the newest that have none, and write them; how many.

        Raises:
            StoreError: they were not written.
        """
        some = self._pending[:BATCH]
        memory_of = dict(some)
        with self._database.reading() as connection:
            contents = embeddings.contents(connection, list(memory_of.values()))
        wanted = {record: content for record, content in contents.items() if record in memory_of}
        made = [one for several in pool.map(self._embedded, wanted, wanted.values()) for one in several]
        self._passed_over |= memory_of.keys() - {one.record for one in made}
        embeddings.put(self._database, made)
        self._load(made, memory_of)
        self._pending = self._pending[len(some) :]
        return len(some)

    def question(self, text: str) -> Question:
        """A question as the models read it; the last few are remembered, for whoever asks once more."""
        spoken = language.of(text)
        known = self._questions.get(text)
        if known is None:
            numbers = self._numbers(spoken)
            vectors = self._side_by_side.map(lambda number: self._models[number].of_question(text), numbers)
            known = self._questions[text] = Question(spoken, dict(zip(numbers, vectors, strict=True)))
            if len(self._questions) > _QUESTIONS_KEPT:
                self._questions.popitem(last=False)
        return known

    def near(self, connection: Connection, question: Question, look: Look, lacks: str) -> Told:
        """What is to be told of a question."""
        if not question.vectors:
            return Told(lacks=lacks, blind=True)
        with self._lock:
            nearness = self._vectors.nearness(question, self._side_by_side.map)
        chosen = np.isin(nearness.numbers, look.candidates)
        for scope in look.scopes:
            chosen[nearness.nearest(_within(connection, scope, nearness), look.wanted)] = True
        return Told(tuple(_told(nearness, np.flatnonzero(chosen))), pending=len(self._pending), lacks=lacks)

    def _numbers(self, spoken: str) -> list[int]:
        """The models that read a text of a language."""
        numbers = [ENGLISH.number] if spoken == language.ENGLISH else []
        return [number for number in (*numbers, MULTILINGUAL.number) if number in self._models]

    def _embedded(self, record: int, content: Content) -> list[Embedding]:
        text = of_note(content.subject, content.text, content.tags)
        spoken = language.of(text)
        return [
            Embedding(record, number, spoken, models.packed(self._models[number].of_note(text)))
            for number in self._numbers(spoken)
        ]

    def _drop(self, living: Mapping[int, int], there: Mapping[int, frozenset[int]]) -> None:
        """Let go of what the store does not show any more, or has no vectors of."""
        gone = [memory for memory, record in self._held.items() if living.get(record) != memory or record not in there]
        with self._lock:
            for memory in gone:
                self._vectors.remove(memory)
        for memory in gone:
            del self._held[memory]

    def _load(self, found: Iterable[Embedding], memory_of: Mapping[int, int]) -> None:
        """Hold the vectors of records that have all that the models here can make."""
        by_record: dict[int, dict[int, Embedding]] = {}
        for one in found:
            by_record.setdefault(one.record, {})[one.model] = one
        with self._lock:
            for record, several in by_record.items():
                spoken = next(iter(several.values())).language
                if set(self._numbers(spoken)) <= several.keys():
                    memory = memory_of[record]
                    self._vectors.put(memory, spoken, {number: one.vector for number, one in several.items()})
                    self._held[memory] = record


def _within(connection: Connection, scope: str, nearness: Nearness) -> Any:
    """Which notes a filter of the index lets through."""
    if not scope:
        return np.ones(len(nearness.numbers), bool)
    rows = connection.rows("SELECT rowid FROM word WHERE word MATCH ?", (scope,))
    return np.isin(nearness.numbers, np.fromiter((n for (n,) in rows), np.int64, len(rows)))


def _told(nearness: Nearness, places: Sequence[int]) -> list[Near]:
    known = [place for place in places if not np.isnan(nearness.deviations[place])]
    return [
        Near(int(nearness.numbers[at]), round(float(nearness.deviations[at]), 4), bool(nearness.answers[at]))
        for at in known
    ]
