"""Pairing over real sockets on the loopback: one try, ten minutes, and a thousand strangers."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from nokosu import limits
from nokosu.errors import PairingError, UsageError
from nokosu.mesh import pairing
from nokosu.mesh.pairing import Acceptance, Done, Hello, Joiner, Reason
from nokosu.mesh.pairing_wire import Dropped, Invitation, Session, Wire, dial
from tests.homes import allow_descriptors

CODE = "4k2m7xqp"
HOST = "127.0.0.1"


class Waiting:
    """An invitation that waits in a thread of its own."""

    def __init__(self, invitation: Invitation, session: Future[Session], told: list[str]) -> None:
        self.port = invitation.port
        self.session = session
        self.told = told

    def result(self) -> Session:
        return self.session.result(30)

    def close(self) -> None:
        """Hang up on whoever proved the code."""
        if self.session.done() and self.session.exception() is None:
            self.session.result().__exit__(None, None, None)


@contextmanager
def waiting(
    address: str = HOST, *, monotonic: Callable[[], float] = time.monotonic, **changes: Any
) -> Iterator[Waiting]:
    told: list[str] = []
    over = threading.Event()
    invitation = Invitation(
        CODE,
        random=os.urandom,
        address=address,
        monotonic=lambda: math.inf if over.is_set() else monotonic(),
        **changes,
    )
    with invitation, ThreadPoolExecutor(1) as pool:
        inviter = Waiting(invitation, pool.submit(invitation.wait, told.append), told)
        try:
            yield inviter
        finally:
            over.set()
            with suppress(OSError):  # wake it, if it still waits
                socket.create_connection((address if address != "0.0.0.0" else HOST, inviter.port), timeout=5).close()
    inviter.close()


def stranger(port: int) -> Wire:
    return Wire(socket.create_connection((HOST, port), timeout=30))


def gone(wire: Wire) -> bool:
    """Whether the other end has hung up, as it is expected to."""
    with pytest.raises(Dropped):
        wire.receive(1024)
    wire.close()
    return True


def proven(wire: Wire, code: str = CODE) -> bytes:
    """The answer to a proof, made by hand."""
    end = Joiner(code, random=os.urandom)
    wire.send(end.hello())
    wire.send(end.confirm(wire.receive(1024)))
    return wire.receive(1024)


# The one that knows the code ------------------------------------------------------------------------------------------


def test_who_knows_the_code_gets_a_conversation_and_the_port_closes() -> None:
    with waiting() as inviter, dial(HOST, inviter.port, CODE, random=os.urandom) as joiner, inviter.result() as session:
        joiner.say(Acceptance(5))
        assert session.hear(Acceptance) == Acceptance(5)
        session.refuse(Reason.REVOKED)
        with pytest.raises(pairing.Refused) as refused:
            joiner.hear(Done)
        assert refused.value.reason == "revoked"
        with pytest.raises(PairingError, match="nobody waits at"):
            dial(HOST, inviter.port, CODE, random=os.urandom)


def test_all_addresses_means_ipv6_too_where_there_is_any() -> None:
    for address, hosts in (("0.0.0.0", ["127.0.0.1", "::1"]), ("::1", ["::1"])):
        for host in hosts:
            with waiting(address) as inviter, dial(host, inviter.port, CODE, random=os.urandom), inviter.result():
                pass


# A wrong one ----------------------------------------------------------------------------------------------------------


def test_a_wrong_code_ends_the_invitation_before_it_is_answered() -> None:
    with waiting() as inviter:
        wire = stranger(inviter.port)
        other = stranger(inviter.port)
        refusal = proven(wire, "00000000")
        with pytest.raises(OSError, match="refused"):  # by the time the answer is here nobody listens any more
            stranger(inviter.port)
        assert refusal == pairing.refusal(Reason.CODE)
        assert gone(other)
        with pytest.raises(pairing.WrongCode, match="one try: this invitation is over"):
            inviter.result()
        wire.close()


def test_the_joiner_with_a_wrong_code_is_told() -> None:
    with waiting() as inviter:
        with pytest.raises(pairing.Refused) as refused:
            dial(HOST, inviter.port, "00000000", random=os.urandom)
        assert refused.value.reason == "code"
        with pytest.raises(pairing.WrongCode):
            inviter.result()


def test_of_two_proofs_at_once_one_counts() -> None:
    with waiting() as inviter:
        wires = [stranger(inviter.port) for _ in range(2)]
        ends = [Joiner(code, random=os.urandom) for code in ("00000000", CODE)]
        proofs: list[bytes] = []
        for wire, end in zip(wires, ends, strict=True):
            wire.send(end.hello())
            proofs.append(end.confirm(wire.receive(1024)))
        wires[0].send(proofs[0])
        assert wires[0].receive(1024) == pairing.refusal(Reason.CODE)
        assert gone(wires[1])
        with pytest.raises(pairing.WrongCode):
            inviter.result()
        wires[0].close()


def test_a_recorded_conversation_played_back_is_a_wrong_try() -> None:
    recorded: list[bytes] = []

    class Recording(Wire):
        def send(self, frame: bytes, *, seconds: float = 1) -> None:
            recorded.append(frame)
            super().send(frame, seconds=seconds)

    with waiting() as inviter:
        wire = Recording(socket.create_connection((HOST, inviter.port)))
        proven(wire)
        inviter.result()
        wire.close()
    with waiting() as inviter:
        again = stranger(inviter.port)
        again.send(recorded[0])
        again.receive(1024)
        again.send(recorded[1])
        assert again.receive(1024) == pairing.refusal(Reason.CODE)
        again.close()
        with pytest.raises(pairing.WrongCode):
            inviter.result()


def test_an_impostor_learns_nothing_and_is_told_apart() -> None:
    """The person types the right code at the wrong address."""
    with socket.create_server((HOST, 0)) as impostor, ThreadPoolExecutor(1) as pool:

        def answer() -> bytes:
            wire = Wire(impostor.accept()[0])
            end = pairing.Inviter("00000000", random=os.urandom)
            wire.send(end.hello(wire.receive(1024)))
            proof = wire.receive(1024)
            wire.send(pairing._ENCODER.encode(pairing.Confirm(b"\0" * 32)))  # noqa: SLF001
            wire.close()
            return proof

        said = pool.submit(answer)
        with pytest.raises(pairing.WrongCode, match="does not know the code"):
            dial(HOST, impostor.getsockname()[1], CODE, random=os.urandom)
        assert len(said.result(30)) < 100


# Time, and other versions ---------------------------------------------------------------------------------------------


def test_an_invitation_ends_after_its_time() -> None:
    with waiting(seconds=0.2) as inviter:
        wire = stranger(inviter.port)
        with pytest.raises(PairingError, match="the code was not used in time"):
            inviter.result()
        assert gone(wire)
    with pytest.raises(PairingError, match="nobody waits at"):
        dial(HOST, inviter.port, CODE, random=os.urandom)


def test_ten_minutes_are_counted_by_the_clock() -> None:
    now = [1000.0]
    with waiting(monotonic=lambda: now[0]) as inviter:
        first = stranger(inviter.port)
        first.send(Joiner(CODE, random=os.urandom).hello())
        first.receive(1024)
        now[0] += limits.PAIRING_CODE_SECONDS - 1
        second = stranger(inviter.port)  # it wakes the inviter, which hangs up on who has proven nothing for so long
        assert gone(first)
        now[0] += 2
        stranger(inviter.port).close()
        with pytest.raises(PairingError, match="not used in time"):
            inviter.result()
        assert gone(second)


def test_a_later_version_is_told_at_both_ends_and_costs_nothing() -> None:
    with waiting() as inviter:
        wire = stranger(inviter.port)
        wire.send(pairing._ENCODER.encode(Hello(2, b"A" + b"\5" * 32)))  # noqa: SLF001
        assert wire.receive(1024) == pairing.refusal(Reason.VERSION)
        wire.close()
        with dial(HOST, inviter.port, CODE, random=os.urandom), inviter.result():
            pass
    assert "speaks version 2 of pairing, this one 1" in inviter.told[0]


# Strangers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0\0\4\1" + b"x" * 1025,
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\1\xc1",
    ],
)
def test_what_is_not_pairing_is_hung_up_on_and_costs_nothing(said: bytes) -> None:
    with waiting() as inviter:
        raw = socket.create_connection((HOST, inviter.port))
        raw.sendall(said)
        assert gone(Wire(raw))
        with dial(HOST, inviter.port, CODE, random=os.urandom), inviter.result():
            pass


def test_a_connection_that_goes_away_at_any_point_before_its_proof_costs_nothing() -> None:
    with waiting() as inviter:
        for said in range(3):
            wire = stranger(inviter.port)
            if said:
                wire.send(Joiner(CODE, random=os.urandom).hello())
            if said == 2:
                wire.receive(1024)
            wire.close()
        with dial(HOST, inviter.port, CODE, random=os.urandom), inviter.result():
            pass


def test_a_frame_may_come_byte_by_byte() -> None:
    with waiting() as inviter:
        raw = socket.create_connection((HOST, inviter.port))
        end = Joiner(CODE, random=os.urandom)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = end.hello()
        for byte in len(hello).to_bytes(4, "big") + hello:
            raw.sendall(bytes((byte,)))
        wire = Wire(raw)
        wire.send(end.confirm(wire.receive(1024)))
        end.channel(wire.receive(1024))
        inviter.result()
        wire.close()


@pytest.mark.parametrize("hellos", [False, True])
def test_a_thousand_half_open_connections_keep_nobody_out(*, hellos: bool) -> None:
    count = 1000
    allow_descriptors(count + 200)
    hello = Joiner("00000000", random=os.urandom).hello()
    before = threading.active_count()
    with waiting() as inviter, ExitStack() as stack:
        for number in range(count):
            connection = stack.enter_context(socket.create_connection((HOST, inviter.port), timeout=30))
            if hellos and number % 10 == 0:
                connection.sendall(len(hello).to_bytes(4, "big") + hello)
        with dial(HOST, inviter.port, CODE, random=os.urandom), inviter.result():
            pass
        assert threading.active_count() <= before + 1


def test_the_right_one_gets_through_while_the_flood_goes_on() -> None:
    stop = threading.Event()

    def flood(port: int) -> int:
        count = 0
        while not stop.is_set():
            try:
                socket.create_connection((HOST, port), timeout=5).close()
            except OSError:
                break
            count += 1
        return count

    with waiting() as inviter, ThreadPoolExecutor(2) as pool:
        floods = [pool.submit(flood, inviter.port) for _ in range(2)]
        try:
            with dial(HOST, inviter.port, CODE, random=os.urandom), inviter.result():
                pass
        finally:
            stop.set()
        assert sum(flood.result(30) for flood in floods) > 0


def test_never_more_strangers_than_the_bound_are_kept() -> None:
    with waiting() as inviter:
        wires = [stranger(inviter.port) for _ in range(3 * limits.PAIRING_UNCONFIRMED_MAX)]
        for wire in wires[: 2 * limits.PAIRING_UNCONFIRMED_MAX]:  # the oldest made room
            assert gone(wire)
        assert proven(wires[-1])
        inviter.result()
        for wire in wires:
            wire.close()


# The joiner's side ----------------------------------------------------------------------------------------------------


def test_an_address_where_nobody_waits_says_what_to_do() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PairingError, match=f"nobody waits at {HOST}:{port}") as refused:
        dial(HOST, port, CODE, random=os.urandom)
    assert "nokosu invite" in refused.value.hint


def test_a_host_that_does_not_exist_says_so() -> None:
    with pytest.raises(PairingError, match=r"the host nowhere\.invalid is not known here"):
        dial("nowhere.invalid", 1, CODE, random=os.urandom)


def test_something_else_that_answers_is_told_from_an_inviter() -> None:
    with socket.create_server((HOST, 0)) as other, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answered = pool.submit(answer)
        with pytest.raises(PairingError, match="not nokosu's pairing"):
            dial(HOST, other.getsockname()[1], CODE, random=os.urandom)
        answered.result(30)


def test_an_inviter_that_hangs_up_before_anything_was_proven_is_dialled_again() -> None:
    attempts = []
    with socket.create_server((HOST, 0)) as other, ThreadPoolExecutor(1) as pool:

        def hang_up() -> None:
            for _ in range(limits.PAIRING_DIALS_MAX):
                connection, _ = other.accept()
                attempts.append(time.monotonic())
                connection.close()

        hung_up = pool.submit(hang_up)
        with pytest.raises(Dropped):
            dial(HOST, other.getsockname()[1], CODE, random=os.urandom)
        hung_up.result(30)
    assert len(attempts) == limits.PAIRING_DIALS_MAX


def test_an_address_or_port_that_is_not_ours_is_refused() -> None:
    for address, port in (("192.0.2.99", 0), ("::ffff", 0)):
        with pytest.raises(UsageError, match="listen: cannot listen on"):
            Invitation(CODE, random=os.urandom, address=address, port=port)
    with socket.create_server((HOST, 0)) as taken, pytest.raises(UsageError, match="cannot listen"):
        Invitation(CODE, random=os.urandom, address=HOST, port=taken.getsockname()[1])


# Frames ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\0\0\0\5abcde", ""),
        (b"\0\0\0\6abcdef", "says too much"),
        (b"\0\0\0\5abc", "hung up"),
        (b"\0\0", "hung up"),
        (b"", "hung up"),
    ],
)
def test_a_frame_is_whole_and_bounded(said: bytes, words: str) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    theirs.close()
    wire = Wire(ours)

    def receive() -> bytes:
        return wire.receive(5)

    if not words:
        assert receive() == b"abcde"
    else:
        with pytest.raises(PairingError, match=words):
            receive()
    wire.close()


def test_a_frame_that_trickles_in_has_one_deadline_for_all_of_it() -> None:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    theirs.sendall(b"\0\0\0\5ab")
    with pytest.raises(PairingError, match="does not answer"):
        wire.receive(5, seconds=0.05)
    theirs.sendall(b"cde")
    assert wire.receive(5) == b"abcde"
    wire.close()
    theirs.close()
