"""A real zenohd with RocksDB, and what we take from its answers: who gave them, and when it was put."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from nokosu import limits
from nokosu.clock import system_wall_clock
from nokosu.engine.located import Engine
from nokosu.engine.process import Zenohd
from nokosu.engine.settings import EngineSettings
from nokosu.errors import MeshError
from nokosu.identity.secrets import key_id
from nokosu.mesh import certificates, keys
from nokosu.mesh.certificates import Tls
from nokosu.mesh.transport import Answer, Question, Settings
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.store.roster import Secret
from tests.homes import eventually
from tests.hubs import engine_or_skip
from tests.mesh.sharing import free_port

pytestmark = pytest.mark.system

SPACE = bytes(range(16))
LOG = bytes(range(16, 32))
WAIT = 10.0

Open = Callable[..., ZenohTransport]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_or_skip()


class Hub:
    """A zenohd, and where it is."""

    def __init__(self, engine: Engine, folder: Path, tls: Tls) -> None:
        self.zid = f"a1{os.urandom(15).hex()}"
        self.port = free_port()
        self.socket = folder / "hub"
        self._engine, self._folder, self._tls = engine, folder, tls
        self.start()

    def start(self) -> None:
        settings = EngineSettings(
            space=SPACE, zid=self.zid, roots=self._tls.roots, certificate=self._tls.certificate, key=self._tls.key,
            listen=(f"127.0.0.1:{self.port}",), connect=(), socket=self.socket, folder=self._folder / "engine",
        )  # fmt: skip
        self.process = Zenohd.start(self._engine, settings, wait_seconds=30)


@pytest.fixture
def tls() -> Tls:
    secret = os.urandom(32)
    known = Secret(key_id(secret), 0, secret)
    return certificates.mint([known], known, os.urandom(16), now_ms=system_wall_clock())


@pytest.fixture
def hub(engine: Engine, tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(engine, tmp_path_factory.mktemp("h"), tls)
    yield made
    made.process.stop()


@pytest.fixture
def opened(hub: Hub, tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens transports that reach the hub: its clients, or with a listener of their own."""
    folder = tmp_path_factory.mktemp("t")
    made: list[ZenohTransport] = []

    def make(*, embedded: bool = False) -> ZenohTransport:
        connect = (f"127.0.0.1:{hub.port}",) if embedded else ()
        engine = None if embedded else hub.socket
        made.append(
            ZenohTransport(
                Settings(tls=tls, listen=(), connect=connect, sockets=folder, name=str(len(made)), engine=engine)
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(transport: ZenohTransport, selector: str) -> list[Answer]:
    answers: list[Answer] = []
    ended: Queue[bool] = Queue()
    transport.get(selector, answers.append, ended.put, seconds=WAIT, bytes_max=limits.CALL_BYTES_MAX)
    assert ended.get(timeout=WAIT * 2) is False
    return answers


def stored(transport: ZenohTransport, key: str, payload: bytes) -> Answer:
    """Put until it is there: what is put while a storage begins is kept by nobody."""

    def found() -> Answer | None:
        transport.put(key, payload)
        return next((one for one in ask(transport, key) if one.payload == payload), None)

    answer: Answer = eventually(found, WAIT)
    return answer


def test_an_answer_names_the_zenohd_that_holds_it_and_the_time_at_which_it_was_put(hub: Hub, opened: Open) -> None:
    for transport in (opened(), opened(embedded=True)):
        answer = stored(transport, keys.rec(SPACE, LOG, 1, bytes(32)), os.urandom(8))
        assert answer.replier == hub.zid
        assert answer.stamp is not None
        assert abs((answer.stamp >> 32) - time.time()) < 5


def test_a_put_that_is_stamped_later_than_what_lies_there_replaces_it_whatever_our_clock_says(
    hub: Hub, opened: Open
) -> None:
    transport = opened()
    key = keys.vec(SPACE, bytes(16))
    now = stored(transport, key, b"now").stamp
    assert now is not None
    transport.put(key, b"from the future", later_than=now + (3600 << 32))
    later = eventually(lambda: [one for one in ask(transport, key) if one.payload == b"from the future"], WAIT)[0]
    assert later.replier == hub.zid
    assert later.stamp is not None
    assert later.stamp > now + (3600 << 32)
    other = opened()  # the clock of a session follows what it has seen; this one has seen nothing
    other.put(key, b"later still", later_than=later.stamp)
    last = eventually(lambda: [one for one in ask(transport, key) if one.payload == b"later still"], WAIT)[0]
    assert last.stamp is not None
    assert last.stamp > later.stamp


def test_pages_names_and_announcements_are_found_by_the_selectors_that_we_use(hub: Hub, opened: Open) -> None:
    transport = opened()
    hash = bytes(31) + b"\1"
    stored(transport, keys.rec(SPACE, LOG, 1, hash), b"ready")
    for seq in (999, 1000, 1001):
        stored(transport, keys.rec(SPACE, LOG, seq, hash), str(seq).encode())
    stored(transport, keys.vec(SPACE, bytes(16)), b"vector")
    stored(transport, keys.rekey(SPACE, keys.tail(LOG, 1, hash)), b"copy")
    stored(transport, keys.ready(SPACE, hub.zid), b"probe")

    def found(selector: str) -> set[bytes]:
        return {one.payload for one in ask(transport, f"{keys.space(SPACE)}/{selector}") if one.replier == hub.zid}

    assert found(f"rec/{LOG.hex()}/0/*") == {b"ready", b"999", b"1000"}
    assert found(f"rec/{LOG.hex()}/1/*") == {b"1001"}
    assert found(f"rec/{LOG.hex()}/0/999-$*") == {b"999"}
    assert found(f"rec/{keys.tail(LOG, 1000, hash)}") == {b"1000"}
    assert found("vec/*") == {b"vector"}
    assert found("vec/rekey/**") == {b"copy"}


def test_what_an_embedded_node_answers_is_not_taken_for_the_storages(hub: Hub, opened: Open) -> None:
    node, asker = opened(embedded=True), opened()
    device = bytes(15) + b"7"

    def answer(question: Question) -> None:
        question.answer(keys.vec(SPACE, device), b"live")
        question.end()

    node.serve(keys.vec(SPACE, device), answer)
    stored(asker, keys.vec(SPACE, bytes(16)), b"stored")
    answers = eventually(lambda: len(found := ask(asker, keys.vec_all(SPACE))) == 2 and found, WAIT)
    assert {one.payload: one.replier for one in answers} == {b"stored": hub.zid, b"live": node.node}


def test_a_client_sees_that_its_zenohd_is_gone_and_opens_again_when_it_is_back(hub: Hub, opened: Open) -> None:
    transport, other = opened(), opened(embedded=True)
    assert transport.is_alive()
    assert transport.links() == []
    key = keys.rec(SPACE, LOG, 5, bytes(32))
    stored(transport, key, b"kept")
    hub.process.stop()
    eventually(lambda: not transport.is_alive(), WAIT)
    assert other.is_alive()
    with pytest.raises(MeshError):
        opened()
    transport.close()
    hub.start()
    again = opened()
    assert again.is_alive()
    assert eventually(lambda: ask(again, key), WAIT)[0].payload == b"kept"


def test_whoever_is_connected_sees_the_token_of_a_zenohd_and_when_it_goes(hub: Hub, opened: Open) -> None:
    beside, far = opened(), opened(embedded=True)
    told: Queue[tuple[str, str]] = Queue()
    far.watch(f"{keys.space(SPACE)}/hub/**", lambda key: told.put(("+", key)), lambda key: told.put(("-", key)))
    token = keys.hub(SPACE, "1.10.2", "0a", hub.zid)
    beside.declare(token)
    assert told.get(timeout=WAIT) == ("+", token)
    far.look()
    hub.process.stop()
    assert told.get(timeout=WAIT) == ("-", token)
