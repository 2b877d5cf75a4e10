"""With OpenSSL on both ends; the node's tests have Zenoh's own TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from nokosu import clock
from nokosu.identity import secrets
from nokosu.mesh import certificates
from nokosu.mesh.certificates import Tls
from nokosu.store.roster import Secret
from nokosu.testing import DAY_MS, NEW_YEAR_MS

DEVICE: Final = b"d" * 16


def secret(byte: bytes) -> Secret:
    whole = byte * 32
    return Secret(key_id=secrets.key_id(whole), epoch=0, secret=whole)


OLD, NEW, FOREIGN = secret(b"a"), secret(b"b"), secret(b"c")


now_ms = clock.system_wall_clock


def context(tls: Tls, folder: Path, purpose: int) -> ssl.SSLContext:
    folder.mkdir(exist_ok=True)
    chain = folder / f"{purpose}.pem"
    chain.write_bytes(tls.certificate + tls.key)
    made = ssl.SSLContext(purpose)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=tls.roots.decode())
    made.load_cert_chain(chain)
    return made


def shake_hands(client: Tls, server: Tls, folder: Path) -> None:
    """A whole TLS handshake in memory; raises `ssl.SSLError` when either end does not trust the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context(client, folder, ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_client, to_server),
        context(server, folder, ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        assert end.version() == "TLSv1.3"
        with pytest.raises(ssl.SSLWantReadError):
            end.read(1)  # the server's verdict on the client's certificate has arrived


def test_members_trust_each_other(tmp_path: Path) -> None:
    shake_hands(
        certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms()),
        certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms()),
        tmp_path,
    )


def test_a_member_of_another_space_is_refused_and_refuses(tmp_path: Path) -> None:
    ours = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms())
    theirs = certificates.mint([FOREIGN], FOREIGN, DEVICE, now_ms=now_ms())
    for client, server in ((ours, theirs), (theirs, ours)):
        with pytest.raises(ssl.SSLError):
            shake_hands(client, server, tmp_path)


def test_while_the_key_changes_old_and_new_members_meet(tmp_path: Path) -> None:
    sleeper = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms())
    awake = certificates.mint([NEW, OLD], OLD, DEVICE, now_ms=now_ms())
    settled = certificates.mint([NEW], NEW, DEVICE, now_ms=now_ms())
    changed = certificates.mint([NEW, OLD], NEW, DEVICE, now_ms=now_ms())
    shake_hands(sleeper, awake, tmp_path)
    shake_hands(awake, changed, tmp_path)
    shake_hands(changed, settled, tmp_path)
    with pytest.raises(ssl.SSLError):
        shake_hands(sleeper, settled, tmp_path)


# A blind hub: it has a key of its own, and no secret ------------------------------------------------------------------


def hub(*trusted: Secret) -> Tls:
    private, public = certificates.new_key()
    roots, certificate = certificates.issue(trusted, public, "c0ffee", now_ms=now_ms())
    return Tls(b"".join(roots), certificate, private)


def test_a_blind_hub_and_the_members_trust_each_other(tmp_path: Path) -> None:
    member, blind = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms()), hub(OLD)
    shake_hands(member, blind, tmp_path)
    shake_hands(blind, member, tmp_path)
    shake_hands(hub(OLD), blind, tmp_path)


def test_a_blind_hub_that_is_paired_while_the_key_changes_is_trusted_by_old_and_new_members(tmp_path: Path) -> None:
    sleeper = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms())
    settled = certificates.mint([NEW], NEW, DEVICE, now_ms=now_ms())
    blind = hub(NEW, OLD)
    for member in (sleeper, settled):
        shake_hands(member, blind, tmp_path)
        shake_hands(blind, member, tmp_path)


def test_a_blind_hub_of_the_old_secret_is_refused_by_whoever_has_the_new_one_alone(tmp_path: Path) -> None:
    settled = certificates.mint([NEW], NEW, DEVICE, now_ms=now_ms())
    for client, server in ((settled, hub(OLD)), (hub(OLD), settled), (settled, hub(FOREIGN, OLD))):
        with pytest.raises(ssl.SSLError):
            shake_hands(client, server, tmp_path)


@pytest.mark.parametrize("days", [-700, 3600])
def test_a_clock_that_is_years_wrong_locks_no_device_out(tmp_path: Path, days: int) -> None:
    wrong = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms() - days * DAY_MS)
    shake_hands(certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms()), wrong, tmp_path)


def test_a_certificate_that_has_run_out_is_refused(tmp_path: Path) -> None:
    old = certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms() - 3700 * DAY_MS)
    with pytest.raises(ssl.SSLError):
        shake_hands(certificates.mint([OLD], OLD, DEVICE, now_ms=now_ms()), old, tmp_path)


def test_a_certificate_runs_from_two_years_back_to_ten_ahead() -> None:
    found = x509.load_pem_x509_certificate(certificates.mint([OLD], OLD, DEVICE, now_ms=NEW_YEAR_MS).certificate)
    assert (found.not_valid_before_utc.year, found.not_valid_after_utc.year) == (2024, 2035)
