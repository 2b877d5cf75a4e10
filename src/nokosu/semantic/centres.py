"""The mean vector of each language by the multilingual model: of notes, and of questions.

They are constants, made by `python -m bench.recall.centres` of the notes and questions of the development half (English and
Japanese), and for other languages of a few sentences that say the same in each. A language that is not among them has the mean of
all that are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from nokosu.semantic.known import DIMENSIONS

FILE: Final = Path(__file__).with_name("centres.bin")
LANGUAGES: Final = ("en", "ja", "zh", "ko", "ru", "de", "fr", "es", "pt", "it")


class Centres:
    """The constants."""

    def __init__(self, raw: bytes) -> None:
        """*raw* has two vectors of 16-bit floats for each language, of notes and of questions."""
        found = np.frombuffer(raw, "<f2").astype(np.float32).reshape(len(LANGUAGES), 2, DIMENSIONS)
        self._notes = dict(zip(LANGUAGES, found[:, 0], strict=True))
        self._questions = dict(zip(LANGUAGES, found[:, 1], strict=True))
        self._others = found.mean(0)

    def of_notes(self, language: str) -> Any:
        """The mean of notes."""
        return self._notes.get(language, self._others[0])

    def of_questions(self, language: str) -> Any:
        """The mean of questions."""
        return self._questions.get(language, self._others[1])


def load() -> Centres:
    """Those of `FILE`."""
    return Centres(FILE.read_bytes())
