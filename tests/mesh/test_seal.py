from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.errors import RecordRefused, SealRefused, UnknownKey
from nokosu.identity import secrets
from nokosu.mesh import keys, seal
from nokosu.mesh.seal import Keyring
from nokosu.store.roster import Secret
from nokosu.testing import Peer, SeededRandom

SPACE: Final = bytes(16)
NAME: Final = keys.rec(SPACE, b"l" * 16, 7, b"h" * 32)


def secret(byte: bytes, epoch: int = 0) -> Secret:
    whole = byte * 32
    return Secret(key_id=secrets.key_id(whole), epoch=epoch, secret=whole)


OLD, NEW, FOREIGN = secret(b"a"), secret(b"b", 1), secret(b"c")


def keyring(*all_secrets: Secret) -> Keyring:
    return Keyring(all_secrets, random=SeededRandom(1))


@given(st.binary(max_size=300))
def test_what_a_member_sealed_a_member_opens(plain: bytes) -> None:
    sealed = keyring(OLD).seal(NAME, plain)
    assert keyring(OLD).open(NAME, sealed) == plain
    assert len(sealed) == len(plain) + seal.OVERHEAD_BYTES


def test_the_same_words_are_never_sealed_alike() -> None:
    ring = keyring(OLD)
    assert ring.seal(NAME, b"x") != ring.seal(NAME, b"x")


def test_a_message_that_is_moved_to_another_name_does_not_open() -> None:
    sealed = keyring(OLD).seal(NAME, b"x")
    with pytest.raises(SealRefused):
        keyring(OLD).open(keys.rec(SPACE, b"l" * 16, 8, b"h" * 32), sealed)


@given(st.data())
def test_a_changed_bit_anywhere_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(keyring(OLD).seal(NAME, b"forty-two bytes of something"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealRefused):
        keyring(OLD).open(NAME, bytes(sealed))


@given(st.binary(max_size=80))
def test_no_bytes_at_all_open_by_chance(noise: bytes) -> None:
    with pytest.raises(SealRefused):
        keyring(OLD).open(NAME, noise)


def test_whoever_has_heard_of_the_new_key_opens_both() -> None:
    both = keyring(NEW, OLD)
    assert both.open(NAME, keyring(OLD).seal(NAME, b"x")) == b"x"
    assert keyring(NEW).open(NAME, both.seal(NAME, b"x")) == b"x"
    assert keyring(OLD).open(NAME, both.seal(NAME, b"x", key_id=OLD.key_id)) == b"x"


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UnknownKey) as refused:
        keyring(OLD).open(NAME, keyring(NEW).seal(NAME, b"x"))
    assert refused.value.key_id == NEW.key_id
    with pytest.raises(UnknownKey):
        keyring(OLD).seal(NAME, b"x", key_id=FOREIGN.key_id)


def test_a_space_with_another_secret_reads_nothing() -> None:
    sealed = bytearray(keyring(FOREIGN).seal(NAME, b"x"))
    sealed[1 : 1 + secrets.KEY_ID_BYTES] = OLD.key_id  # pretends
    with pytest.raises(SealRefused):
        keyring(OLD).open(NAME, bytes(sealed))


def test_a_record_is_carried_byte_for_byte() -> None:
    record = Peer(SPACE).save("x")
    assert seal.unpack(seal.pack(record)) == record


@pytest.mark.parametrize(
    "plain",
    [b"", b"\x93", b"\xc0", b"\x93\xc4\x01a\xc4\x01b\xc4\x01c", b"\x91" * 100_000, bytes(limits.RECORD_BYTES_MAX + 65)],
    ids=["empty", "cut", "nil", "no record", "deep", "large"],
)
def test_what_is_no_record_is_refused(plain: bytes) -> None:
    with pytest.raises(RecordRefused):
        seal.unpack(plain)
