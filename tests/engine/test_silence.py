"""The connections of a process are bounded from outside, old and new, and nothing else of it is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from nokosu import limits
from nokosu.engine.silence import Silence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")

TOLD = (
    "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); sys.stdin.readline(); print(s.getsockopt(6, 18))"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def timeout_of(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def test_connections_of_this_process_end_when_nothing_was_confirmed_for_long(listener: socket.socket) -> None:
    silence = Silence(os.getpid())
    with closing(socket.create_connection(listener.getsockname())) as early:
        assert timeout_of(early) == 0
        silence.look()
        assert timeout_of(early) == limits.SILENT_MS_MAX
        with closing(socket.create_connection(listener.getsockname())) as late:
            silence.look()
            assert timeout_of(late) == limits.SILENT_MS_MAX


def test_what_a_listening_socket_accepts_later_is_bounded_as_well(listener: socket.socket) -> None:
    Silence(os.getpid()).look()
    with closing(socket.create_connection(listener.getsockname())):
        accepted, _ = listener.accept()
        with accepted:
            assert timeout_of(accepted) == limits.SILENT_MS_MAX


def test_a_child_has_its_connections_bounded_from_outside(listener: socket.socket) -> None:
    with closing(socket.create_connection(listener.getsockname())) as connection:
        number = connection.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", TOLD, str(number)],
            pass_fds=[number],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            Silence(child.pid).look()
            said, _ = child.communicate("\n", timeout=20)
    if int(said) == 0:
        pytest.skip("this system lets nobody touch the sockets of a child")
    assert int(said) == limits.SILENT_MS_MAX


def test_a_process_that_is_gone_is_let_be() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait(20)
    Silence(child.pid).look()
