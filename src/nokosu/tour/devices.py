"""The second act: a second device, with its own home and its own node, is paired with a code and shares the memory.

Both are on this machine and talk on its loopback alone. Their nodes are real processes; they are ended with the act,
however it ends.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu.drafts import Draft, Query
from nokosu.errors import MeshError
from nokosu.nokosu import Nokosu
from nokosu.tour.notes import Note
from nokosu.tour.telling import Echo, environ, seconds, short

_LOOPBACK: Final = "127.0.0.1"
_COMMAND_SECONDS_MAX: Final = 30
_CROSSING_SECONDS_MAX: Final = 20.0
_TRY_SECONDS: Final = 2.0
_LINE: Final = re.compile(r"nokosu join (\S+) (\S+)")
_OFFLINE_HERE: Final = "While the other machine slept: the release is cut on Thursday."
_OFFLINE_THERE: Final = "On the train, without a network: the export drops empty columns."


class Device(Struct, frozen=True):
    """A device of the tour: its name in what is told, its home, and the folder that its commands are typed in."""

    name: str
    home: Path
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What its processes are started with; the sockets of its node lie in its home."""
        return {**environ(self.home), "XDG_RUNTIME_DIR": str(self.home)}

    def run(self, *words: str) -> str:
        """Run a command, which has to succeed; what it printed.

        Raises:
            MeshError: it did not; says how.
        """
        done = subprocess.run(
            _command(*words),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            raise MeshError(
                f"nokosu {' '.join(words)} on {self.name} ended with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    def open(self) -> Nokosu:
        """Its store, by the Python door."""
        return Nokosu.open(self.home)


def meet(notes: Sequence[Note], folder: Path, home: Path, echo: Echo) -> bool:
    """Pair a second device with that of *home*; whether everything crossed that was to cross, or nothing could be tried.

    A sandbox may let nobody use a network, not even loopback: then it is said, and that is all.
    """
    echo("")
    echo(f"4. A second device, with a home and a node of its own; the two talk on {_LOOPBACK} only.")
    refused = _refused()
    if refused:
        echo(
            f"   Skipped: no two processes may talk on {_LOOPBACK} here ({refused}). Outside of this sandbox they can."
        )
        return True
    first, second = Device("here", home, folder), Device("there", home.with_name("second"), folder)
    second.home.mkdir(mode=0o700)
    (second.home / "config.toml").write_text('device_name = "second-device"\n')
    try:
        with _nodes_ended(first, second):
            _pair(first, second, echo)
            _cross(first, second, notes[0], echo)
            _apart(first, second, echo)
    except (MeshError, subprocess.TimeoutExpired) as error:
        echo(f"   This did not work: {error}")
        return False
    return True


def _refused() -> str:
    """Why nobody may talk on loopback; empty when one may."""
    try:
        with socket.create_server((_LOOPBACK, 0)) as listener:
            socket.create_connection(listener.getsockname(), timeout=_TRY_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _pair(first: Device, second: Device, echo: Echo) -> None:
    """What two people would type, each on one of two machines."""
    started = time.perf_counter()
    typed = ("invite", "--listen", _LOOPBACK)
    echo(f"   here:  $ nokosu {' '.join(typed)}")
    with subprocess.Popen(
        _command(*typed),
        cwd=first.folder,
        env=first.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as invite:
        try:
            assert invite.stdout is not None
            lines = iter(invite.stdout)
            line = next(filter(None, map(_LINE.search, lines)), None)
            if line is None:
                raise MeshError("nokosu invite shows no line to type")
            echo(f"          {line[0]}")
            echo(f"   there: $ {line[0]} --yes")
            said = second.run("join", line[1], line[2], "--yes")
            for one in said.splitlines():
                echo(f"          {one}")
            invite.wait(_COMMAND_SECONDS_MAX)
        finally:
            invite.kill()
    echo(f"   ({seconds(time.perf_counter() - started)} for both commands)")


def _cross(first: Device, second: Device, note: Note, echo: Echo) -> None:
    """A memory of the first device on the second, and one of the second on the first."""
    echo("")
    echo("5. What was saved here is found there, and the other way round.")
    with first.open() as here, second.open() as there:
        took = _until_found(there, note.question)
        echo(f"   there: ? {note.question}  (found after {seconds(took)})")
        _show(there, note.question, echo)
        text = "Saved on the second device: staging runs on port 8443."
        there.save(Draft(text=text))
        took = _until_found(here, "staging port 8443")
        echo(f"   there: saved {short(text)}")
        echo(f"   here:  found {seconds(took)} later")


def _apart(first: Device, second: Device, echo: Echo) -> None:
    """Both write while the second one's node is down."""
    echo("")
    echo("6. The second device goes offline; both go on saving.")
    second.run("node", "stop")
    echo("   there: $ nokosu node stop")
    with first.open() as here, second.open() as there:
        here.save(Draft(text=_OFFLINE_HERE))
        there.save(Draft(text=_OFFLINE_THERE))
        echo(f"   here:  saved {short(_OFFLINE_HERE)}")
        echo(f"   there: saved {short(_OFFLINE_THERE)}")
        started = time.perf_counter()
        second.run("node", "start")
        echo("   there: $ nokosu node start && nokosu sync --wait")
        said = second.run("sync", "--wait", f"{_CROSSING_SECONDS_MAX:.0f}")
        for line in said.splitlines():
            echo(f"          {line}")
        _until_found(here, _OFFLINE_THERE)
        _until_found(there, _OFFLINE_HERE)
        echo(f"   Both have both, {seconds(time.perf_counter() - started)} after it came back.")


def _until_found(memory: Nokosu, words: str) -> float:
    """Search until there is a hit; after how many seconds.

    Raises:
        MeshError: there is none in time.
    """
    started = time.perf_counter()
    while not memory.search(Query(text=words, all_projects=True, limit=1)).hits:
        if time.perf_counter() - started > _CROSSING_SECONDS_MAX:
            raise MeshError(f"{words!r} was not found within {_CROSSING_SECONDS_MAX:.0f} s")
        time.sleep(0.002)
    return time.perf_counter() - started


def _show(memory: Nokosu, words: str, echo: Echo) -> None:
    for hit in memory.search(Query(text=words, all_projects=True, limit=1)).hits:
        echo(f"          {hit.id}  {short(hit.subject)}  [saved by {hit.agent} on {hit.device}]")


@contextmanager
def _nodes_ended(*devices: Device) -> Iterator[None]:
    """The nodes of the devices end with the block: their homes are about to go."""
    try:
        yield
    finally:
        for device in devices:
            subprocess.run(
                _command("node", "stop"), cwd=device.folder, env=device.environ, capture_output=True,
                timeout=_COMMAND_SECONDS_MAX, check=False,
            )  # fmt: skip


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "nokosu", *words]
