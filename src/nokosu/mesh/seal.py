"""Seal and open: authenticated encryption of what a space's devices send each other.

A sealed message is `format (1 byte) | key id (8) | nonce (12) | ChaCha20-Poly1305 ciphertext and tag`, bound to the key
expression that it travels under: moved to another name, it does not open. Each secret of a space gives one sealing key;
the key id names the secret and tells nothing of it. Nonces are random: below 2^32 messages under one secret, two are
alike with a chance of less than one in a billion.

Source: RFC 8439.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from nokosu import ids, limits, records
from nokosu.errors import RecordRefused, SealRefused, UnknownKey
from nokosu.identity.secrets import KEY_ID_BYTES, derived
from nokosu.records import Record
from nokosu.store.roster import Secret

FORMAT: Final = 1
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = 1 + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES

_STRINGS: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes | None])
_ENCODER: Final = msgspec.msgpack.Encoder()


class Keyring:
    """The secrets of one space: the current one seals, all of them open."""

    def __init__(self, secrets: Sequence[Secret], *, random: ids.Random) -> None:
        """Take the secrets, the current one first; *random* gives the nonces."""
        self.current = secrets[0].key_id
        self._ages = {secret.key_id: age for age, secret in enumerate(secrets)}
        self._random = random
        self._ciphers = {secret.key_id: ChaCha20Poly1305(derived(secret.secret, "seal")) for secret in secrets}

    def seal(self, key_expr: str, plain: bytes, *, key_id: bytes | None = None) -> bytes:
        """Seal *plain* for *key_expr* under the current secret, or the one that *key_id* names.

        Raises:
            UnknownKey: there is no such secret here.
        """
        name = key_id or self.current
        nonce = self._random(NONCE_BYTES)
        sealed = self._cipher(name).encrypt(nonce, plain, key_expr.encode())
        return bytes((FORMAT,)) + name + nonce + sealed

    def open(self, key_expr: str, sealed: bytes) -> bytes:
        """What was sealed for *key_expr*.

        Raises:
            UnknownKey: it is sealed under a secret that is not here.
            SealRefused: it was sealed for another place, or not by a member, or is no sealed message at all.
        """
        if len(sealed) < OVERHEAD_BYTES or sealed[0] != FORMAT:
            raise SealRefused("seal: not a sealed message of this format", field="seal")
        nonce_at = 1 + KEY_ID_BYTES
        nonce, box = sealed[nonce_at : nonce_at + NONCE_BYTES], sealed[nonce_at + NONCE_BYTES :]
        try:
            return self._cipher(key_id_of(sealed)).decrypt(nonce, box, key_expr.encode())
        except InvalidTag:
            raise SealRefused("seal: not made by a member for this place", field="seal") from None

    def knows(self, key_id: bytes) -> bool:
        """Whether the secret with that id is here."""
        return key_id in self._ciphers

    def age(self, key_id: bytes) -> int:
        """How many secrets came after that one, of those that are here."""
        return self._ages[key_id]

    def _cipher(self, key_id: bytes) -> ChaCha20Poly1305:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey("seal: made with a key that is not here", key_id=key_id)
        return cipher


def key_id_of(sealed: bytes) -> bytes:
    """The id of the secret that a message is sealed under, as it says itself."""
    return sealed[1 : 1 + KEY_ID_BYTES]


def pack(record: Record) -> bytes:
    """The three strings of a record as one, to be sealed."""
    return _ENCODER.encode((record.header, record.signature, record.body))


def unpack(plain: bytes) -> Record:
    """The record in what was opened, its shape and bounds checked.

    Raises:
        RecordRefused: it is none.
    """
    if len(plain) > limits.RECORD_BYTES_MAX + 64:  # beside the strings: their lengths
        raise RecordRefused(f"record: {len(plain)} bytes, at most {limits.RECORD_BYTES_MAX}", field="record")
    try:
        header, signature, body = _STRINGS.decode(plain)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordRefused(f"record: not three strings ({error})", field="record") from None
    return records.parse(header, signature, body)
