"""Text in columns, and the excerpt of a long text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu.cli import excerpt, layout

words = st.lists(st.text("ab 港ー é\u0301_-(.", max_size=12), max_size=30).map(" ".join)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("memory", 6), ("記憶", 4), ("e\u0301", 1), ("ｱ", 1), ("a港", 3)]
)
def test_width_is_in_columns(text: str, columns: int) -> None:
    assert layout.width(text) == columns


@given(words, st.integers(2, 40))
def test_what_is_cut_fits_and_what_is_padded_fills(text: str, columns: int) -> None:
    assert layout.width(layout.cut(text, columns)) <= columns
    assert layout.width(layout.padded(text, columns)) == columns


@given(words, st.integers(2, 40))
def test_wrapping_loses_nothing_and_fits(text: str, columns: int) -> None:
    lines = layout.wrapped(text, columns)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(0 < layout.width(line) <= columns for line in lines if line.strip("\u0301"))


def test_labels_stand_below_each_other_and_empty_values_are_left_out() -> None:
    assert layout.labelled([("id", "1"), ("tags", ""), ("project", "x")]) == ["id       1", "project  x"]
    assert layout.labelled([]) == []


@given(words, st.text("ab港é ", max_size=8), st.integers(20, 60), st.integers(1, 3))
def test_an_excerpt_is_never_larger_than_its_place(text: str, query: str, columns: int, lines: int) -> None:
    found = excerpt.excerpt(text, query, columns=columns, lines=lines)
    assert len(found) <= lines
    assert all(layout.width(line) <= columns for line in found)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("needle", "needle"),
        ("NEEDLES", "needle"),
        ("the needle in there", "needle"),
        ("港の記憶", "記憶"),
        ("zzz needle", "needle"),
    ],
)
def test_an_excerpt_holds_the_word_that_was_asked_for(query: str, word: str) -> None:
    text = "hay " * 300 + f"{word} " + "straw " * 300
    assert word in " ".join(excerpt.excerpt(text, query, columns=60, lines=3))


def test_an_excerpt_begins_where_most_words_stand_together() -> None:
    text = "needle " + "hay " * 300 + "a needle and thread " + "straw " * 300
    found = " ".join(excerpt.excerpt(text, "needle thread", columns=60, lines=3))
    assert "needle and thread" in found


def test_an_excerpt_of_a_short_text_is_the_text() -> None:
    assert excerpt.excerpt("one\ntwo", "two", columns=60, lines=3) == ["one two"]
    assert excerpt.excerpt("", "two", columns=60, lines=3) == []
