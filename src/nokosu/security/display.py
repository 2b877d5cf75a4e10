r"""What a person's terminal or a log may be shown: text whose every character is what it looks like.

Memory text comes from agents, repositories and other machines. Written raw, an escape sequence in it moves the cursor,
sets a title or the clipboard, a bidi control reorders a line, and tag characters or variation selectors carry words that
a model reads and a person does not see. `visible` writes each such character out, ESC as `\u{1b}`; `suspicious` says
which kinds there are, so that a text can be held back. Both keep what people write: a joiner inside an emoji or
between letters of a script that needs it, a variation selector after an emoji or an ideograph, the flag of Wales.

What to do about lines that must stay lines (a log's, a listing's) is the caller's decision: newline and tab are kept.

Source: Unicode Technical Reports 36 and 51; Trojan Source (Boucher and Anderson 2021).
"""

from __future__ import annotations

import re
from typing import Final

_KINDS: Final = ("bidi", "tag", "zero-width", "variation-selector", "control")
_OTHER: Final = "other"  # escaped, yet no sign of bad intent: private use and unassigned characters


def visible(text: str) -> str:
    r"""Write out every character of *text* that is invisible, reorders others or commands a terminal.

    >>> visible("\x1b[2J\u202egnp.exe")
    '\\u{1b}[2J\\u{202e}gnp.exe'
    """
    hidden = _hidden(text)
    if not hidden:
        return text
    return "".join(f"\\u{{{ord(char):x}}}" if at in hidden else char for at, char in enumerate(text))


def suspicious(text: str) -> tuple[str, ...]:
    """Name the kinds of invisible or reordering characters in *text*; none for ordinary text in any language."""
    kinds = set(_hidden(text).values())
    return tuple(kind for kind in _KINDS if kind in kinds)


def _hidden(text: str) -> dict[int, str]:
    """Where *text* has characters that are not to be shown raw, and of which kind each is."""
    if _plain(text):
        return {}
    flags = {at for flag in re.finditer(_FLAG, text) for at in range(*flag.span())}
    return {
        at: _kind(char)
        for at, char in enumerate(text)
        if at not in flags and not (char.isprintable() and char not in _BLANK) and not _belongs(text, at, char)
    }


def _plain(text: str) -> bool:
    """Whether all of *text* is clearly harmless: true of nearly all text, and quick to tell."""
    printable = text.replace("\n", " ").replace("\t", " ").replace("\u3000", " ").isprintable()
    return printable and (text.isascii() or re.search(_BLANK_CLASS, text) is None)


def _belongs(text: str, at: int, char: str) -> bool:
    """Whether a character that is invisible by itself is part of ordinary writing where it stands."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if char in "\n\t" or (char.isspace() and char not in _LINE_ENDS):
        return True
    if char in _VISIBLE_FORMAT or _is(_PICTOGRAPH_OR_IDEOGRAPH, char):
        return True
    if char == _ZWJ and _is(_EMOJI_END, before) and _is(_EMOJI, after):
        return True
    if char in _JOINERS:
        return _is(_JOINING, before) and (_is(_JOINING, after) or _is(_VIRAMA, before))
    if char == _ZWSP:
        return _is(_UNSPACED, before) and _is(_UNSPACED, after)
    if char in _EMOJI_SELECTORS:
        return _is(_EMOJI_OR_KEYCAP, before)
    if _is(_IDEOGRAPH_SELECTOR, char):
        return _is(_IDEOGRAPH, before)
    return _is(_MONGOLIAN_SELECTOR, char) and _is(_MONGOLIAN, before)


def _kind(char: str) -> str:
    for kind, pattern in _KIND_CLASSES:
        if _is(pattern, char):
            return kind
    return _OTHER


def _is(pattern: str, char: str) -> bool:
    """Whether *char* is in the class *pattern*; a missing character is in none."""
    return re.match(pattern, char) is not None


_ZWSP: Final = "\u200b"
_ZWJ: Final = "\u200d"
_JOINERS: Final = "\u200c\u200d"
_EMOJI_SELECTORS: Final = "\ufe0e\ufe0f"  # show as text, show as picture
_LINE_ENDS: Final = "\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"  # Python counts them as space, a terminal or a log may not
_VISIBLE_FORMAT: Final = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"

# Characters that Python calls printable and that show nothing: fillers, joiners of graphemes, variation selectors.
_BLANK_CLASS: Final = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
