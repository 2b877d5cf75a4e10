r"""What a person's terminal or a log may be shown: text in which every character is what it looks like.

Memory text comes from agents, repositories and other machines. Written raw, an escape sequence in it moves the cursor
or sets the clipboard, a bidi control reorders a line, and tag characters or variation selectors carry words that a
model reads and a person does not see. `visible` writes each such character out, ESC as `\u{1b}`; `suspicious` says
which kinds there are, so that a text can be held back. Both leave alone what people write: a joiner inside an emoji or
after a letter of a script that needs it, a variation selector after an emoji or an ideograph, the flag of Wales.

Newline and tab stay. Whether a text may break the line (of a log, of a listing) is for the caller to decide.

Source: Unicode Technical Standard 51 (emoji), UAX 31 (joiners); "Trojan Source" (Boucher and Anderson 2021).
"""

from __future__ import annotations

from itertools import islice
from typing import Final


def visible(text: str) -> str:
    r"""Write out every character of *text* that is invisible, reorders others or commands a terminal.

    >>> print(visible("\x1b[2J\u202egnp.exe"))
    \u{1b}[2J\u{202e}gnp.exe
    """
    hidden = _hidden(text)
    if not hidden:
        return text
    return "".join(rf"\u{{{ord(char):x}}}" if at in hidden else char for at, char in enumerate(text))


def suspicious(text: str) -> tuple[str, ...]:
    """Name the kinds of invisible or reordering characters in *text*; none for ordinary text in any language.

    The names are bidi, tag, zero-width, variation-selector and control, in this order. The line ends of Windows are
    ordinary; so are private and unassigned characters, which a newer Unicode may know: `visible` alone writes them out.
    """
    if _plain(text):
        return ()
    found = set(_hidden(text.replace("\r\n", "\n"), most=_LOOKED_AT_MAX).values())
    return tuple(kind for kind, members in _KINDS.items() if any(_within(char, members) for char in found))


def _hidden(text: str, *, most: int | None = None) -> dict[int, str]:
    """The characters of *text* that are not to be shown as they are, by their index; of *most* odd ones, if given."""
    if _plain(text):
        return {}
    odd = (at for at, char in enumerate(text) if not char.isprintable() or char in _BLANK)
    return {at: text[at] for at in islice(odd, most) if not _ordinary(text, at)}


def _plain(text: str) -> bool:
    """Whether *text* has nothing to look at: true of nearly all text, and quick to tell."""
    printable = text.replace("\n", " ").replace("\t", " ").replace("\u3000", " ").isprintable()
    return printable and (text.isascii() or _BLANK.isdisjoint(text))


def _ordinary(text: str, at: int) -> bool:
    """Whether the odd character at index *at* is one that people write, standing where they write it."""
    char = text[at]
    if _within(char, _KINDS["tag"]):
        flag = text.rfind(_BLACK_FLAG, max(at - 6, 0), at)
        return flag >= 0 and text.startswith(_FLAGS, flag)
    before, after = _seen(text[max(at - 1, 0) : at]), _seen(text[at + 1 : at + 2])
    if char == _ZWJ and text[max(at - 1, 0)] == _AS_PICTURE and _ordinary(text, at - 1):
        before = text[at - 2]  # the emoji that it belongs to
    return _within(char, _SHOWN) or any(
        _within(char, odd) and _within(before, left) and _within(after, right) for odd, left, right in _CONTEXTS
    )


def _seen(char: str) -> str:
    """*char*, or what every character that is written out begins with."""
    return char if (char.isprintable() and char not in _BLANK) or _within(char, _SHOWN) else "\\"


Ranges = tuple[tuple[str, str], ...]


def _ranges(characters: str) -> Ranges:
    """Parse characters and ranges of them, separated by a space: `a-z _`."""
    return tuple((item[0], item[-1]) for item in characters.split(" "))


def _within(char: str, ranges: Ranges) -> bool:
    return any(first <= char <= last for first, last in ranges)


_ZWJ: Final = "\u200d"
_AS_PICTURE: Final = "\ufe0f"
_BLACK_FLAG: Final = "\U0001f3f4"

# Characters that Python calls printable and that show nothing: fillers, grapheme joiners, variation selectors.
_LOOKED_AT_MAX: Final = 1000  # odd characters that `suspicious` judges: a text full of them needs no more to be told
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)

# The hidden characters that raise suspicion.
_KINDS: Final = {
    "bidi": _ranges("\u061c \u200e \u200f \u202a-\u202e \u2066-\u2069"),
    "tag": _ranges("\U000e0000-\U000e007f"),
    "zero-width": _ranges(
        "\u00ad \u034f \u115f \u1160 \u17b4 \u17b5 \u180e \u200b-\u200d \u2060-\u2065 \u206a-\u206f \u3164 \ufeff"
        " \uffa0 \ufff0-\ufff8 \U0001bca0-\U0001bca3 \U0001d173-\U0001d17a \U000e0080-\U000e00ff \U000e01f0-\U000e0fff"
    ),
    "variation-selector": _ranges("\u180b-\u180d \u180f \ufe00-\ufe0f \U000e0100-\U000e01ef"),
    "control": _ranges("\x00-\x1f \x7f-\x9f \u2028 \u2029 \ud800-\udfff \ufff9-\ufffb"),
}

# Odd characters that may stand anywhere: newline and tab, spaces that show as space, format characters with a shape,
# and the blocks of emoji and ideographs, to which Unicode adds faster than Python's tables follow.
_SHOWN: Final = _ranges(
    "\n \t \u00a0 \u1680 \u2000-\u200a \u202f \u205f \u3000"
    " \u0600-\u0605 \u06dd \u070f \u0890 \u0891 \u08e2 \U000110bd \U000110cd"
    " \U0001f000-\U0001faff \U00020000-\U0002fffd \U00030000-\U0003fffd"
)

_EMOJI: Final = _ranges(
    "\u00a9 \u00ae \u203c \u2049 \u2122 \u2139 \u2190-\u21ff \u2300-\u23ff \u2460-\u24ff \u25a0-\u27bf \u2900-\u297f"
    " \u2b00-\u2bff \u3030 \u303d \u3297 \u3299 \U0001f000-\U0001faff"
)
_HAN: Final = _ranges("\u3400-\u4dbf \u4e00-\u9fff \uf900-\ufaff \U00020000-\U0002fffd \U00030000-\U0003fffd")
_JOINING: Final = _ranges(  # Arabic and its kin, the scripts of India and South-East Asia, Mongolian, Adlam
    "\u0620-\u08ff \u0900-\u0dff \u1000-\u109f \u1780-\u17dd \u1820-\u18aa \u1a20-\u1aad \u1b00-\u1bff \ua800-\ua9ff"
    " \uaa60-\uaadf \uabc0-\uabff \ufb50-\ufdff \ufe70-\ufefc \U00011000-\U000119ff \U0001e900-\U0001e94b"
)
_UNSPACED: Final = _ranges(  # Thai, Lao, Burmese, Khmer and their kin write no space between words
    "\u0e00-\u0eff \u1000-\u109f \u1780-\u17dd \u1950-\u19df \u1a20-\u1aad \uaa60-\uaadf"
)
_MONGOLIAN: Final = _ranges("\u1820-\u18aa")
_ANY: Final = (("", "\U0010ffff"),)  # nothing, at the end of the text, is also any

# Odd characters that may stand between these: what, after what, before what.
_CONTEXTS: Final = (
    (_ranges("\u200d"), _EMOJI, _EMOJI),  # a family
    (_ranges("\ufe0e \ufe0f"), _EMOJI, _ANY),  # shown as text, shown as a picture
    (_ranges("\ufe0f"), _ranges("0-9 # *"), _ranges("\u20e3")),  # keycaps
    (_ranges("\u200c \u200d"), _JOINING, _ANY),
    (_ranges("\u200b"), _UNSPACED, _UNSPACED),  # where a line may break
    (_ranges("\ufe00-\ufe02 \U000e0100-\U000e011f"), _HAN, _ANY),  # the shape of an ideograph in a name
    (_ranges("\u180b-\u180f"), _MONGOLIAN, _ANY),
)
_FLAGS: Final = tuple(
    _BLACK_FLAG + "".join(chr(0xE0000 + ord(letter)) for letter in land) + "\U000e007f"
    for land in ("gbeng", "gbsct", "gbwls")
)
