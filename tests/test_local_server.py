"""A socket for the processes of one person on one machine: private, in threads, and never more at a time than it may."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from nokosu import limits
from nokosu.local_server import LocalServer
from tests.homes import eventually


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "socket"


class Held:
    """Serves each connection with one letter, once it may."""

    def __init__(self, path: Path) -> None:
        self.may_answer = Event()
        self.server = LocalServer(path, self._serve, name="test")

    def _serve(self, connection: socket.socket) -> None:
        self.may_answer.wait(20)
        connection.sendall(b"x")


@pytest.fixture
def held(path: Path) -> Iterator[Held]:
    made = Held(path)
    yield made
    made.may_answer.set()
    made.server.close()


def connected(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(20)
    try:
        found.connect(os.fspath(path))
    except OSError:
        found.close()
        raise
    return found


def said(connection: socket.socket) -> bytes:
    """All that is said until the other end closes."""
    with connection, connection.makefile("rb") as incoming:
        return incoming.read()


def test_only_its_owner_may_connect_and_is_answered(path: Path, held: Held) -> None:
    held.may_answer.set()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert said(connected(path)) == b"x"


def test_what_a_killed_process_has_left_is_taken_over(path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(os.fspath(path))
    left.close()
    made = Held(path)
    made.may_answer.set()
    assert said(connected(path)) == b"x"
    made.server.close()


def test_more_than_it_may_serve_are_turned_away_and_then_there_is_room_again(path: Path, held: Held) -> None:
    waiting = [connected(path) for _ in range(limits.CONTROLS_AT_ONCE)]
    eventually(lambda: said(connected(path)) == b"")
    held.may_answer.set()
    assert [said(one) for one in waiting] == [b"x"] * len(waiting)
    eventually(lambda: said(connected(path)) == b"x")


def test_one_that_goes_before_it_is_answered_takes_no_room(path: Path, held: Held) -> None:
    for _ in range(limits.CONTROLS_AT_ONCE):
        connected(path).close()
    held.may_answer.set()
    eventually(lambda: said(connected(path)) == b"x")


def test_once_closed_it_is_gone(path: Path, held: Held) -> None:
    held.server.close()
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        connected(path)


def test_where_no_socket_may_be_made_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        LocalServer(tmp_path / "missing" / "socket", lambda _: None, name="test")
