"""Which TCP sockets a process has, as Linux tells it: where it really listens, whatever it was configured to, and who is
connected.

Source: proc_pid_net(5), proc_pid_fd(5).
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

_LISTENING: Final = "0A"
_ESTABLISHED: Final = "01"


class Sockets(Struct, frozen=True):
    """Addresses, HOST:PORT: where it listens, and both ends of each connection, its own first."""

    listening: tuple[str, ...] = ()
    connected: tuple[tuple[str, str], ...] = ()


def of_process(pid: int, proc: Path = Path("/proc")) -> Sockets:
    """The sockets of a process of ours; nothing where the system does not tell. *proc* is for tests."""
    own = _inodes(proc / str(pid) / "fd")
    if not own:
        return Sockets()
    rows = [row for name in ("tcp", "tcp6") for row in _rows(proc / str(pid) / "net" / name) if row[3] in own]
    return Sockets(
        listening=tuple(here for here, _, state, _ in rows if state == _LISTENING),
        connected=tuple((here, there) for here, there, state, _ in rows if state == _ESTABLISHED),
    )


def _inodes(folder: Path) -> set[str]:
    found = set()
    with suppress(OSError):
        for entry in folder.iterdir():
            with suppress(OSError):  # closed meanwhile
                found.add(os.readlink(entry))  # noqa: PTH115 - "socket:[123]" is no path
    return {name.removeprefix("socket:[").removesuffix("]") for name in found if name.startswith("socket:[")}


def _rows(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Of each socket the two addresses, the state and the inode."""
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9:
            yield _address(fields[1]), _address(fields[2]), fields[3], fields[9]


def _address(field: str) -> str:
    """An address from its hexadecimal form: words of 32 bits, each in the machine's order."""
    host, _, port = field.partition(":")
    raw = bytes.fromhex(host)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ipaddress.ip_address(raw)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    shown = f"[{found}]" if mapped is None and found.version == 6 else str(mapped or found)
    return f"{shown}:{int(port, 16)}"
