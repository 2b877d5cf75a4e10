"""Certificates: each member mints its own, from a CA key that is derived from the space's secret.

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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
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
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    key = Ed25519PrivateKey.generate()
    issuer = _ca_key(signer)
    certificate = (
        _builder(now)
        .subject_name(_name(f"nokosu device {device.hex()[:16]}"))
        .issuer_name(_ca_name(signer))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("nokosu.invalid")]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(issuer, algorithm=None)
    )
    return Tls(
        roots=b"".join(_pem(_root(secret, now)) for secret in trusted),
        certificate=_pem(certificate),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _root(secret: Secret, now: datetime) -> x509.Certificate:
    key = _ca_key(secret)
    return (
        _builder(now)
        .subject_name(_ca_name(secret))
        .issuer_name(_ca_name(secret))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, algorithm=None)
    )


def _builder(now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=DAYS_BACK))
        .not_valid_after(now + timedelta(days=DAYS_AHEAD))
    )


def _ca_key(secret: Secret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derived(secret.secret, "tls ca"))


def _ca_name(secret: Secret) -> x509.Name:
    return _name(f"nokosu space key {secret.key_id.hex()}")


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
