"""The device's Ed25519 key, by `cryptography`: the one module that signs and verifies.

Source: RFC 8032.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Claim = tuple[bytes, bytes, bytes]
"""A public key, a signature and the message it is to be of: what `verifies` takes."""

_WORTH_A_THREAD: Final = 16  # claims: 2 ms of arithmetic, and a thread costs a tenth of one


class SigningKey:
    """A device's private key, from its 32 bytes."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether *signature* was made over *message* with the key that belongs to *public*."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_all(claims: Sequence[Claim]) -> list[bool]:
    """`verifies` of each, half of them in a second thread: the arithmetic leaves the interpreter to others meanwhile."""
    middle = len(claims) // 2 if len(claims) >= _WORTH_A_THREAD else 0
    others: list[bool] = []
    helper = Thread(target=lambda: others.extend(verifies(*claim) for claim in claims[:middle]), name="nokosu-verify")
    if middle:
        helper.start()
    ours = [verifies(*claim) for claim in claims[middle:]]
    if middle:
        helper.join()
        if len(others) != middle:  # it has failed: what it says of why is raised here
            others = [verifies(*claim) for claim in claims[:middle]]
    return [*others, *ours]
