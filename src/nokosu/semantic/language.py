"""Which language a text is in, lightly: by its script, and where that is Latin by small words. Pure.

It decides which model reads a text, and which mean is taken from its vector. A wrong guess costs a little of the order, nothing else.
"""

from __future__ import annotations

import re
from typing import Final

ENGLISH: Final = "en"
OTHER: Final = ""

_SCRIPTS: Final = (
    ("ja", re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]")),
    ("ko", re.compile("[\u1100-\u11ff\uac00-\ud7a3]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003fffd]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    (OTHER, re.compile("[\u0370-\u03ff\u0530-\u10ff\u1200-\u1fff]")),
)
_SCRIPT_SHARE_MIN: Final = 0.1  # of the letters: a note of code and names with a little Japanese is Japanese
_LETTER: Final = re.compile(r"[^\W\d_]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SMALL_WORDS_MIN: Final = 2  # one may be a name
_SMALL_WORDS: Final = {
    "en": "why should as the of and to in is that it was for with on are be this by not have has or an were when we what how did do",
    "de": "der die das und ist nicht mit ein eine den dem des für auf wird werden von zu im sich wie wir bei warum wurde auch nur oder",
    "fr": "le la les et est des du une dans pour que qui sur pas avec au aux ce cette nous par sont pourquoi comment ne",
    "es": "el los las y es una del en para que por con no se su al como más qué está cuando porque dónde fue",
    "pt": "os as e uma da em para que por com não se ao como mais está quando foi dos das são onde na nos",
    "it": "il gli di è una del della per che con non si come più quando sono nel nella dove perché",
}
_LANGUAGES_OF: Final = {
    word: tuple(name for name, words in _SMALL_WORDS.items() if word in words.split())
    for words in _SMALL_WORDS.values()
    for word in words.split()
}


def of(text: str) -> str:
    """The language of a text, as in ISO 639; `OTHER` for one that is not told from others, and English for Latin letters
    that say nothing, since names and code are read as English.
    """
    letters = len(_LETTER.findall(text)) if not text.isascii() else 0
    for name, script in _SCRIPTS if letters else ():
        if len(script.findall(text)) > letters * _SCRIPT_SHARE_MIN:
            return name
    counts = dict.fromkeys(_SMALL_WORDS, 0)
    for word in _WORD.findall(text.lower()):
        for name in _LANGUAGES_OF.get(word, ()):
            counts[name] += 1
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] >= _SMALL_WORDS_MIN and counts[most] > counts[ENGLISH] else ENGLISH
