"""Notes to measure with: the same seed gives the same notes.

Words follow Zipf's law over a made-up vocabulary whose letters look like English, so stemmer and index behave as with real text.
The commonest places belong to English function words, every fourth to a word of the trade, as in the notes of programmers:
the commonest such word stands in nearly all notes, the rarest in one. One word in 25 is an identifier of the note's project.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from nokosu.drafts import Draft

SEED = 20261122
WORDS_PER_NOTE = 110
PROJECTS = tuple(
    f"{name}-{kind}" for kind in ("api", "web", "cli") for name in ("orchard", "harbour", "lantern", "quarry")
)
AGENTS = ("claude-code", "codex", "gemini-cli")


def _words(text: str) -> list[str]:
    return text.split()


_VOCABULARY = 12_000
_IDENTIFIERS_PER_PROJECT = 250
_IDENTIFIER_EVERY = 25
_SUPERSEDES_EVERY = 50
_TYPES = ("note", "note", "note", "decision", "bug", "pattern", "config")
_FUNCTION_WORDS = _words("""
    the of to and a in is it that for on with as was be by this are from at or an which not have but when we if can all so no
    then will been would its into more there than only what some other them they about after also because should before where
    does did has had how while these those such each both any most over under again between during up out very now our you
    your their he she his her who why too just here off once until same own few being doing having i my me us him am were
    do down further nor above below through against
    """)
_ONSETS = _words("b br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sl sp st str t th tr v w")
_VOWELS = _words("a e i o u ai ea ee ie oa ou")
_CODAS = ["", "", "", *_words("b ck d g l ll m n nd ng nt p r rd rt s st t x")]
_ENDINGS = ["", "", "", "", *_words("s ing ed er ation able ly ment ness")]


@dataclass(frozen=True, slots=True)
class Note:
    """What is saved; the same for every program that is measured."""

    subject: str
    text: str
    type: str
    project: str
    tags: tuple[str, ...]
    refs: tuple[str, ...]
    supersedes_earlier: bool

    @property
    def text_bytes(self) -> int:
        """The bytes of text that a person would count."""
        return len(self.subject.encode()) + len(self.text.encode())

    def draft(self, supersedes: tuple[str, ...] = ()) -> Draft:
        return Draft(
            text=self.text,
            subject=self.subject,
            type=self.type,
            project=self.project,
            tags=self.tags,
            refs=self.refs,
            supersedes=supersedes,
        )


class Corpus:
    """An endless row of notes, and the queries that fit them."""

    def __init__(self, seed: int = SEED) -> None:
        self._random = random.Random(seed)
        self.trade_words = _made_up_words(random.Random(seed), _VOCABULARY - len(_FUNCTION_WORDS))
        self._words = _interleaved(_FUNCTION_WORDS, self.trade_words)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._words) + 1)))
        self._trade = frozenset(self.trade_words)
        self._identifiers = {project: self._project_identifiers() for project in PROJECTS}

    def notes(self, count: int) -> Iterator[Note]:
        """The next *count* notes."""
        return (self._note() for _ in range(count))

    def keyword(self, note: Note) -> str:
        """One of a note's own words, as a person would pick it: any but the function words, each as likely."""
        return self._random.choice(sorted(self._telling(note)))

    def two_words(self, note: Note) -> str:
        """Two of a note's own words."""
        return " ".join(self._random.sample(sorted(self._telling(note)), 2))

    def question(self, note: Note, words: int = 16) -> str:
        """Sixteen words of a note, none a function word: harder than a question that people ask, where half are."""
        return " ".join(self._random.sample(sorted(self._telling(note)), words))

    def words_of_rank(self, first: int, last: int) -> list[str]:
        """Words of the trade by how common they are, 0 the commonest."""
        return self.trade_words[first:last]

    def _telling(self, note: Note) -> set[str]:
        return {word for word in note.text.replace(".", "").replace(",", "").lower().split() if word in self._trade}

    def _note(self) -> Note:
        pick = self._random
        project = pick.choice(PROJECTS)
        text = self._text(project, pick.randint(WORDS_PER_NOTE // 2, WORDS_PER_NOTE * 3 // 2))
        names = self._identifiers[project]
        return Note(
            subject=" ".join(self._draw(7)).capitalize(),
            text=text,
            type=pick.choice(_TYPES),
            project=project,
            tags=tuple(dict.fromkeys(pick.choices(self.trade_words[:200], k=pick.randint(0, 3)))),
            refs=(f"src/{pick.choice(names).replace('.', '/')}.py",) if pick.random() < 0.3 else (),
            supersedes_earlier=pick.randrange(_SUPERSEDES_EVERY) == 0,
        )

    def _text(self, project: str, count: int) -> str:
        words = self._draw(count)
        for at in range(self._random.randrange(_IDENTIFIER_EVERY), count, _IDENTIFIER_EVERY):
            words[at] = self._random.choice(self._identifiers[project])
        sentences = []
        while words:
            length = self._random.randint(8, 18)
            sentence, words = words[:length], words[length:]
            sentences.append(" ".join([sentence[0].capitalize(), *sentence[1:]]) + ".")
        return " ".join(sentences)

    def _draw(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def _project_identifiers(self) -> list[str]:
        return [_identifier(self._random, self.trade_words) for _ in range(_IDENTIFIERS_PER_PROJECT)]


def _identifier(pick: random.Random, words: Sequence[str]) -> str:
    parts = pick.sample(words[:2000], pick.randint(2, 3))
    form = pick.randrange(5)
    if form == 0:
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    if form == 1:
        return ".".join(parts)
    if form == 2:
        return f"{'/'.join(parts)}.py"
    if form == 3:
        return f"{parts[0]}-{pick.randint(0, 9)}.{pick.randint(0, 30)}.{pick.randint(0, 9)}"
    return "_".join(parts)


def _made_up_words(pick: random.Random, count: int) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = [pick.choice(_ONSETS) + pick.choice(_VOWELS) for _ in range(pick.choice((1, 1, 1, 2, 2)))]
        word = "".join(syllables) + pick.choice(_CODAS) + pick.choice(_ENDINGS)
        if len(word) > 2 and not _stems_like(word, _FUNCTION_WORDS):
            words[word] = None
    return list(words)


def _stems_like(word: str, others: Sequence[str]) -> bool:
    """Whether a stemmer may take a word for one of *others*, which would make a rare word the commonest."""
    return any(word.startswith(other[:3]) and len(word) <= len(other) + 4 for other in others)


def _interleaved(function_words: Sequence[str], trade_words: Sequence[str]) -> list[str]:
    """Both lists by falling frequency: three function words, one of the trade, until the former are used up."""
    words: list[str] = []
    trade = iter(trade_words)
    for at, word in enumerate(function_words):
        words.append(word)
        if at % 3 == 2:
            words.append(next(trade))
    return [*words, *trade]
