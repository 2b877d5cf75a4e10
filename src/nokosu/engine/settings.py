"""The configuration of a zenohd of ours: a typed value in, the whole of it out, in this one place.

What was measured about each part with the very same engine stands beside it. REST is never configured, nothing is scouted
for, nothing is deleted, and nobody without a certificate of the space gets as far as an answer.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from nokosu import limits
from nokosu.engine import plugins, replication
from nokosu.engine.located import Engine

STORAGES: Final = ("rec", "vec")  # two, so that a look at the vectors never scans the records

_SOCKET: Final = "unixsock-stream"
_ALLOWED: Final = (
    "put", "declare_subscriber", "query", "declare_queryable", "reply", "liveliness_token",
    "declare_liveliness_subscriber", "liveliness_query",
)  # fmt: skip
"""Everything but `delete`: Zenoh forgets a delete at the next restart, and an old copy brings the key back."""


class EngineSettings(Struct, frozen=True, kw_only=True):
    """What one zenohd of one space is started with.

    `zid` is its own fixed id, in lower-case hex without zeros in front; `roots`, `certificate` and `key` are PEM; `listen`
    and `connect` are addresses, HOST:PORT; `socket` is where local clients connect; `folder` is its own, for the
    configuration, the log and RocksDB. `interval_s` is for tests: whoever differs is not talked to.
    """

    space: bytes
    zid: str
    roots: bytes
    certificate: bytes
    key: bytes
    listen: tuple[str, ...]
    connect: tuple[str, ...]
    socket: Path
    folder: Path
    interval_s: float = replication.INTERVAL_S


def root(space: bytes) -> str:
    """What all keys of a space begin with; `mesh.keys` has the rest."""
    return f"nokosu/{replication.KEYS_VERSION}/{space.hex()}"


def config(settings: EngineSettings, engine: Engine) -> dict[str, Any]:
    """Everything that zenohd is told, in the form of its configuration file."""
    keys = root(settings.space)
    shared = replication.parameters(settings.interval_s)
    storages = {name: plugins.storage(f"{keys}/{name}", name, shared) for name in STORAGES}
    return {
        "mode": "router",
        "id": settings.zid,
        "listen": {
            # One after the other, and the socket last: when that is there, everything is.
            "endpoints": [*(f"tls/{address}" for address in settings.listen), f"{_SOCKET}/{settings.socket}"],
            "timeout_ms": 0,
            "exit_on_failure": True,  # a port that is taken is said at once
        },
        "connect": {
            "endpoints": [f"tls/{address}" for address in settings.connect],
            "timeout_ms": -1,
            "exit_on_failure": False,
            "retry": {"period_init_ms": 500, "period_max_ms": 4000, "period_increase_factor": 2},
        },
        **quiet(),
        # By the socket alone, as `_access` has it.
        "adminspace": {"enabled": True, "permissions": {"read": True, "write": False}},
        "queries_default_timeout": 600_000,  # alignment asks without a timeout of its own, and an answer is one message
        "transport": {
            "unicast": {"max_sessions": limits.SESSIONS_MAX},
            "link": {
                "protocols": ["tls", _SOCKET],
                "rx": {"max_message_size": limits.ENGINE_MESSAGE_BYTES_MAX},
                "tls": _tls(settings),
            },
            "shared_memory": {"enabled": False},
        },
        "access_control": _access(keys, f"@/{settings.zid}/router"),
        **plugins.loading(engine.plugins, storages),
    }


def quiet() -> dict[str, Any]:
    """What keeps it to itself. zenohd turns its admin space on, whatever it is told; with neither permission it answers
    nothing.
    """
    return {
        "scouting": {"multicast": {"enabled": False}, "gossip": {"enabled": False}},
        "timestamping": {"enabled": True, "drop_future_timestamp": False},
        "adminspace": {"enabled": False, "permissions": {"read": False, "write": False}},
    }


def _tls(settings: EngineSettings) -> dict[str, Any]:
    certificate, key = _base64(settings.certificate), _base64(settings.key)
    return {
        "root_ca_certificate_base64": _base64(settings.roots),
        "enable_mtls": True,
        "verify_name_on_connect": False,  # membership is what counts: names in certificates prove nothing
        "listen_certificate_base64": certificate,
        "listen_private_key_base64": key,
        "connect_certificate_base64": certificate,
        "connect_private_key_base64": key,
    }


def _access(keys: str, state: str) -> dict[str, Any]:
    """Whoever TLS, or the socket's folder, lets in may do everything but delete, below the keys of the space. Digests and
    alignment have names of their own, which `**` does not cover. Whoever comes by the socket may also ask for the *state* of
    this router, its connections among it: that alone tells who is gone without a sign. Nothing else of the admin space may
    be asked: with 1.10.2 its graph and its tables can stop a router for good.
    """
    return {
        "enabled": True,
        "default_permission": "deny",
        "rules": [
            {
                "id": "space",
                "permission": "allow",
                "flows": ["ingress", "egress"],
                "messages": list(_ALLOWED),
                "key_exprs": [f"{keys}/**", "@-digest/**", "@zid/**"],
            },
            {
                "id": "state",
                "permission": "allow",
                "flows": ["ingress", "egress"],
                "messages": ["query", "reply"],
                "key_exprs": [state],
            },
        ],
        "subjects": [{"id": "members"}, {"id": "socket", "link_protocols": [_SOCKET]}],
        "policies": [
            {"rules": ["space"], "subjects": ["members"]},
            {"rules": ["state"], "subjects": ["socket"]},
        ],
    }


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
