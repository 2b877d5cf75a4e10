"""Boxes: a secret sealed to one device's X25519 key, so that nobody else, and no other member, can open it.

A box is `ephemeral public key (32) | ChaCha20-Poly1305 ciphertext and tag`. The key is made of the agreement with the
ephemeral key, both public keys and what the box is for, so each key seals once and its nonce is zero.

Source: RFC 7748 (X25519), RFC 5869 (HKDF with SHA-256), RFC 8439.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nokosu import ids
from nokosu.identity.secrets import derived

KEY_BYTES: Final = 32
_NONCE: Final = bytes(12)


def private_key(device_private: bytes) -> bytes:
    """The X25519 private key that goes with a device's Ed25519 private key."""
    return derived(device_private, "box")


def public_key(private: bytes) -> bytes:
    """The 32 bytes that others seal to."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def is_key(public: bytes | None) -> bool:
    """Whether boxes can be sealed to *public*: not to a key that would agree on the same with anyone."""
    return public is not None and _agreed(bytes(KEY_BYTES), public) is not None


def seal(secret: bytes, to: bytes, *, purpose: bytes, random: ids.Random) -> bytes | None:
    """*secret* in a box that only the holder of *to* opens, and only for the same *purpose*.

    None when *to* is a key that would agree on the same with anyone: a device that gives such a key can be sent nothing.
    """
    private = random(KEY_BYTES)
    ephemeral = public_key(private)
    shared = _agreed(private, to)
    if shared is None:
        return None
    return ephemeral + _cipher(shared, ephemeral + to, purpose).encrypt(_NONCE, secret, purpose)


def open_box(box: bytes, private: bytes, *, purpose: bytes) -> bytes | None:
    """What is in a box that was sealed to us for that *purpose*; None where it was not."""
    ephemeral = box[:KEY_BYTES]
    shared = _agreed(private, ephemeral)
    if shared is None:
        return None
    try:
        return _cipher(shared, ephemeral + public_key(private), purpose).decrypt(_NONCE, box[KEY_BYTES:], purpose)
    except InvalidTag:
        return None


def _agreed(private: bytes, public: bytes) -> bytes | None:
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None  # not of 32 bytes, or of low order


def _cipher(shared: bytes, keys: bytes, purpose: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, salt=keys, info=b"nokosu/1 rekey" + purpose).derive(shared))
