"""Ids as people type, read aloud and compare them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import ids
from nokosu.errors import UsageError
from nokosu.testing import SeededRandom

IDS = st.text(ids.ALPHABET, min_size=12, max_size=12)


def test_a_new_id_is_twelve_characters_of_the_alphabet_and_uses_all_sixty_bits() -> None:
    random = SeededRandom(1)
    made = [ids.new_memory_id(random) for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert all(ids.is_memory_id(id) for id in made)
    for place in range(12):
        assert {id[place] for id in made} == set(ids.ALPHABET)


def test_the_most_significant_bits_come_first() -> None:
    assert ids.new_memory_id(bytes) == "0" * 12
    assert ids.new_memory_id(lambda size: b"\xff" * size) == "z" * 12
    assert ids.new_memory_id(lambda size: (1 << 4).to_bytes(size, "big")) == "0" * 11 + "1"
    assert ids.new_memory_id(lambda size: (1 << 63).to_bytes(size, "big")) == "g" + "0" * 11


@given(IDS, st.integers(4, 12))
def test_an_id_or_its_beginning_is_read_as_it_was_made(id: str, length: int) -> None:
    assert ids.memory_id_prefix(id[:length]) == id[:length]
    assert ids.memory_id_prefix(id[:length].upper()) == id[:length]


@given(IDS)
def test_letters_that_look_like_digits_are_read_as_digits(id: str) -> None:
    typed = id.replace("0", "O").replace("1", "I")
    assert ids.memory_id_prefix(typed) == id
    assert ids.memory_id_prefix(id.replace("1", "l")) == id


@pytest.mark.parametrize(
    "text", ["", "abc", "a" * 13, "u234", "ab-cd", "ab cd", " abcd", "abcd\n", "٣٣٣٣", "ａｂｃｄ", "İİİİ", "\ud800abc"]
)
def test_anything_else_is_refused_with_the_fields_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"^supersedes: ") as refused:
        ids.memory_id_prefix(text, field="supersedes")
    assert refused.value.field == "supersedes"
    assert refused.value.message.isascii()


def test_a_refused_id_is_shown_shortened() -> None:
    with pytest.raises(UsageError) as refused:
        ids.memory_id_prefix("x" * 10_000)
    assert len(refused.value.message) < 150


@pytest.mark.parametrize("text", ["", "0" * 11, "0" * 13, "A" * 12, "u" * 12, "0" * 11 + "\n"])
def test_only_a_whole_id_in_its_one_form_is_an_id(text: str) -> None:
    assert not ids.is_memory_id(text)


def test_binary_ids_are_shown_in_groups_of_four() -> None:
    assert ids.grouped(bytes(16)) == "0000-0000-0000-0000-0000-0000-00"
    assert ids.grouped(b"\xff" * 16) == "zzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zw"


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_two_binary_ids_never_look_the_same(one: bytes, other: bytes) -> None:
    assert (ids.grouped(one) == ids.grouped(other)) == (one == other)
