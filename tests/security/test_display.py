"""What may be shown is shown as it is; what hides, reorders or commands is written out. Nothing invisible stands in this file."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu.security.display import suspicious, visible

NOTES = Path(__file__).parents[1] / "data" / "agent-notes" / "notes.jsonl"

ORDINARY = {
    "ascii": "def f(x):\n\treturn x ** 2  # ~ \\u{1b} is how it looks when written out",
    "empty": "",
    "german": "Straße, Größe, »Anführung« – 5\u00a0€, 10\u202f%",
    "french": "Ça coûte 3\u202f€\u00a0!",
    "combining": "Cafe\u0301, Å, a\u0308",
    "japanese": "\u3000「キーは〇〇です。」ハンカクｶﾅ、髙﨑さん、々、ー",
    "ideograph with a variant": "葛\U000e0100城市の辻\U000e0101さん",
    "chinese": "你好，世界。𠮷野家",
    "korean": "안녕하세요, 세계!",
    "arabic": "السلام عليكم ١٢٣، نص عربي",
    "arabic number sign": "\u0600\u0661\u0662",
    "persian": "می\u200cخواهم کتاب\u200cها را ببینم",
    "persian year": "سال ۱۴۰۲ ه\u200d.ش",
    "hebrew": "שלום עולם, שָׁלוֹם",
    "hindi": "नमस्ते दुनिया, क्\u200dष और क्\u200cष",
    "sinhala": "ශ්\u200dරී ලංකාව",
    "malayalam, old": "അവന്\u200d വന്നു",
    "bengali": "র\u200d্যাব",
    "thai": "สวัสดี\u200bชาวโลก",
    "khmer": "សួស្តី\u200bពិភពលោក",
    "burmese": "မင်္ဂလာပါ",
    "mongolian": "ᠮᠣᠩᠭᠣᠯ\u180eᠠ ᠪᠢᠴᠢᠭ\u180b",
    "vietnamese": "Xin chào thế giới",
    "math": "∀x∈ℝ: ⌈x⌉ ≤ x + 1 ⇒ ½ × π √2",
    "emoji": "✅ ⚠\ufe0f ❤\ufe0f 🎉 ☎\ufe0e ℹ\ufe0f ©\ufe0f ↔\ufe0f",
    "skin tones": "👍🏽 🤷🏿\u200d♂\ufe0f",
    "family": "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 👩🏽\u200d💻 ❤\ufe0f\u200d🔥",
    "keycaps": "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "flags": "🇯🇵🇩🇪 \U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "an emoji newer than Python's tables": "\U0001faef \U0001fadc",
    "box drawing": "├── src\n└── tests",
    "braille": "⠓⠑⠇⠇⠕\u2800⠺",
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_text_is_shown_as_it_is_and_raises_no_suspicion(name: str) -> None:
    assert visible(ORDINARY[name]) == ORDINARY[name]
    assert suspicious(ORDINARY[name]) == ()


def test_ordinary_notes_are_shown_as_they_are_and_raise_no_suspicion() -> None:
    texts = [json.loads(line)["text"] for line in NOTES.read_text(encoding="utf-8").splitlines()]
    assert [text for text in texts if visible(text) != text or suspicious(text)] == []


@pytest.mark.parametrize(
    ("text", "shown", "kinds"),
    [
        ("\x1b[2J\x1b[1;1H", r"\u{1b}[2J\u{1b}[1;1H", ("control",)),
        ("\x1b]52;c;ZWNobw==\x07", r"\u{1b}]52;c;ZWNobw==\u{7}", ("control",)),  # sets the clipboard
        ("\x9b31mred", r"\u{9b}31mred", ("control",)),  # CSI in one byte
        ("safe\rEVIL", r"safe\u{d}EVIL", ("control",)),
        ("a\x00b\x08c\x7f", r"a\u{0}b\u{8}c\u{7f}", ("control",)),
        ("a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g", r"a\u{b}b\u{c}c\u{1c}d\u{85}e\u{2028}f\u{2029}g", ("control",)),
        ("\ud800 and \udfff", r"\u{d800} and \u{dfff}", ("control",)),
        ("access = '\u202euser\u202c'", r"access = '\u{202e}user\u{202c}'", ("bidi",)),
        ("\u2066if\u2069 \u200e\u200f\u061c", r"\u{2066}if\u{2069} \u{200e}\u{200f}\u{61c}", ("bidi",)),
        ("A\U000e0041\U000e0042", r"A\u{e0041}\u{e0042}", ("tag",)),
        ("\U0001f3f4\U000e0069\U000e007f", "\U0001f3f4" + r"\u{e0069}\u{e007f}", ("tag",)),  # no such flag
        ("pass\u200bword\ufeff\u2060", r"pass\u{200b}word\u{feff}\u{2060}", ("zero-width",)),
        ("pass\u200dword and \u200cx", r"pass\u{200d}word and \u{200c}x", ("zero-width",)),
        ("soft\u00adhyphen", r"soft\u{ad}hyphen", ("zero-width",)),
        ("\u3164\uffa0\u115f\u034f\u2062", r"\u{3164}\u{ffa0}\u{115f}\u{34f}\u{2062}", ("zero-width",)),
        ("می\u200c\u200d\u200cخ", "می\u200c" + r"\u{200d}\u{200c}خ", ("zero-width",)),  # one is writing, a run hides
        ("😀\u200d \u200d😀", "😀" + r"\u{200d} \u{200d}" + "😀", ("zero-width",)),
        ("a\ufe0f\u200d😀", r"a\u{fe0f}\u{200d}😀", ("zero-width", "variation-selector")),
        ("\u200d\u0378\u200b", r"\u{200d}\u{378}\u{200b}", ("zero-width",)),
        ("م\ufe0f\u200d", r"م\u{fe0f}\u{200d}", ("zero-width", "variation-selector")),
        ("\u17b4\u200bក", r"\u{17b4}\u{200b}ក", ("zero-width",)),
        ("a\ufe0fb\ufe00", r"a\u{fe0f}b\u{fe00}", ("variation-selector",)),
        ("😀\ufe0f\ufe0e\U000e0101", "😀\ufe0f" + r"\u{fe0e}\u{e0101}", ("variation-selector",)),
        ("1\ufe0f x\U000e0100 葛\U000e01ef", r"1\u{fe0f} x\u{e0100} 葛\u{e01ef}", ("variation-selector",)),
        ("\x1b\ufe00\u200b\U000e0041\u202a", r"\u{1b}\u{fe00}\u{200b}\u{e0041}\u{202a}", (
            "bidi", "tag", "zero-width", "variation-selector", "control",
        )),
    ],
)  # fmt: skip
def test_what_hides_or_commands_is_written_out_and_named(text: str, shown: str, kinds: tuple[str, ...]) -> None:
    assert visible(text) == shown
    assert suspicious(text) == kinds


@pytest.mark.parametrize(
    ("text", "shown"),
    [("one\r\ntwo\r\n", "one\\u{d}\ntwo\\u{d}\n"), ("\ue0b0 \U00010fff\uffff", r"\u{e0b0} \u{10fff}\u{ffff}")],
    ids=["line ends of Windows", "private and unassigned characters"],
)
def test_what_has_no_agreed_look_is_written_out_but_raises_no_suspicion(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert suspicious(text) == ()


# Laws -----------------------------------------------------------------------------------------------------------------

INVISIBLE = st.sampled_from(
    [
        *"\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\xad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u202a\u202e\u2028\u2066\u2060",
        *"\u3164\ufe00\ufe0e\ufe0f\ufeff\ufff9\U000e0001\U000e0041\U000e007f\U000e0100\ud800\udc00😀🏴葛मेم1#a ",
    ]
)
TEXTS = st.text(max_size=60) | st.lists(st.characters() | INVISIBLE, max_size=40).map("".join)


@given(TEXTS)
def test_a_terminal_gets_no_control_but_newline_and_tab(text: str) -> None:
    shown = visible(text)
    assert {char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")} <= {"\n", "\t"}
    assert not set(shown) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    shown.encode()  # no surrogates


@given(TEXTS)
def test_what_is_shown_raises_no_suspicion_and_is_shown_again_as_it_is(text: str) -> None:
    shown = visible(text)
    assert suspicious(shown) == ()
    assert visible(shown) == shown


@given(TEXTS)
def test_text_that_raises_suspicion_is_not_shown_as_it_is(text: str) -> None:
    assert not suspicious(text) or visible(text) != text
