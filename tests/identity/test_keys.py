"""Signatures: one by one, and many at once."""

from __future__ import annotations

import pytest

from nokosu.identity.keys import SigningKey, verifies, verify_all
from nokosu.testing import SeededRandom


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 64])
def test_many_are_verified_as_one_is_and_in_their_order(count: int) -> None:
    key = SigningKey(SeededRandom(1)(32))
    claims = [(key.public, key.sign(b"%d" % number), b"%d" % number) for number in range(count)]
    assert verify_all(claims) == [True] * count
    for wrong in {0, count // 2, count - 1} & set(range(count)):
        public, signature, _ = claims[wrong]
        told = [*claims[:wrong], (public, signature, b"another"), *claims[wrong + 1 :]]
        assert verify_all(told) == [number != wrong for number in range(count)]


def test_what_is_no_key_verifies_nothing() -> None:
    assert not verifies(b"short", b"x" * 64, b"message")
    assert verify_all([(b"short", b"x" * 64, b"message")] * 20) == [False] * 20
