"""Whether a text says anything that others have not said already. Pure: the same texts in the same order, the same answer.

A text is cut into clauses, and a clause is said already if one that was said before holds nearly all of its words, every number and
name in it, and denies if it denies: "port 6543" is not "port 6544", and "never push" is not "push". A text is said already if nearly
all of its words stand in such clauses. Words are compared by their stems, those of Chinese, Japanese and Korean by pairs of characters.
It errs towards telling a thing twice: what means the same in other words is not noticed.

An index leads from each word to the clauses that hold it, so a question costs what its words share with what was said, not all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.search.text import is_function_word, plain_words

ALIKE_SHARE: Final = (
    0.85  # of a clause's words that another one holds, and of a text's words that stand in such clauses
)
_FEW: Final = 4  # words: a text of fewer must stand in another clause as it is

_BREAK: Final = (
    re.compile(  # a line that goes on is no break; a blank line, a list's next item, a heading and a table's row are
        r"\n\s*(?:\n|(?=[-*+#>|•]|\d+[.)]\s))|[.!?;:](?=[\s*_`'\")]|$)|[。！？；：]|\s[—–-]+\s|[()]"
    )
)
_DENYING: Final = """
    not no never none nor without cannot don doesn didn isn aren wasn won wouldn shouldn couldn hasn hadn haven
    nicht kein keine nie pas jamais sans nunca sin не нет ない なし ませ 不要 禁止 没有 不是 不能
    """
_DENIALS: Final = frozenset(_DENYING.split())
_DIRECTED: Final = frozenset(("to", "into", "over", "than", "instead", "rather", "before", "after"))
_ENDINGS: Final = ("ing", "ed", "es", "s")
_STEM_CHARS_MIN: Final = 3


class Clause(Struct, frozen=True):
    """The words of a clause in their order, those that have to be in another one that says the same, and whether it denies."""

    sequence: tuple[str, ...]
    marks: frozenset[str]
    denies: bool
    is_directed: bool = False  # it says that one thing goes before another: then their order counts

    @property
    def words(self) -> frozenset[str]:
        """Its words, each once."""
        return frozenset(self.sequence)


def clauses(text: str, chars_max: int = limits.COMPARED_CHARS_MAX) -> Iterator[Clause]:
    """The clauses of a text that hold a word; of a very long text, those of its beginning."""
    for part in _BREAK.split(text[:chars_max]):
        if part and (clause := _clause(part)).sequence:
            yield clause


class Said:
    """What has been said: clauses, found by their words."""

    def __init__(self) -> None:
        self._clauses: list[Clause] = []
        self._by_word: dict[str, list[int]] = {}

    def add(self, told: Iterable[Clause]) -> None:
        """Say these."""
        for clause in told:
            for word in clause.words:
                self._by_word.setdefault(word, []).append(len(self._clauses))
            self._clauses.append(clause)

    def holds(self, told: Sequence[Clause]) -> bool:
        """Whether these say nothing new; no words at all are nothing that was said."""
        words = sum(len(clause.words) for clause in told)
        unsaid = [clause for clause in told if not self._says(clause, literally=words < _FEW)]
        known = words - sum(len(clause.words) for clause in unsaid)
        return words > 0 and known >= ALIKE_SHARE * words and not any(clause.marks for clause in unsaid)

    def _says(self, clause: Clause, *, literally: bool) -> bool:
        words = clause.words
        wanted = ALIKE_SHARE * len(words)
        shared = Counter(at for word in words for at in self._by_word.get(word, ()))
        return any(
            count >= wanted and _says_it(self._clauses[at], clause, literally=literally) for at, count in shared.items()
        )


def _says_it(known: Clause, clause: Clause, *, literally: bool) -> bool:
    """Whether a clause that shares enough words with another one says it."""
    if known.denies != clause.denies or not clause.marks <= known.words:
        return False
    shared = clause.words & known.words
    if not (clause.is_directed or known.is_directed):
        shared &= clause.marks | known.marks
    if _order(clause, shared) != _order(known, shared):  # "from a to b" is not "from b to a"
        return False
    return not literally or f" {' '.join(clause.sequence)} " in f" {' '.join(known.sequence)} "


def _order(clause: Clause, shared: frozenset[str]) -> list[str]:
    return list(dict.fromkeys(word for word in clause.sequence if word in shared))


def _clause(part: str) -> Clause:
    sequence, marks, denies, is_directed = [], set(), False, False
    for at, word in enumerate(plain_words(part)):
        folded = word.lower()
        denies |= folded in _DENIALS
        is_directed |= folded in _DIRECTED
        if folded in _DENIALS or is_function_word(folded):
            continue
        stem = _stem(folded)
        sequence.append(stem)
        if _is_mark(word, first=at == 0):
            marks.add(stem)
    return Clause(tuple(sequence), frozenset(marks), denies, is_directed)


def _is_mark(word: str, *, first: bool) -> bool:
    """Whether a word is a number or a name: anything but lower-case letters, and the capital that begins a sentence."""
    if not word.isascii():
        return any(character.isdecimal() for character in word)
    return not (word.isalpha() and (word.islower() or (first and word[1:].islower())))


def _stem(word: str) -> str:
    """A word without its ending: crude, and the same for all."""
    if not (word.isascii() and word.isalpha()):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _STEM_CHARS_MIN:
            word = word.removesuffix(ending)
            break
    if len(word) > _STEM_CHARS_MIN and word[-1] == word[-2]:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > _STEM_CHARS_MIN else word
