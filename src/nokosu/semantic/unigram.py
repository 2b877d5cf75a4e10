"""A text as the numbers that multilingual-e5-small reads: the most probable pieces of a SentencePiece vocabulary. Pure.

Source: Kudo, "Subword regularization" (2018), §3.1–3.2: the best segmentation by a unigram model, found with Viterbi's algorithm.
The usual library takes a second to begin and twice the memory, for a few milliseconds a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_SPACE: Final = "\u2581"  # stands for a space, and before the first word
_SPACES: Final = re.compile(" {2,}")
_UNKNOWN_COST: Final = 10.0  # below the least probable piece, as the library has it
_NEVER: Final = float("-inf")


class Unigram:
    """The vocabulary, by which texts are cut."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], unknown: int, normal: Mapping[int, str]) -> None:
        """*scores* are the logarithms of the *pieces*' probabilities; *normal* is what a character is read as."""
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._scores = scores
        self._unknown, self._unknown_score = unknown, min(scores) - _UNKNOWN_COST
        self._normal = normal
        self._longest = max(map(len, pieces))

    def numbers(self, text: str) -> list[int]:
        """The numbers of *text*'s pieces; of a character that is in none, the one for what is unknown."""
        plain = _SPACES.sub(" ", text.translate(self._normal)).removeprefix(" ")
        marked = _SPACE + plain.replace(" ", _SPACE)
        best = [0.0] + [_NEVER] * len(marked)
        last = [(0, 0)] * (len(marked) + 1)  # the piece that ends here in the best way, and where it begins
        for start in range(len(marked)):
            before = best[start]
            for end in range(start + 1, min(start + self._longest, len(marked)) + 1):
                number = self._numbers.get(marked[start:end])
                if number is not None and before + self._scores[number] > best[end]:
                    best[end], last[end] = before + self._scores[number], (number, start)
            if before + self._unknown_score > best[start + 1]:
                best[start + 1], last[start + 1] = before + self._unknown_score, (self._unknown, start)
        return _walked_back(last)


def _walked_back(last: Sequence[tuple[int, int]]) -> list[int]:
    found: list[int] = []
    end = len(last) - 1
    while end > 0:
        number, end = last[end]
        found.append(number)
    return found[::-1]
