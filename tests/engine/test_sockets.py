"""What a process listens at and whom it is connected to, as the system tells it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from nokosu.engine import sockets
from nokosu.engine.sockets import Sockets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.mark.parametrize(
    ("family", "host", "shown"), [("AF_INET", "127.0.0.1", "127.0.0.1"), ("AF_INET6", "::1", "[::1]")]
)
def test_a_listener_and_its_connections_are_found(family: str, host: str, shown: str) -> None:
    with socket.socket(getattr(socket, family)) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            found = sockets.of_process(os.getpid())
            assert f"{shown}:{port}" in found.listening
            assert (f"{shown}:{client.getsockname()[1]}", f"{shown}:{port}") in found.connected
    assert f"{shown}:{port}" not in sockets.of_process(os.getpid()).listening


def test_the_sockets_of_others_are_not_told(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    (folder / "fd").mkdir(parents=True)
    (folder / "net").mkdir()
    (folder / "fd" / "3").symlink_to("socket:[11]")
    (folder / "fd" / "4").symlink_to("/dev/null")
    head = "  sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 {} 1\n"
    (folder / "net" / "tcp").write_text(head + row.format(11) + row.replace("1F40", "0050").format(12))
    if sys.byteorder == "little":
        assert sockets.of_process(7, tmp_path) == Sockets(listening=("127.0.0.1:8000",))
    assert sockets.of_process(8, tmp_path) == Sockets()
