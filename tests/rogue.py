"""A device that does not keep to the rules: real Zenoh sessions with whatever certificate, and whatever it likes to send."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import zenoh

from nokosu.clock import system_wall_clock
from nokosu.identity import secrets
from nokosu.identity.keys import SigningKey
from nokosu.mesh import certificates, keys, seal
from nokosu.mesh.certificates import Tls
from nokosu.mesh.seal import Keyring
from nokosu.records import Record, device_id
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.store.roster import Secret
from nokosu.testing import DAY_MS, Peer
from tests.homes import Home

YEAR_MS = 365 * DAY_MS


class Member(NamedTuple):
    """What a device knows that was admitted: the space, its secret, and its own key."""

    space: bytes
    secret: Secret
    peer: Peer

    def tls(self, *, now_ms: int | None = None) -> Tls:
        """A certificate as a member makes it; as if it were another day."""
        return certificates.mint([self.secret], self.secret, self.peer.device, now_ms=now_ms or system_wall_clock())

    def sealed(self, record: Record, key: str = "") -> tuple[str, bytes]:
        """A record as it travels: its name, or *key* instead, and its payload, sealed for that name."""
        place = record.place
        name = key or keys.rec(place.space, place.log, place.seq, record.hash)
        return name, self.keyring.seal(name, seal.pack(record))

    @property
    def keyring(self) -> Keyring:
        """What it seals with."""
        return Keyring([self.secret], random=os.urandom)


def member(home: Home) -> Member:
    """Take the keys of an admitted device out of its home, as whoever owns the machine can."""
    database = Database(home.home / "nokosu.db")
    try:
        with database.reading() as connection:
            space = roster.space_named(connection, roster.PERSONAL)
            secret = roster.secrets(connection, space)[0]
            row = connection.row("SELECT private_key FROM device WHERE private_key IS NOT NULL")
    finally:
        database.close()
    assert row is not None
    peer = Peer(space.id, wall_clock=system_wall_clock, random=os.urandom, name=home.name)
    peer.key = SigningKey(row[0])
    peer.device = device_id(peer.key.public)
    return Member(space.id, secret, peer)


def stranger(of: Member) -> Member:
    """Somebody with a secret and a key of their own, who knows the space's id and nothing more."""
    secret = os.urandom(32)
    peer = Peer(of.space, wall_clock=system_wall_clock, random=os.urandom, name="stranger")
    return Member(of.space, Secret(key_id=secrets.key_id(secret), epoch=0, secret=secret), peer)


@contextmanager
def session(address: str, tls: Tls | None) -> Iterator[zenoh.Session]:
    """A Zenoh session with the node at *address*, in TLS or in plain TCP; closed with the block, whatever happens there.

    Raises:
        zenoh.ZError: the node did not let it in.
    """
    opened = zenoh.open(_config(address, tls))
    try:
        yield opened
    finally:
        opened.close()  # type: ignore[no-untyped-call]


def is_let_in(address: str, tls: Tls | None) -> bool:
    """Whether a node takes part in a session with these certificates."""
    try:
        with session(address, tls) as opened:
            return bool(list(opened.info.routers_zid()))
    except zenoh.ZError:
        return False


@contextmanager
def half_open(host: str, port: int, count: int) -> Iterator[None]:
    """That many connections on which nothing is ever said."""
    with ExitStack() as until_the_end:
        for _ in range(count):
            connection = until_the_end.enter_context(socket.socket())
            connection.settimeout(2)
            connection.connect((host, port))
        yield


def _config(address: str, tls: Tls | None) -> zenoh.Config:
    link: dict[str, Any] = {}
    if tls is not None:
        link = {
            "enable_mtls": True,
            "verify_name_on_connect": False,
            "root_ca_certificate_base64": _base64(tls.roots),
            "connect_certificate_base64": _base64(tls.certificate),
            "connect_private_key_base64": _base64(tls.key),
        }
    settings: dict[str, Any] = {
        "mode": "client",
        "connect": {"endpoints": [f"{'tls' if tls else 'tcp'}/{address}"], "timeout_ms": 3000, "exit_on_failure": True},
        "listen": {"endpoints": []},
        "scouting": {"multicast": {"enabled": False}, "gossip": {"enabled": False}},
        "transport": {"link": {"tls": link}, "shared_memory": {"enabled": False}},
    }
    return zenoh.Config.from_json5(json.dumps(settings))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def put(opened: zenoh.Session, samples: Sequence[tuple[str, bytes]]) -> None:
    """Send samples, each to its key, and none of them dropped on this side."""
    for key, payload in samples:
        opened.put(key, payload, congestion_control=zenoh.CongestionControl.BLOCK)
