"""The transport that carries real traffic: Zenoh, embedded or through a zenohd beside us. The only module that imports it.

Embedded, one session is this node's router: it listens with mutual TLS and dials every address it is given, and goes on
dialling; with a zenohd, that does so, and the session is its client. Our questions go through a second session, a client
of the same router over its Unix socket, because one slow callback stalls all else in its session. Multicast, gossip, shared
memory and the admin space are off. Zenoh's `delete` is never used.

What was measured with 1.10.2, and shapes this module: a connection whose other end is frozen while we send is closed
after five seconds, but neither the liveliness token of its node nor the questions to it ever end, in a zenohd neither
(`look` ends them); then
`close` itself takes ten seconds and fails (`close` here does not wait so long); connect endpoints cannot be added to a
session that is open.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

# Read when Zenoh makes its clock: by default it re-stamps what is more than half a second ahead, and our order never
# depends on it, so a wrong clock may pass. Ten years, in milliseconds.
os.environ.setdefault("UHLC_MAX_DELTA_MS", "315360000000")

import msgspec
import zenoh

from nokosu import limits
from nokosu.engine.silence import Silence
from nokosu.errors import MeshError
from nokosu.mesh.presence import Presence
from nokosu.mesh.splits import Ends, Splits
from nokosu.mesh.transport import Answer, Answered, Arrived, Link, Question, Settings

_CLOSE_SECONDS: Final = 1.0
_SOCKET: Final = "unixsock-stream"
_NANOS: Final = 1_000_000_000
_STAMP_MAX: Final = (1 << 64) - (1 << 33)  # two seconds before the end of Zenoh's time: beyond it Zenoh panics
_STATE_SECONDS: Final = 1.0
_BLOCK: Final = zenoh.CongestionControl.BLOCK
_OTHERS: Final = zenoh.Locality.REMOTE


class ZenohTransport:
    """See `transport.Transport`."""

    def __init__(self, settings: Settings) -> None:
        """Open both sessions.

        Raises:
            MeshError: an address to listen at is taken, this process may not open sockets, or no zenohd is at its socket.
        """
        self._engine = settings.engine
        self._socket = settings.engine or settings.sockets / f"{settings.name}.zenoh"
        router = _router(settings, self._socket) if settings.engine is None else _client(self._socket)
        self._kept: list[Any] = []  # declarations, until the end
        self._calls: set[_Call] = set()
        self._presence: list[Presence] = []
        self._linked: set[str] = set()  # routers, when it was looked last
        self._splits = Splits()
        self._silence = Silence(os.getpid())
        with _mapped("open"):
            self._session = zenoh.open(_config(router))
            try:
                self._questions = zenoh.open(_config(_client(self._socket)))
            except zenoh.ZError:
                self._session.close()  # type: ignore[no-untyped-call]
                raise
        self._node = str(self._session.zid())
        self._router = self._node if settings.engine is None else next(map(str, self._session.info.routers_zid()), "")
        self._client = str(self._questions.zid())
        if settings.engine is None:
            with _mapped("open"):
                self._kept.append(self._session.info.declare_link_events_listener(self._link_changed, history=True))

    @property
    def node(self) -> str:
        return self._node

    @property
    def router(self) -> str:
        return self._router

    def subscribe(self, key_expr: str, arrived: Arrived) -> None:
        def sample(found: zenoh.Sample) -> None:
            if found.kind == zenoh.SampleKind.PUT:  # a delete means nothing here, whoever sends it
                arrived(str(found.key_expr), found.payload.to_bytes())

        with _mapped("subscribe"):
            self._kept.append(self._session.declare_subscriber(key_expr, sample, allowed_origin=_OTHERS))

    def serve(self, key_expr: str, asked: Callable[[Question], None]) -> None:
        with _mapped("serve"):
            self._kept.append(self._session.declare_queryable(key_expr, lambda query: asked(_Asked(query))))

    def declare(self, key: str) -> None:
        with _mapped("declare"):
            self._kept.append(self._session.liveliness().declare_token(key))

    def watch(self, key_expr: str, appeared: Callable[[str], None], vanished: Callable[[str], None]) -> None:
        presence = Presence(appeared, vanished, time.monotonic)
        self._presence.append(presence)

        def told(sample: zenoh.Sample) -> None:
            is_there = sample.kind == zenoh.SampleKind.PUT
            (presence.declared if is_there else presence.ended)(str(sample.key_expr))

        with _mapped("watch"):
            self._kept.append(self._session.liveliness().declare_subscriber(key_expr, told, history=True))

    def put(self, key: str, payload: bytes, *, later_than: int = 0) -> None:
        began = time.monotonic()
        with _mapped("put"):
            self._session.put(key, payload, congestion_control=_BLOCK, timestamp=self._stamp(later_than))
        if time.monotonic() - began > 1.0:
            self.look()

    def get(
        self, selector: str, arrived: Answered, ended: Callable[[bool], None], *, seconds: float, bytes_max: int
    ) -> _Call:
        call = _Call(arrived, ended, bytes_max, self._calls.discard)
        self._calls.add(call)
        try:
            with _mapped("get"):
                self._questions.get(
                    selector,
                    zenoh.handlers.Callback(call.replied, call.dropped),
                    target=zenoh.QueryTarget.ALL,
                    consolidation=zenoh.ConsolidationMode.NONE,
                    congestion_control=_BLOCK,
                    timeout=seconds,
                    cancellation_token=call.token,
                )
        except MeshError:
            self._calls.discard(call)
            raise
        return call

    def links(self) -> list[Link]:
        if self._engine is not None:
            return []
        return [
            Link(str(link.zid), link.src, link.dst)
            for link in self._session.info.links()
            if str(link.zid) != self._client
        ]

    def is_alive(self) -> bool:
        if self._engine is None:
            return True
        sessions = (self._session, self._questions)
        return all(not session.is_closed() and session.info.routers_zid() for session in sessions)

    def look(self) -> bool:
        self._silence.look()
        connected = self._connected()
        if connected is None:
            return False
        self._linked = connected if self._engine is not None else set(map(str, self._session.info.routers_zid()))
        away = [presence.look(connected) for presence in self._presence]  # each of them looks
        return any(away)

    def split(self) -> set[str]:
        told = set().union(*(presence.routers() for presence in self._presence))
        return (self._linked - told - {self._router}) | self._splits.found()

    def _link_changed(self, event: zenoh.LinkEvent) -> None:
        link = event.link
        is_there = event.kind == zenoh.SampleKind.PUT
        (self._splits.added if is_there else self._splits.removed)(str(link.zid), (link.src, link.dst))

    def _connected(self) -> set[str] | None:
        """The routers with a link to us, or to the zenohd beside us, which it tells only through its socket; None when it does
        not.

        Of the admin space only the router itself is asked. With 1.10.2 a question for its graph (`linkstate`), its tables or
        a route can stop it for good, whoever declares anything meanwhile: it answers while it holds a lock that the answer
        takes again (eclipse-zenoh/zenoh#2619). On a busy machine 5 of 48 starts of a hub ended so.
        """
        if self._engine is None:
            return {link.node for link in self.links()}
        found: set[str] = set()
        with suppress(zenoh.ZError):
            for router in self._questions.info.routers_zid():
                for reply in self._questions.get(f"@/{router}/router", timeout=_STATE_SECONDS):
                    if reply.ok is not None:
                        connections = _routers(reply.ok.payload.to_bytes())
                        self._splits.seen(connections)
                        found |= connections.keys() | {str(router)}
        return found or None

    def close(self) -> bool:
        closing = threading.Thread(target=self._close, name="nokosu-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if self._engine is None:
            _remove(self._socket)
        return not closing.is_alive()

    def _stamp(self, later_than: int) -> zenoh.Timestamp:
        now: zenoh.Timestamp = self._session.new_timestamp()
        if _ntp64(now) > later_than:
            return now
        return zenoh.Timestamp(_later(later_than), now.get_id())

    def _close(self) -> None:
        for call in list(self._calls):
            call.cancel()
        for session in (self._questions, self._session):
            with suppress(zenoh.ZError):
                session.close()  # type: ignore[no-untyped-call]


class _Call:
    """A question of ours: counts what comes, and ends once."""

    def __init__(
        self, arrived: Answered, ended: Callable[[bool], None], bytes_max: int, forget: Callable[[_Call], None]
    ) -> None:
        self.token = zenoh.CancellationToken()
        self._arrived, self._ended, self._forget = arrived, ended, forget
        self._bytes_left = bytes_max
        self._failed = False

    def replied(self, reply: zenoh.Reply) -> None:
        found = reply.ok
        if found is None:
            self._failed = True
        elif not self._failed:
            payload = found.payload.to_bytes()
            self._bytes_left -= len(payload)
            if self._bytes_left < 0:
                self.cancel()
                return
            replier, stamp = reply.replier_id, found.timestamp
            self._arrived(
                Answer(
                    str(found.key_expr),
                    payload,
                    str(replier.zid) if replier is not None else "",
                    _ntp64(stamp) if stamp is not None else None,
                )
            )

    def dropped(self) -> None:
        self._forget(self)
        self._ended(self._failed)

    def cancel(self) -> None:
        self._failed = True
        # Cancelling waits for a callback that is at work, and this may be it.
        threading.Thread(target=self.token.cancel, name="nokosu-cancel", daemon=True).start()


class _Asked:
    """A question of another node's."""

    def __init__(self, query: zenoh.Query) -> None:
        self._query = query

    @property
    def selector(self) -> str:
        return str(self._query.selector)

    def answer(self, key: str, payload: bytes) -> None:
        with _mapped("answer"):
            self._query.reply(key, payload)  # it is sent as the question was: blocking

    def end(self, *, failed: bool = False) -> None:
        with suppress(zenoh.ZError):
            if failed:
                self._query.reply_err(b"")
        self._query.drop()  # type: ignore[no-untyped-call]


class _mapped:  # noqa: N801 - reads as a statement
    """Zenoh's errors become ours."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, zenoh.ZError):
            reason = str(error).partition(" at /")[0]
            raise MeshError(f"mesh: {self._what} failed ({reason})", hint="nokosu doctor") from error


class _Connection(msgspec.Struct):
    src: str
    dst: str


class _Session(msgspec.Struct):
    peer: str
    whatami: str
    links: list[_Connection]


class _State(msgspec.Struct):
    sessions: list[_Session]


def _routers(state: bytes) -> dict[str, set[Ends]]:
    """The routers that one is connected with, of what it tells of itself, and both ends of each connection."""
    try:
        found = msgspec.json.decode(state, type=_State)
    except msgspec.MsgspecError:
        return {}
    return {one.peer: {(link.src, link.dst) for link in one.links} for one in found.sessions if one.whatami == "router"}


def _ntp64(stamp: zenoh.Timestamp) -> int:
    return int(str(stamp.get_time_as_ntp64()))


def _later(than: int) -> zenoh.NTP64:
    """A little later: nanoseconds are coarser than what Zenoh counts in."""
    seconds, nanos = divmod((min(than, _STAMP_MAX) * _NANOS >> 32) + 2, _NANOS)
    return zenoh.NTP64(seconds, nanos)


def _remove(socket: Path) -> None:
    """Leave nothing behind; Zenoh keeps a lock file beside its socket, and takes over what a killed process has left."""
    for path in (socket, socket.with_name(f"{socket.name}.lock")):
        path.unlink(missing_ok=True)


# Configuration --------------------------------------------------------------------------------------------------------


def _config(keys: Iterable[tuple[str, Any]]) -> zenoh.Config:
    config = zenoh.Config()
    for key, value in keys:
        config.insert_json5(key, json.dumps(value))
    return config


def _common() -> list[tuple[str, Any]]:
    return [
        ("scouting/multicast/enabled", False),
        ("scouting/gossip/enabled", False),
        ("scouting/delay", 0),  # nothing is scouted for, so opening waits for nothing
        ("adminspace/enabled", False),
        ("timestamping/enabled", True),
        ("queries_default_timeout", 600_000),
        ("transport/shared_memory/enabled", False),
        ("transport/link/protocols", ["tls", _SOCKET]),
        ("transport/link/rx/max_message_size", limits.MESSAGE_BYTES_MAX),
    ]


def _router(settings: Settings, socket: Path) -> list[tuple[str, Any]]:
    tls = settings.tls
    return [
        *_common(),
        ("mode", "router"),
        ("listen/endpoints", [f"{_SOCKET}/{socket}", *(f"tls/{address}" for address in settings.listen)]),
        ("connect/endpoints", [f"tls/{address}" for address in settings.connect]),
        ("connect/timeout_ms", -1),
        ("connect/exit_on_failure", False),
        ("connect/retry", {"period_init_ms": 500, "period_max_ms": 4000, "period_increase_factor": 2}),
        ("transport/unicast/max_sessions", limits.SESSIONS_MAX),
        ("transport/link/tls/enable_mtls", True),
        ("transport/link/tls/verify_name_on_connect", False),
        ("transport/link/tls/root_ca_certificate_base64", _base64(tls.roots)),
        ("transport/link/tls/listen_certificate_base64", _base64(tls.certificate)),
        ("transport/link/tls/listen_private_key_base64", _base64(tls.key)),
        ("transport/link/tls/connect_certificate_base64", _base64(tls.certificate)),
        ("transport/link/tls/connect_private_key_base64", _base64(tls.key)),
    ]


def _client(socket: Path) -> list[tuple[str, Any]]:
    return [*_common(), ("mode", "client"), ("listen/endpoints", []), ("connect/endpoints", [f"{_SOCKET}/{socket}"])]


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
