"""What a model is given: the language that a text is in, its beginning, and BERT's word pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from nokosu import limits, semantic
from nokosu.semantic import language
from nokosu.semantic.known import ENGLISH, NotThere
from nokosu.semantic.texts import of_note
from nokosu.semantic.unigram import Unigram
from nokosu.semantic.wordpiece import WordPiece

VOCABULARY = (Path(str(semantic.__file__)).parent / "vocab.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Why did the release slip?", "en"),
        ("get_user_by_id", "en"),
        ("VBAT_EN", "en"),
        ("", "en"),
        ("本番デプロイは木曜日のみ", "ja"),
        ("`reserve_slot()` は with_for_update で二重予約を防ぐ", "ja"),
        ("我们用哪个时区保存日期", "zh"),
        ("빌드는 왜 실패했는가", "ko"),
        ("Почему упала сборка", "ru"),
        ("Warum wird der Build nicht fertig", "de"),
        ("Pourquoi les tests ne passent pas", "fr"),
        ("¿Por qué falla la compilación con el nuevo índice?", "es"),
        ("Γιατί απέτυχε;", language.OTHER),
    ],
)
def test_a_language_is_told_by_script_and_small_words(text: str, spoken: str) -> None:
    assert language.of(text) == spoken


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Why did the cache fail?", "[CLS] why did the cache fail ? [SEP]"),
        ("getUserById()", "[CLS] get ##user ##by ##id ( ) [SEP]"),
        ("Café naïve", "[CLS] cafe naive [SEP]"),
        ("東京 x", "[CLS] 東 京 x [SEP]"),
        ("a\x00b\tc", "[CLS] ab c [SEP]"),
        ("x" * 101, "[CLS] [UNK] [SEP]"),
        ("“quoted” — text…", "[CLS] “ quoted ” — text … [SEP]"),
        ("🚀", "[CLS] [UNK] [SEP]"),
    ],
)
def test_a_text_is_cut_as_bert_was_taught(text: str, pieces: str) -> None:
    cut = WordPiece(VOCABULARY).numbers(text, 256)
    assert " ".join(VOCABULARY[number] for number in cut) == pieces


def test_a_long_text_is_cut_off_and_still_ends() -> None:
    cut = WordPiece(VOCABULARY).numbers("word " * 1000, 16)
    assert (len(cut), VOCABULARY[cut[-1]]) == (16, "[SEP]")


PROBABLE = {
    "<unk>": 0.0,
    "▁res": -6.5,
    "▁": -4.0,
    "▁re": -3.0,
    "try": -3.0,
    "▁retry": -5.0,
    "▁ret": -2.0,
    "ry": -3.5,
    "s": -3.0,
    "東": -6.0,
}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("retry", "▁retry"),  # -5 is more than -6 and -5.5
        ("retrys retry", "▁retry s ▁retry"),
        ("res", "▁re s"),  # -6 is more than -6.5, though found later
        ("ret ry", "▁ret ▁ ry"),
        (" ret   ret ", "▁ret ▁ret ▁"),
        ("ｒｅｔ", "▁ret"),
        ("東東", "▁ 東 東"),
        ("x🚀", "▁ <unk> <unk>"),
        ("", "▁"),
    ],
)
def test_a_text_is_cut_into_its_most_probable_pieces(text: str, pieces: str) -> None:
    normal = {0xFF52: "r", 0xFF45: "e", 0xFF54: "t"}
    names = list(PROBABLE)
    cut = Unigram(names, list(PROBABLE.values()), names.index("<unk>"), normal).numbers(text)
    assert " ".join(names[number] for number in cut) == pieces


def test_a_model_is_given_the_subject_and_the_beginning_of_the_text() -> None:
    assert of_note("Holds", "They live in Postgres.", ("db", "holds")) == "Holds. They live in Postgres. db holds"
    assert of_note("", "Only text.", ()) == "Only text."
    cut = of_note("題", "東" * 1000, ("tag",))
    assert len(cut.encode()) <= limits.EMBEDDED_BYTES_MAX
    assert cut.startswith("題. 東東"), "and no character is cut in two"
    assert cut.endswith("東 tag")
    assert len(of_note("", "x", ("y" * 64,) * 32).encode()) <= limits.EMBEDDED_BYTES_MAX


def test_a_file_that_is_not_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "nokosu_test_model"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.bin").write_bytes(b"something else")
    known = type(ENGLISH)(number=9, name="test", package="nokosu_test_model", filename="model.bin", sha256="0" * 64)
    with pytest.raises(NotThere, match="not the file that nokosu knows"):
        known.verified()
    (package / "model.bin").unlink()
    with pytest.raises(NotThere, match="is missing"):
        known.verified()
    away = type(ENGLISH)(number=9, name="test", package="nokosu_no_such_model", filename="model.bin", sha256="0" * 64)
    with pytest.raises(NotThere, match="test is not installed"):
        away.verified()
