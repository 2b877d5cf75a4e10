"""The two embedding models, as their wheels bring them: found, checked by SHA-256, and run.

Of the wheels only these files are used, none of their code. Nothing is downloaded. A wheel that is not installed, or a file that is
not the one we know, leaves that model out, and says so. Each text becomes a vector of `DIMENSIONS` numbers of length 1. Only the
embedder's process imports this module: numpy, onnxruntime and the models cost 250 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from nokosu.semantic.e5_file import E5File
from nokosu.semantic.encoder import Encoder
from nokosu.semantic.known import ENGLISH, MULTILINGUAL, Known, NotThere
from nokosu.semantic.minilm_file import MiniLMFile
from nokosu.semantic.wordpiece import WordPiece

_TOKENS_MAX: Final = 256  # as MiniLM was trained; more is cut
_VOCABULARY: Final = Path(__file__).with_name("vocab.txt")

Vector = Any
"""A numpy array of `DIMENSIONS` 32-bit floats, of length 1."""


class Model(Protocol):
    """What makes a vector of a text; from several threads at once, if it is asked so."""

    @property
    def known(self) -> Known: ...

    def of_note(self, text: str) -> Vector: ...

    def of_question(self, text: str) -> Vector: ...


def load(known: Known) -> Model:
    """The model, if its file is the one we know.

    Raises:
        NotThere: its wheel is not installed or cannot be used here, or its file is another one.
    """
    path = known.verified()
    try:
        return _KINDS[known](known, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotThere(f"{known.name} cannot be loaded ({error})") from error


class MiniLM:
    """all-MiniLM-L6-v2, for English."""

    def __init__(self, known: Known, path: Path) -> None:
        self.known = known
        file = MiniLMFile(path)
        self._encoder, self._pieces = Encoder(file.weights), file.pieces
        self._words = WordPiece(_VOCABULARY.read_text(encoding="utf-8").splitlines())

    def of_note(self, text: str) -> Vector:
        return unit(self._encoder.mean(self._pieces.embedded(self._words.numbers(text, _TOKENS_MAX))))

    def of_question(self, text: str) -> Vector:
        return self.of_note(text)


class MultilingualE5:
    """multilingual-e5-small, for every language. A text of more pieces than it has places for is read in parts, and the parts' vectors
    weighed by their length.
    """

    def __init__(self, known: Known, path: Path) -> None:
        self.known = known
        file = E5File(path)
        self._encoder, self._unigram, self._pieces = Encoder(file.weights), file.unigram, file.pieces
        self._begin, self._end, self._room = file.begin, file.end, file.positions - 2

    def of_note(self, text: str) -> Vector:
        return self._of(f"passage: {text}")

    def of_question(self, text: str) -> Vector:
        return self._of(f"query: {text}")

    def _of(self, text: str) -> Vector:
        numbers = self._unigram.numbers(text)
        parts = [numbers[start : start + self._room] for start in range(0, len(numbers), self._room)]
        return unit(sum(len(part) * self._mean(part) for part in parts))

    def _mean(self, part: list[int]) -> Vector:
        return self._encoder.mean(self._pieces.embedded([self._begin, *part, self._end]))


_KINDS: Final[Mapping[Known, Callable[[Known, Path], Model]]] = {ENGLISH: MiniLM, MULTILINGUAL: MultilingualE5}


def unit(vector: Vector) -> Vector:
    """A vector of length 1 in the same direction; all zeros stay so."""
    found = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(found))
    return found / length if length > 0 else found


def packed(vector: Vector) -> bytes:
    """A vector of length 1 as a byte a number, which is what is stored: a cosine moves by less than .01."""
    largest = float(np.abs(vector).max()) or 1.0
    scaled: bytes = np.rint(vector * (127 / largest)).astype(np.int8).tobytes()
    return scaled
