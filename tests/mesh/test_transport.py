"""Two real transports with mutual TLS on loopback: what every implementation of `transport.Transport` has to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from nokosu import limits
from nokosu.clock import system_wall_clock
from nokosu.errors import MeshError
from nokosu.identity.secrets import key_id
from nokosu.mesh import certificates
from nokosu.mesh.certificates import Tls
from nokosu.mesh.transport import Question, Settings, Transport
from nokosu.mesh.zenoh_session import ZenohTransport
from nokosu.store.roster import Secret
from nokosu.testing import DAY_MS
from tests.homes import eventually
from tests.mesh.sharing import free_port

ROOT = "nokosu/1/00"
WAIT = 10.0

Open = Callable[..., ZenohTransport]


def tls(secret: bytes, *, days: int = 0) -> Tls:
    known = Secret(key_id(secret), 0, secret)
    return certificates.mint([known], known, os.urandom(16), now_ms=system_wall_clock() + days * DAY_MS)


@pytest.fixture
def secret() -> bytes:
    return os.urandom(32)


@pytest.fixture
def opened(tmp_path_factory: pytest.TempPathFactory, secret: bytes) -> Iterator[Open]:
    """Opens transports of one space; all are closed with the test."""
    folder = tmp_path_factory.mktemp("t")
    made: list[ZenohTransport] = []

    def make(listen: int = 0, connect: int = 0, shown: Tls | None = None) -> ZenohTransport:
        settings = Settings(
            tls=shown or tls(secret),
            listen=(f"127.0.0.1:{listen}",) if listen else (),
            connect=(f"127.0.0.1:{connect}",) if connect else (),
            sockets=folder,
            name=str(len(made)),
        )
        made.append(ZenohTransport(settings))
        return made[-1]

    yield make
    for one in made:
        assert one.close()


def seen(transport: Transport) -> Queue[tuple[str, str]]:
    """What a transport is told of who is there: a sign and a key."""
    told: Queue[tuple[str, str]] = Queue()
    transport.watch(f"{ROOT}/here/**", lambda key: told.put(("+", key)), lambda key: told.put(("-", key)))
    return told


def token(transport: Transport, device: str = "dd") -> str:
    key = f"{ROOT}/here/{device}/{transport.node}"
    transport.declare(key)
    return key


def ask(transport: Transport, selector: str, **more: Any) -> tuple[list[tuple[str, bytes]], bool]:
    """The names and payloads of all answers to a question, and whether it failed."""
    answers: list[tuple[str, bytes]] = []
    ended: Queue[bool] = Queue()
    settings = {"seconds": WAIT, "bytes_max": limits.CALL_BYTES_MAX, **more}
    transport.get(selector, lambda found: answers.append((found.key, found.payload)), ended.put, **settings)
    return answers, ended.get(timeout=WAIT * 2)


def in_a_thread(answer: Callable[[Question], None]) -> Callable[[Question], None]:
    return lambda question: Thread(target=answer, args=(question,), daemon=True).start()


def test_nobody_is_told_what_he_puts_himself(opened: Open) -> None:
    port = free_port()
    one, two = opened(listen=port), opened(connect=port)
    told: dict[str, Queue[str]] = {"one": Queue(), "two": Queue()}
    one.subscribe(f"{ROOT}/rec/**", lambda key, _: told["one"].put(key))
    two.subscribe(f"{ROOT}/rec/**", lambda key, _: told["two"].put(key))
    for watcher, watched in ((one, two), (two, one)):  # each has then heard of the other's subscription
        here, key = seen(watcher), token(watched)
        while here.get(timeout=WAIT) != ("+", key):
            pass
    one.put(f"{ROOT}/rec/1", b"of the first")
    assert told["two"].get(timeout=WAIT) == f"{ROOT}/rec/1"
    two.put(f"{ROOT}/rec/2", b"of the second")
    assert told["one"].get(timeout=WAIT) == f"{ROOT}/rec/2"
    assert told["two"].empty()


def test_two_see_each_other_and_carry_samples_questions_and_answers(opened: Open) -> None:
    port = free_port()
    one, two = opened(listen=port), opened(connect=port)
    samples: Queue[tuple[str, bytes]] = Queue()
    two.subscribe(f"{ROOT}/rec/**", lambda *sample: samples.put(sample))

    def answer(question: Question) -> None:
        assert question.selector == f"{ROOT}/dev/dd/rec/aa/0/*?from=1;to=3"
        for number in range(3):
            question.answer(f"{ROOT}/dev/dd/rec/aa/0/{number}-ff", bytes(700))
        question.end()

    two.serve(f"{ROOT}/dev/dd/**", in_a_thread(answer))
    told = seen(one)
    key = token(two)
    assert told.get(timeout=WAIT) == ("+", key)
    assert [link.node for link in one.links()] == [two.node]

    one.put(f"{ROOT}/rec/1", b"a record")
    assert samples.get(timeout=WAIT) == (f"{ROOT}/rec/1", b"a record")
    answers, failed = ask(one, f"{ROOT}/dev/dd/rec/aa/0/*?from=1;to=3")
    assert not failed
    assert sorted(answers) == [(f"{ROOT}/dev/dd/rec/aa/0/{number}-ff", bytes(700)) for number in range(3)]
    assert two.close()
    assert told.get(timeout=WAIT) == ("-", key)
    assert one.links() == []


def test_who_is_connected_and_declares_nothing_is_told(opened: Open) -> None:
    port = free_port()
    one, two = opened(listen=port), opened(connect=port)
    told = seen(one)
    eventually(one.links, WAIT)
    assert one.split() == set(), "before it has looked"
    eventually(lambda: not one.look() and one.split() == {two.node}, WAIT)
    key = token(two)
    assert told.get(timeout=WAIT) == ("+", key)
    one.look()
    assert one.split() == set()
    assert two.close()
    eventually(lambda: not one.look() and not one.links(), WAIT)
    assert one.split() == set()


def test_a_question_fails_when_the_other_says_so_or_answers_too_much_or_it_is_cancelled(opened: Open) -> None:
    port = free_port()
    one, two = opened(listen=port), opened(connect=port)
    held: Queue[Question] = Queue()

    def answer(question: Question) -> None:
        if question.selector.endswith("refuse"):
            question.end(failed=True)
        elif question.selector.endswith("flood"):
            for _ in range(64):
                question.answer(question.selector, bytes(64 * 1024))
            question.end()
        else:
            held.put(question)

    two.serve(f"{ROOT}/dev/dd/**", in_a_thread(answer))
    told = seen(one)
    token(two)
    told.get(timeout=WAIT)
    assert ask(one, f"{ROOT}/dev/dd/refuse") == ([], True)
    answers, failed = ask(one, f"{ROOT}/dev/dd/flood", bytes_max=1024 * 1024)
    assert failed
    assert len(answers) <= 16
    ended: Queue[bool] = Queue()
    call = one.get(f"{ROOT}/dev/dd/hold", lambda *_: None, ended.put, seconds=60, bytes_max=1)
    question = held.get(timeout=WAIT)
    call.cancel()
    assert ended.get(timeout=WAIT) is True
    question.end()


def test_only_members_whose_certificates_are_valid_today_are_let_in(opened: Open, secret: bytes) -> None:
    port = free_port()
    one = opened(listen=port)
    expired, foreign = tls(secret, days=-11 * 366), tls(os.urandom(32))
    mixed = Tls(roots=tls(secret).roots, certificate=foreign.certificate, key=foreign.key)
    strangers = [opened(connect=port, shown=shown) for shown in (expired, foreign, mixed)]
    friend = opened(connect=port)
    eventually(lambda: [link.node for link in one.links()] == [friend.node], WAIT)
    with socket.create_connection(("127.0.0.1", port), WAIT) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(WAIT)
        assert b"nokosu" not in plain.recv(4096)
    assert [link.node for link in one.links()] == [friend.node]
    assert not any(stranger.links() for stranger in strangers)


def test_a_port_that_is_taken_is_said_and_one_that_was_just_closed_can_be_had_again(opened: Open) -> None:
    port = free_port()
    one = opened(listen=port)
    with pytest.raises(MeshError, match="open failed"):
        opened(listen=port)
    other = opened(connect=port)
    eventually(one.links, WAIT)
    assert one.close()
    again = opened(listen=port)
    eventually(lambda: [link.node for link in again.links()] == [other.node], WAIT)


def test_what_a_killed_process_left_behind_does_not_stop_the_next_one(
    opened: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(tmp_path_factory.getbasetemp())
    one = opened()
    stale = next(folder.glob("t*/0.zenoh"))
    assert one.close()
    stale.touch()
    stale.with_name(f"{stale.name}.lock").touch()
    settings = Settings(tls=tls(os.urandom(32)), listen=(), connect=(), sockets=stale.parent, name="0")
    assert ZenohTransport(settings).close()
