"""Certificates: each member mints its own, from a CA key that is derived from the space's secret, and one for a blind hub.

TLS proves membership and nothing else: signatures and the roster say who wrote what. So the names in a certificate are
for people who read logs, and a certificate is valid from two years back to ten years ahead: Zenoh reads it at start
only, and a wrong clock must not lock a device out. Nothing is written to disk; a new node process mints anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from nokosu.identity.secrets import derived
from nokosu.store.roster import Secret

DAYS_BACK: Final = 2 * 365
DAYS_AHEAD: Final = 10 * 365


class Tls(Struct, frozen=True):
    """What one end of a TLS connection needs, each as PEM: whom it trusts, who it is, and its private key."""

    roots: bytes
    certificate: bytes
    key: bytes


def mint(trusted: Sequence[Secret], signer: Secret, device: bytes, *, now_ms: int) -> Tls:
    """A certificate of *device* by the CA of *signer*, trusting the CAs of all *trusted* secrets.

    While a rekey is under way *signer* is the older secret, which the devices that have not heard of it still trust.
    """
    now = _time(now_ms)
    key = Ed25519PrivateKey.generate()
    return Tls(
        roots=_roots(trusted, now),
        certificate=_pem(_leaf(signer, key.public_key(), f"nokosu device {device.hex()[:16]}", now)),
        key=_private_pem(key),
    )


# For a blind hub, which has no secret to mint with --------------------------------------------------------------------


def new_key() -> tuple[bytes, bytes]:
    """A private key (PEM), which stays where it was made, and its public key, of 32 bytes."""
    key = Ed25519PrivateKey.generate()
    return _private_pem(key), key.public_key().public_bytes_raw()


def proof(private: bytes, message: bytes) -> bytes:
    """The signature over *message* by a key that `new_key` made."""
    key = serialization.load_pem_private_key(private, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.sign(message)


def issue(trusted: Sequence[Secret], public_key: bytes, zid: str, *, now_ms: int) -> tuple[list[bytes], bytes]:
    """The roots of all *trusted* secrets, the current one first, each for itself, and a certificate by its CA for a key
    that is another's.

    While a rekey is under way, the certificate has the new CA vouched for by each older one beside it: whoever has not
    heard of the new secret trusts it all the same.

    Raises:
        ValueError: *public_key* is none.
    """
    now, signer = _time(now_ms), trusted[0]
    leaf = _leaf(signer, Ed25519PublicKey.from_public_bytes(public_key), f"nokosu hub {zid[:16]}", now)
    vouched = [_root(signer, now, by=older) for older in trusted[1:]]
    return [_pem(_root(secret, now)) for secret in trusted], b"".join(map(_pem, [leaf, *vouched]))


# Both -----------------------------------------------------------------------------------------------------------------


def _leaf(signer: Secret, key: Ed25519PublicKey, name: str, now: datetime) -> x509.Certificate:
    return (
        _builder(now)
        .subject_name(_name(name))
        .issuer_name(_ca_name(signer))
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("nokosu.invalid")]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(_ca_key(signer), algorithm=None)
    )


def _roots(trusted: Sequence[Secret], now: datetime) -> bytes:
    return b"".join(_pem(_root(secret, now)) for secret in trusted)


def _root(secret: Secret, now: datetime, *, by: Secret | None = None) -> x509.Certificate:
    """The CA of a secret, by itself, or vouched for by another one's; so a root may have one CA between it and a leaf."""
    issuer = by or secret
    return (
        _builder(now)
        .subject_name(_ca_name(secret))
        .issuer_name(_ca_name(issuer))
        .public_key(_ca_key(secret).public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if by is None else 0), critical=True)
        .sign(_ca_key(issuer), algorithm=None)
    )


def _builder(now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=DAYS_BACK))
        .not_valid_after(now + timedelta(days=DAYS_AHEAD))
    )


def _time(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def _ca_key(secret: Secret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derived(secret.secret, "tls ca"))


def _ca_name(secret: Secret) -> x509.Name:
    return _name(f"nokosu space key {secret.key_id.hex()}")


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
