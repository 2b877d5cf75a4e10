"""The vectors of all notes, in memory, and how near each is to a question.

Notes are compared with a question by the multilingual model, and an English note with an English question by the one for English as
well, which knows more of English and counts twice as much. The multilingual model puts the languages beside each other, not into each
other: what two texts share with their languages weighs more than what they say. So the mean vector of a note's language is taken from
the note, and that of the question's language from the question, before they are compared; most of what is between a Japanese question
and an English note is that offset.

Source: `docs/recall.md`, and the figures there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct

from nokosu.semantic.centres import Centres
from nokosu.semantic.known import DIMENSIONS, ENGLISH, MULTILINGUAL

_ROWS_AT_ONCE: Final = 1024  # turned into floats together: they stay in the processor's cache
_PRIOR_NOTES: Final = 40  # how many notes of a language weigh as much as the mean that it came with
_TINY: Final = 1e-6
_SECOND: Final = 0.5  # what a deviation by the multilingual model counts beside one by the model for English
_TOGETHER: Final = 1.3  # what brings the sum of both back to one standard deviation: they agree by half
_ANSWER: Final = {ENGLISH.number: 0.40, MULTILINGUAL.number: 0.34}  # cosines, chosen on the development half
_IN_TURN: Final = (MULTILINGUAL.number, ENGLISH.number)  # what answers in English is decided by the model for it
_FEW: Final = 30  # notes: of fewer, mean and spread of the cosines are taken as usual ones,
_USUAL: Final = {ENGLISH.number: (0.08, 0.085), MULTILINGUAL.number: (0.0, 0.07)}  # as measured on the development half


class Question(Struct, frozen=True):
    """A question: its language, and its vector by each model that reads that language, by the model's number."""

    language: str
    vectors: Mapping[int, Any]


class Nearness(Struct, frozen=True):
    """How near notes are to a question, in the order of `numbers`: how far the cosine is above the mean of all, in standard deviations,
    of two models where both know the note, NaN where neither does; and whether a note is so near that it answers, though it hold no
    word.
    """

    numbers: Any
    deviations: Any
    answers: Any

    def nearest(self, among: Any, wanted: int) -> Any:
        """The places of the *wanted* nearest of those *among*, a mask, nearest first."""
        known = np.flatnonzero(among & ~np.isnan(self.deviations))
        if len(known) > wanted:
            known = known[np.argpartition(-self.deviations[known], wanted - 1)[:wanted]]
        return known[np.argsort(-self.deviations[known], kind="stable")]


class _Laid(Struct, frozen=True):
    """The notes side by side: number, row, and language as a place in `means`; the length of each without its language's mean."""

    numbers: Any
    rows: Any
    language: Any
    means: tuple[Any, ...]
    lengths: Any


class _Rows:
    """The vectors by one model, a row a note, each with the length that makes it one of length 1; none is all zeros."""

    def __init__(self) -> None:
        self._packed = np.zeros((0, DIMENSIONS), np.int8)
        self._shrink = np.zeros(0, np.float32)
        self._floats = np.empty((_ROWS_AT_ONCE, DIMENSIONS), np.float32)  # kept: new memory costs more than the product

    def reserve(self, rows: int) -> None:
        more = rows - len(self._packed)
        if more > 0:
            more = max(more, len(self._packed) // 4, 64)
            self._packed = np.concatenate((self._packed, np.zeros((more, DIMENSIONS), np.int8)))
            self._shrink = np.concatenate((self._shrink, np.zeros(more, np.float32)))

    def put(self, row: int, packed: bytes) -> None:
        self._packed[row] = np.frombuffer(packed, np.int8)
        length = float(np.linalg.norm(self._packed[row].astype(np.float32)))
        self._shrink[row] = 1 / length if length else 0.0

    def one(self, row: int) -> Any:
        """The vector of a row."""
        return self._packed[row].astype(np.float32) * self._shrink[row]

    def there(self, rows: Any) -> Any:
        """Which of *rows* have a vector."""
        return self._shrink[rows] > 0

    def dot(self, rows: Any, vector: Any) -> Any:
        """The products of some rows with *vector*."""
        found = np.empty(len(rows), np.float32)
        side_by_side = len(rows) > 0 and bool((np.diff(rows) == 1).all())  # then nothing has to be gathered
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            picked = self._packed[part[0] : part[-1] + 1] if side_by_side else self._packed[part]
            floats = self._floats[: len(part)]
            np.copyto(floats, picked)
            np.dot(floats, vector, out=found[start : start + len(part)])
        return found * self._shrink[rows]


class Vectors:
    """Notes by number, each with its language and its vectors. For one thread at a time."""

    def __init__(self, centres: Centres) -> None:
        self._centres = centres
        self._rows = {ENGLISH.number: _Rows(), MULTILINGUAL.number: _Rows()}
        self._row: dict[int, int] = {}
        self._languages: dict[int, str] = {}  # by row
        self._sums: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._free: list[int] = []
        self._laid: _Laid | None = None

    def __len__(self) -> int:
        return len(self._row)

    def put(self, note: int, spoken: str, packed: Mapping[int, bytes]) -> None:
        """Add a note, or put its vectors in the place of those that it had."""
        self.remove(note)
        row = self._free.pop() if self._free else len(self._row)
        self._row[note] = row
        self._languages[row] = spoken
        for number, rows in self._rows.items():
            rows.reserve(row + 1)
            rows.put(row, packed.get(number, bytes(DIMENSIONS)))
        self._count(row, 1)

    def remove(self, note: int) -> None:
        """Take a note out, if it is there."""
        row = self._row.pop(note, None)
        if row is None:
            return
        self._count(row, -1)
        del self._languages[row]
        self._free.append(row)
        for rows in self._rows.values():
            rows.put(row, bytes(DIMENSIONS))

    def nearness(self, question: Question, each: Callable[..., Iterable[Any]] = map) -> Nearness:
        """How near each note is; *each* is what has the models' cosines worked out, one by one or side by side."""
        laid = self._laid_out()
        deviations = np.full(len(laid.numbers), np.nan, np.float32)
        answers = np.zeros(len(laid.numbers), bool)
        numbers = [number for number in _IN_TURN if number in question.vectors]
        of_each = [np.flatnonzero(self._rows[number].there(laid.rows)) for number in numbers]
        products = each(lambda number, places: self._products(number, question, laid, places), numbers, of_each)
        for number, places, found in zip(numbers, of_each, products, strict=True):
            mean, spread = _usual(number, found)
            own, second = (found - mean) / spread, deviations[places]
            both = (own + _SECOND * second) / _TOGETHER
            deviations[places], answers[places] = np.where(np.isnan(second), own, both), found >= _ANSWER[number]
        return Nearness(laid.numbers, deviations, answers)

    def _products(self, number: int, question: Question, laid: _Laid, places: Any) -> Any:
        """The cosines of the notes at *places*: by the multilingual model, of what is left of each without its language."""
        vector = question.vectors[number]
        if number == ENGLISH.number:
            return self._rows[number].dot(laid.rows[places], vector)
        vector = vector - self._centres.of_questions(question.language)
        vector = vector / max(float(np.linalg.norm(vector)), _TINY)
        products = self._rows[number].dot(laid.rows[places], vector)
        shift = np.array([float(mean @ vector) for mean in laid.means] or [0.0], np.float32)
        return (products - shift[laid.language[places]]) / laid.lengths[places]

    def _laid_out(self) -> _Laid:
        if self._laid is None:
            self._laid = self._lay_out()
        return self._laid

    def _lay_out(self) -> _Laid:
        numbers = np.fromiter(self._row, np.int64, len(self._row))
        rows = np.fromiter(self._row.values(), np.int64, len(self._row))
        names = list(dict.fromkeys(self._languages.values()))
        place = {name: at for at, name in enumerate(names)}
        spoken = np.fromiter((place[self._languages[row]] for row in self._row.values()), np.int64, len(self._row))
        means = tuple(self._mean(name) for name in names)
        lengths = np.ones(len(rows), np.float32)
        for at, mean in enumerate(means):
            own = np.flatnonzero(spoken == at)
            square = 1 - 2 * self._rows[MULTILINGUAL.number].dot(rows[own], mean) + float(mean @ mean)
            lengths[own] = np.sqrt(np.maximum(square, _TINY))
        return _Laid(numbers, rows, spoken, means, lengths)

    def _mean(self, name: str) -> Any:
        """The mean of a language's notes; the one that it came with, as long as they are few."""
        known = self._centres.of_notes(name)
        total, count = self._sums.get(name, 0), self._counts.get(name, 0)
        return np.asarray((total + known * _PRIOR_NOTES) / (count + _PRIOR_NOTES), np.float32)

    def _count(self, row: int, sign: int) -> None:
        name, rows = self._languages[row], self._rows[MULTILINGUAL.number]
        if rows.there(row):
            self._sums[name] = self._sums.get(name, np.zeros(DIMENSIONS)) + sign * rows.one(row)
            self._counts[name] = self._counts.get(name, 0) + sign
        self._laid = None


def _usual(number: int, found: Any) -> tuple[float, float]:
    """The mean of cosines, and their spread; a few of them say little, and usual ones are taken in."""
    mean, spread = _USUAL[number]
    count = len(found)
    share = count / (count + _FEW)
    seen_mean, seen_square = (float(found.mean()), float(found.var())) if count else (mean, spread**2)
    mixed = share * seen_mean + (1 - share) * mean
    return mixed, float(np.sqrt(share * seen_square + (1 - share) * spread**2))
