"""Words: what a memory is found by, and what a query asks for. Pure; the full-text table itself is met elsewhere.

FTS5 (`porter unicode61 remove_diacritics 2`) does the plain words: it splits at blanks and punctuation, at `_ - . /`
too, folds case and accents, and stems. This module adds what it cannot do, in the column `extra`, and takes a query the
same way:

    deploys              left to FTS5
    getUserById          its parts: get user by id
    get_user_by_id       one joined form: getuserbyid; so for get-user-by-id and get.user.by.id
    3.11.7               v3v11v7, and its beginning v3v11 for those who ask for 3.11
    東京都               the pairs 東京 京都, and the last character alone, so that any character begins a token
    🚀                   u1f680

Scripts that put no blanks between words are taken out of the other columns, which frees the Latin glued to them. The
same memory must give the same words as long as `TOKENISER_VERSION` and Python's Unicode version stand: the table keeps
no text, so taking words out means telling it again what was put in.

Source: pairs of characters for Japanese, Chinese and Korean, as in Lucene's CJKAnalyzer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.errors import UsageError

TOKENISER_VERSION: Final[int] = 1

_NFKC_GROWTH_MAX: Final = 2  # times the length and the slack below: NFKC alone makes 18 characters of one U+FDFA
_NFKC_SLACK_CHARS: Final = 1024
_MARKS_MAX: Final = 30  # in a row, as in the Stream-Safe Text Format of UAX 15; normalising more takes quadratic time
_NAME_CHARS_MAX: Final = 128  # what is longer is data; the pieces that FTS5 makes of it will do
_PARTS_MAX: Final = 12  # likewise: base64 changes its case every other letter
_VERSION_BEGINNINGS: Final = (2, 3)  # numbers: 1.2 and 1.2.3 of 1.2.3.4.5
_SPELT_APART_MAX: Final = 5  # words of a query that may be one name: get user by id
_PAIRS_MAX: Final = 8  # of one word; a longer run of characters is several words
_TERMS_REFUSED: Final = 4 * limits.QUERY_TERMS_MAX

# Scripts without blanks. Combining marks are gone by then, and NFKC has made one of the widths and composed Hangul.
_HAN: Final = "\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_HIRAGANA: Final = "\u3041-\u3096\u309d-\u309f"
_KATAKANA: Final = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\U0001aff0-\U0001affe\U0001b000-\U0001b167"
_HANGUL: Final = "\u1100-\u11ff\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"
_THAI_LAO_BURMESE_KHMER: Final = "\u0e01-\u0e33\u0e40-\u0e46\u0e81-\u0eb3\u0ebd-\u0ec6\u1000-\u102a\u103f\u1780-\u17b3"
_UNSPACED: Final = f"{_HAN}{_HIRAGANA}{_KATAKANA}{_HANGUL}\u3105-\u312f\u31a0-\u31bf{_THAI_LAO_BURMESE_KHMER}"
_RUN: Final = re.compile(f"[{_UNSPACED}]+")
_SEGMENT: Final = re.compile(f"[{_HAN}]+|[{_HIRAGANA}]+|[{_KATAKANA}]+|[^{_HAN}{_HIRAGANA}{_KATAKANA}]+")
_HIRAGANA_ONLY: Final = re.compile(f"[{_HIRAGANA}]+")

# Names. A hyphen or a dot joins two pieces, any number of underscores does.
_NAME: Final = r"[^\W_]++(?:(?:[-.]|_++)[^\W_]++)*"  # no possessive group: Python 3.11.2 gets those wrong
_NAMES: Final = re.compile(rf"[A-Z]?[a-z]++(?!\w|[-.][^\W_])|({_NAME})")  # the group stays empty for a plain word
_PIECE: Final = re.compile(r"[^\W_]+")
_JOINT: Final = re.compile(r"[-.]|_+")
_PART: Final = re.compile(r"[A-Z]{2,}s(?![^\W\d_A-Z])|[A-Z]+(?![^\W\d_A-Z])\d*|[A-Z]?[^\W\d_A-Z]+\d*|\d+")
_VERSION: Final = re.compile(r"(?<!\d)(?<!\d\.)\d+(?:\.\d+)+")
_ONLY_VERSION: Final = re.compile(r"[vV]?\d+(?:\.\d+)+")
_HEX: Final = re.compile(r"[0-9a-fA-F]{7,}|0[xX][0-9a-fA-F]+")
_COMMIT: Final = re.compile(r"[0-9a-fA-F]{7,40}")
_COMMIT_CHARS: Final = 40
_ABBREVIATED: Final = range(7, 13)  # characters of a commit id, as git and people shorten it

# Characters.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_ODD: Final = re.compile(r"[^\w\s\x21-\x7e]|[ßẞ\u19b0-\u19c9\u1cf2\u1cf3]")  # the last: letters unknown to FTS5
_SYMBOL: Final = re.compile(r"[^\w\s\x00-\x7f]")  # in plain text, that is all it can be
_MARKS: Final = re.compile(rf"(?<=[^\w\s\x00-\x7f]{{{_MARKS_MAX}}})[^\w\s\x00-\x7f]+")
_PICTURES: Final = "\u2300"  # from here on an "other symbol" is a picture; the rest are signs such as → or €
_ZERO_WIDTH_SPACE: Final = "\u200b"
_HYPHEN: Final = "\u2010"

# Queries.
_QUOTED: Final = re.compile('"([^"]*)"|“([^“”]*)”|「([^「」]*)」')
_SPOKEN: Final = re.compile(rf"(?P<run>[{_UNSPACED}]+)|(?P<symbol>[^\w\s\x00-\x7f])|(?P<name>{_NAME})")
_COLUMNS: Final = "{subject body tags extra}"
_PHRASE_COLUMNS: Final = "{subject body tags}"
_FUNCTION_WORDS: Final = """
    a about above after again all also am an and any are as at be because been before being below between both but
    by can cannot could did do does doing don down during each few for from further had has have having he her here
    hers herself him himself his how i if in into is it its itself just let me more most my myself no nor not now of
    off on once only or other our ours ourselves out over own same she should so some such than that the their
    theirs them themselves then there these they this those through to too under until up upon us very was we were
    what when where which while who whom whose why will with would you your yours yourself yourselves s t d ll m o
    re ve y isn doesn didn wasn won wouldn shouldn couldn aren hasn hadn haven tell say said mention mentioned many
    much anything something ever today nowadays currently 何
    """
_STOP: Final = frozenset(_FUNCTION_WORDS.split())


class IndexedText(Struct, frozen=True):
    """What the text columns of the full-text table are told of one memory."""

    subject: str
    body: str
    tags: str
    extra: str


class Token(Struct, frozen=True):
    """One token of the full-text table, or with `prefix` the beginning of one; lower case, not stemmed yet."""

    text: str
    prefix: bool = False

    @property
    def expression(self) -> str:
        """What FTS5 is asked."""
        return _string(self.text) + (" *" if self.prefix else "")


class Word(Struct, frozen=True):
    """A word of a query, in whatever form it may have been written down.

    Each of `tokens` is a sign of the word, for queries that take any of them; `expression` matches where it is present.
    Each of the first `wholes` tokens stands for all of it, the others for parts.
    """

    text: str
    tokens: tuple[Token, ...]
    expression: str
    wholes: int


class Phrase(Struct, frozen=True):
    """Quoted text; `expression` matches where its words stand side by side."""

    text: str
    expression: str


class Terms(Struct, frozen=True):
    """What a query asks for, in its order; all is empty when nothing in it can be searched for."""

    phrases: tuple[Phrase, ...]
    words: tuple[Word, ...]

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of all words, each once."""
        return tuple(dict.fromkeys(token for word in self.words for token in word.tokens))

    @property
    def say_something(self) -> bool:
        """Whether there is more than function words and signs."""
        return bool(self.phrases) or not all(_is_noise(word.text) for word in self.words)


def indexed(subject: str, text: str, tags: Sequence[str], refs: Sequence[str]) -> IndexedText:
    """The columns of one memory.

    References follow the text in `body`: there the pieces of a path stand side by side, so a quoted path is a phrase.
    """
    extra: list[str] = []
    heading, body, labels = (_column(words, extra) for words in (subject, "\n".join((text, *refs)), "\n".join(tags)))
    return IndexedText(heading, body, labels, " ".join(extra))


def parse(query: str) -> Terms:
    """The phrases and words of a query; whatever is typed is literal text.

    Text in "…", “…” or 「…」 is a phrase, for the first `limits.QUERY_PHRASES_MAX` of them. Function words count only
    where nothing else is left. Of too many words the longest `limits.QUERY_TERMS_MAX` are kept.

    Raises:
        UsageError: the query has more than four times as many words.
    """
    text = _normalised(query)
    quoted = list(_QUOTED.finditer(text))[: limits.QUERY_PHRASES_MAX]
    phrases = tuple(phrase for match in quoted if (phrase := _phrase(match[match.lastindex or 0])))
    words = list(_words(_plain(_QUOTED.sub(" ", text, count=limits.QUERY_PHRASES_MAX))))
    if not phrases:
        words = _spelt_apart(words)
    telling = [word for word in words if not _is_noise(word.text)]
    return Terms(phrases, _bounded(telling if telling or phrases else words))


def plain_words(text: str) -> Iterator[str]:
    """The words of a text in their order and as they are written, for comparing it with another one. Names stay whole but at
    hyphens; of scripts without blanks it is pairs of characters; function words are there.
    """
    plain = _plain(_normalised(text))
    for match in _SPOKEN.finditer(_RUN.sub(r" \g<0> ", plain)):
        if match.lastgroup == "run":
            yield from _pairs(match[0]) or match[0]
        else:
            yield from match[0].split("-")


def is_function_word(word: str) -> bool:
    """Whether a word, in lower case, says nothing by itself."""
    return word in _STOP


def scoped(expression: str) -> str:
    """The expression, matched against the columns of text alone."""
    return f"{_COLUMNS} : ({expression})"


# Characters -----------------------------------------------------------------------------------------------------------


def _normalised(text: str) -> str:
    """The text in NFKC: one form of full and half width, of composed and decomposed, of a ligature and its letters."""
    if text.isascii():
        return text
    bound = _NFKC_GROWTH_MAX * len(text) + _NFKC_SLACK_CHARS
    return unicodedata.normalize("NFKC", _MARKS.sub(_without_marks, text))[:bound]


def _without_marks(match: re.Match[str]) -> str:
    return "".join(character for character in match[0] if not unicodedata.combining(character))


def _plain(text: str) -> str:
    """Normalised text in which each character beyond ASCII is a letter, a digit, a symbol or a blank."""
    if text.isascii():
        return _CONTROL.sub(" ", text)
    return text.translate({ord(character): _replacement(character) for character in set(_ODD.findall(text))})


def _replacement(character: str) -> str:
    category = unicodedata.category(character)
    if character in "ßẞ":
        return "ss"
    if category[0] == "M" or (category == "Cf" and character != _ZERO_WIDTH_SPACE):
        return ""
    if character == _HYPHEN:
        return "-"
    if category[0] == "S" or category in ("Cn", "Co"):  # unassigned: most likely the emoji of a later Unicode
        return character
    return " "


def _symbol(character: str) -> str:
    return f"u{ord(character):x}"


# The index ------------------------------------------------------------------------------------------------------------


def _column(text: str, extra: list[str]) -> str:
    """The text as FTS5 is to read it; what has to be said beside it goes to *extra*."""
    plain = _plain(_normalised(text))
    if not plain.isascii():
        for run in _RUN.findall(plain):
            extra += (*_pairs(run), run[-1])
        plain = _RUN.sub(" ", plain)
        extra += map(_symbol, dict.fromkeys(_SYMBOL.findall(plain)))
        plain = _SYMBOL.sub(" ", plain)
    for name in filter(None, _NAMES.findall(plain)):
        extra += _name(name).extra()
    return plain if plain.isascii() else plain.lower()  # Python knows more letters with a case than FTS5 does


def _pairs(run: str) -> list[str]:
    return [first + second for first, second in pairwise(run)]


# Names ----------------------------------------------------------------------------------------------------------------


class _Name(Struct, frozen=True):
    """A name, all in lower case: `pieces` as FTS5 splits it, `parts` as its casing does as well.

    `joined` begins with the whole name in one; the dotted parts that are names themselves follow.
    """

    text: str
    pieces: list[str]
    parts: list[str]
    joined: list[str]
    versions: list[list[str]]

    def extra(self) -> Iterator[str]:
        """What the index is told; the pieces FTS5 finds itself."""
        if len(self.pieces) > 1:
            yield from self.joined
        for numbers in self.versions:
            yield _version(numbers)
            yield from (_version(numbers[:count]) for count in _VERSION_BEGINNINGS if count < len(numbers))
        if self.parts != self.pieces:
            yield from self.parts

    def word(self) -> Word:
        """The name in a query: joined, or else its pieces or its parts side by side."""
        wholes = [*self.joined, *map(_version, self.versions)]
        forms = dict.fromkeys([*wholes[:1], " ".join(self.pieces), " ".join(self.parts)])
        is_version = bool(self.versions) and not self.joined
        tokens = dict.fromkeys(wholes if is_version else [*wholes, *_telling(self.parts[:_PARTS_MAX])])
        return Word(self.text, tuple(map(Token, tokens)), _any(map(_string, forms)), wholes=1)


def _name(name: str) -> _Name:
    pieces = _JOINT.split(name)
    text, lower = name.lower(), [piece.lower() for piece in pieces]
    if len(name) > _NAME_CHARS_MAX:
        return _Name(text, lower, lower, [], [])
    parts = [part.lower() for piece in pieces for part in _parts(piece)]
    versions = [version.split(".") for version in _VERSION.findall(name)]
    return _Name(text, lower, parts, list(_joined(text, lower)), versions)


def _parts(piece: str) -> list[str]:
    parts = _PART.findall(piece)
    return parts if len(parts) <= _PARTS_MAX and not _HEX.fullmatch(piece) else [piece]


def _joined(name: str, pieces: list[str]) -> Iterator[str]:
    if not _ONLY_VERSION.fullmatch(name):
        yield "".join(pieces)
    segments = name.split(".")
    if len(segments) > 1:
        yield from (_JOINT.sub("", segment) for segment in segments if not segment.isalnum())


def _version(numbers: list[str]) -> str:
    return "v" + "v".join(numbers)


def _telling(parts: list[str]) -> list[str]:
    """The parts that say something alone; all of them if none does."""
    return [part for part in parts if len(part) > 1 and part not in _STOP] or parts


# The query ------------------------------------------------------------------------------------------------------------


def _words(plain: str) -> Iterator[Word]:
    for match in _SPOKEN.finditer(_RUN.sub(r" \g<0> ", plain)):
        if match.lastgroup == "run":
            yield from _run_words(match[0])
        elif match.lastgroup == "symbol":
            yield _word(match[0], [Token(_symbol(match[0]))])
        elif _COMMIT.fullmatch(match[0]):
            yield _commit_word(match[0].lower())
        else:
            yield _name(match[0]).word()


def _word(text: str, tokens: Iterable[Token]) -> Word:
    """A word that is there when any of *tokens* is."""
    tokens = tuple(tokens)
    return Word(text, tokens, _any(token.expression for token in tokens), wholes=len(tokens))


def _commit_word(text: str) -> Word:
    """The beginning of a commit id, or of a number; a whole id has been noted in a shorter form, perhaps."""
    shorter = [text[:length] for length in _ABBREVIATED] if len(text) == _COMMIT_CHARS else []
    return _word(text, [Token(text, prefix=True), *map(Token, shorter)])


def _run_words(run: str) -> Iterator[Word]:
    """The words of an unbroken run: its stretches of one script, without those of hiragana if there are others.

    Hiragana are endings and particles for the most part. A character alone begins a pair, or is the last of its run.
    """
    segments = _SEGMENT.findall(run)
    telling = [segment for segment in segments if not _HIRAGANA_ONLY.fullmatch(segment)]
    for segment in telling or segments:
        yield from _segment_words(segment)


def _segment_words(segment: str) -> Iterator[Word]:
    if len(segment) == 1:
        yield _word(segment, [Token(segment, prefix=True)])
        return
    pairs = _pairs(segment)
    for start in range(0, len(pairs), _PAIRS_MAX):
        tokens = tuple(map(Token, pairs[start : start + _PAIRS_MAX]))
        text = segment[start : start + len(tokens) + 1]
        yield Word(text, tokens, _all(token.expression for token in tokens), wholes=0)


def _spelt_apart(words: list[Word]) -> list[Word]:
    """The words, each of which may also stand as all of them in one: "get user by id" asks for getuserbyid as well."""
    joined = Token("".join(word.text for word in words))
    plain = joined.text.isascii() and all(word.tokens == (Token(word.text),) for word in words)
    if not plain or not 1 < len(words) <= _SPELT_APART_MAX:
        return words
    return [_word(word.text, (*word.tokens, joined)) for word in words]


def _is_noise(text: str) -> bool:
    """Whether a word is left out beside others: function words, signs, one or two hiragana."""
    if _SYMBOL.fullmatch(text):
        return unicodedata.category(text) != "So" or text < _PICTURES
    return text in _STOP or (len(text) <= 2 and _HIRAGANA_ONLY.fullmatch(text) is not None)


def _bounded(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words, each once, in their order, and of too many the longest in bytes: the rarest, by the look of them."""
    distinct = list({word.expression: word for word in words}.values())
    if len(distinct) > _TERMS_REFUSED:
        raise UsageError(f"query: {len(distinct)} different words, at most {_TERMS_REFUSED}", field="query")
    kept = set(sorted(distinct, key=lambda word: -len(word.text.encode()))[: limits.QUERY_TERMS_MAX])
    return tuple(word for word in distinct if word in kept)


def _phrase(quoted: str) -> Phrase | None:
    """The words of *quoted* side by side, those of each script by themselves; None if there are none."""
    plain = _plain(quoted)
    stretches = list(map(_run_phrase, _RUN.findall(plain)))
    for words in _RUN.split(plain):
        stretches += (f"extra : {_string(_symbol(symbol))}" for symbol in _SYMBOL.findall(words))
        if pieces := _PIECE.findall(words):
            stretches.append(f"{_PHRASE_COLUMNS} : {_string(' '.join(pieces).lower())}")
    return Phrase(quoted, _all(dict.fromkeys(stretches))) if stretches else None


def _run_phrase(run: str) -> str:
    return f"extra : {_string(' '.join(_pairs(run)))}" if len(run) > 1 else f"extra : {_string(run)} *"


# FTS5 -----------------------------------------------------------------------------------------------------------------


def _string(text: str) -> str:
    """Literal text; of several words, these side by side."""
    return '"' + text.replace('"', '""') + '"'


def _any(expressions: Iterable[str]) -> str:
    return _combined(" OR ", expressions)


def _all(expressions: Iterable[str]) -> str:
    return _combined(" AND ", expressions)


def _combined(operator: str, expressions: Iterable[str]) -> str:
    """One expression that can be combined further."""
    several = tuple(expressions)
    return several[0] if len(several) == 1 else f"({operator.join(several)})"
