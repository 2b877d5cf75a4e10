"""What is derived from a secret, each for one purpose that tells nothing of another.

Source: RFC 5869 (HKDF with SHA-256).
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_ID_BYTES: Final = 8


def derived(secret: bytes, purpose: str, size: int = 32) -> bytes:
    """*size* bytes for one *purpose*, made of *secret*."""
    return HKDF(hashes.SHA256(), size, salt=None, info=f"nokosu/1 {purpose}".encode()).derive(secret)


def key_id(secret: bytes) -> bytes:
    """The name of a space's secret: short, the same on every device, and no help in guessing it."""
    return derived(secret, "key id", KEY_ID_BYTES)
