"""Hubs and spokes for tests of the mesh: a real zenohd beside the node, and what really lies in its RocksDB.

A storage is asked here through its own Unix socket, by nobody of ours: what is in it is what a test sees, not what a node
believes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
import zenoh

from nokosu.config import Config
from nokosu.engine import located, plugins
from nokosu.engine.located import Engine
from nokosu.engine.process import CONFIG_NAME
from nokosu.engine.settings import STORAGES
from nokosu.errors import MeshError
from nokosu.mesh import keys, seal
from nokosu.mesh.seal import Keyring
from nokosu.records import Author
from nokosu.store import roster
from nokosu.store.connection import Database
from tests.homes import NOKOSU, SECONDS_MAX, Home, eventually, settled, tail, verified

_NAMED: Final = os.environ.get("NOKOSU_ENGINE", "")  # before `conftest` takes it from the environment
_ADD: Final = re.compile(r"nokosu hub add (\S+) (\S+)")
_SOCKET: Final = "unixsock-stream/"
_READ_SECONDS: Final = 20.0


def engine() -> Engine:
    """The zenohd that these tests run: of `NOKOSU_ENGINE`, of the wheel or of the system.

    Raises:
        MeshError: there is none.
    """
    nowhere = Path("/nonexistent")
    folder = Path(_NAMED) if _NAMED else None
    return located.find(Config(home=nowhere, user_home=nowhere, author=Author(), engine_folder=folder))


def engine_or_skip() -> Engine:
    """The same; without one the tests that want it are skipped, and say how to get it."""
    try:
        return engine()
    except MeshError as reason:
        pytest.skip(f"{reason.message}: make engine")


class _WithEnvironment(Protocol):
    env: dict[str, str]


def use(found: Engine, *machines: _WithEnvironment) -> None:
    """Have these find the same one, also where it was named in our own environment."""
    if found.origin == "NOKOSU_ENGINE":
        for machine in machines:
            machine.env["NOKOSU_ENGINE"] = str(found.plugins)


# Pairing --------------------------------------------------------------------------------------------------------------


def add_hub(member: Home, hub: Home, *, blind: bool = False) -> str:
    """Make *hub* one: it shows a line and waits, and *member* types that line. What both said."""
    command = [*NOKOSU, "hub", "init", "--listen", hub.listens_at, "--blind" if blind else "--yes"]
    with hub.started(*command, stderr=subprocess.STDOUT) as process:
        line = _line_of(hub, process)
        added = member.ok("hub", "add", *line, *(["--blind"] if blind else []))
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait(SECONDS_MAX) == 0, said
    eventually(partial(pid_of, hub))
    return said + added.out + added.err


def make_spoke(home: Home) -> None:
    """Give a device a zenohd of its own; its node runs with it from then on."""
    home.ok("node", "engine", "zenohd")
    eventually(partial(pid_of, home))


def _line_of(hub: Home, process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        found = _ADD.search(line)
        if found and found[1].startswith(f"{hub.address}:"):
            return found[1], found[2]
    raise AssertionError(f"nokosu hub init on {hub} shows no line to type: {''.join(seen)}")


def copy(paired: Path, home: Home) -> None:
    """Give a device the home of one of the same name that was paired and switched off."""
    source = paired / home.name / home.home.name
    for path in source.iterdir():
        if path.is_dir():
            shutil.copytree(path, home.home / path.name)
        elif not path.name.startswith("node."):  # its lock, its log, and that it was stopped
            shutil.copy(path, home.home / path.name)


# What a zenohd keeps --------------------------------------------------------------------------------------------------


class Storage:
    """The two storages of the zenohd that a device runs, or last ran."""

    def __init__(self, home: Home) -> None:
        found = list(home.home.glob(f"engine/*/{CONFIG_NAME}"))
        assert len(found) == 1, f"{home} has {len(found)} zenohd"
        settings = json.loads(found[0].read_text())
        self.home = home
        self.folder = found[0].parent
        self.zid = str(settings["id"])
        listens = [str(one) for one in settings["listen"]["endpoints"]]
        self.socket = next(one.removeprefix(_SOCKET) for one in listens if one.startswith(_SOCKET))
        self.ports = [int(one.rpartition(":")[2]) for one in listens if not one.startswith(_SOCKET)]
        kept = settings["plugins"]["storage_manager"]["storages"]["rec"]["key_expr"]
        self.space = bytes.fromhex(kept.split("/")[2])

    @contextmanager
    def session(self) -> Iterator[zenoh.Session]:
        """A client of this zenohd.

        Raises:
            zenoh.ZError: it does not run.
        """
        opened = zenoh.open(_client(self.socket))
        try:
            yield opened
        finally:
            opened.close()  # type: ignore[no-untyped-call]

    def read(self, key_expr: str = "**") -> dict[str, bytes]:
        """All keys that match below the space's name, with what lies there: of this zenohd and no other.

        Raises:
            zenoh.ZError: it does not run.
        """
        with self.session() as session:
            return read(session, f"{keys.space(self.space)}/{key_expr}", self.zid)

    def records(self, keyring: Keyring) -> dict[str, bool]:
        """The records in it that members can open, by their names."""
        return {
            name: seal.unpack(keyring.open(name, sealed)).body is not None for name, sealed in self.sealed().items()
        }

    def sealed(self) -> dict[str, bytes]:
        """The records in it as they lie there; none while it does not run."""
        try:
            return self.read("rec/**")
        except zenoh.ZError:
            return {}

    def answers(self) -> bool:
        """Whether it runs and lets local clients in."""
        with suppress(zenoh.ZError), self.session():
            return True
        return False

    def databases(self) -> list[Path]:
        """The folders of RocksDB."""
        return [self.folder / name for name in STORAGES]

    def wipe(self) -> None:
        """Take its disk away, while it does not run."""
        for path in self.databases():
            shutil.rmtree(path)

    def keep(self, where: Path) -> None:
        """Make a copy of its disk, while it does not run."""
        for path in self.databases():
            shutil.copytree(path, where / path.name)

    def put_back(self, where: Path) -> None:
        """Put such a copy in the place of its disk, while it does not run."""
        self.wipe()
        for path in self.databases():
            shutil.copytree(where / path.name, path)


def read(session: zenoh.Session, selector: str, zid: str) -> dict[str, bytes]:
    """What the storages of one zenohd answer to a question that goes to all."""
    replies = session.get(
        selector,
        target=zenoh.QueryTarget.ALL,
        consolidation=zenoh.ConsolidationMode.NONE,
        timeout=_READ_SECONDS,
    )
    found: dict[str, bytes] = {}
    for reply in replies:
        who = reply.replier_id
        if reply.ok is not None and who is not None and str(who.zid) == zid:
            found[str(reply.ok.key_expr)] = reply.ok.payload.to_bytes()
    return found


def _client(socket: str) -> zenoh.Config:
    settings: dict[str, Any] = {
        "mode": "client",
        "connect": {"endpoints": [_SOCKET + socket], "timeout_ms": 0, "exit_on_failure": True},
        "listen": {"endpoints": []},
        "scouting": {"multicast": {"enabled": False}, "gossip": {"enabled": False}, "delay": 0},
        "transport": {"shared_memory": {"enabled": False}},
    }
    return zenoh.Config.from_json5(json.dumps(settings))


def pid_of(home: Home) -> int:
    """The process of the zenohd that a device runs; 0 when none does."""
    folder = f"{home.home}/".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if Path(words[0].decode()).name == plugins.PROGRAM and any(word.startswith(folder) for word in words):
                    return int(entry.name)
    return 0


def kill_zenohd(home: Home) -> int:
    """End a zenohd, which must be running, as a crash does; the process that it was."""
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    return pid


def comes_back(home: Home, dead: int) -> None:
    """Wait until a zenohd runs that is not that one."""
    eventually(lambda: pid_of(home) not in (0, dead))


# What a device holds --------------------------------------------------------------------------------------------------


def keyring(home: Home, space: str = roster.PERSONAL) -> Keyring:
    """Every secret of a space that a member knows."""
    database = Database(home.home / "nokosu.db")
    try:
        with database.reading() as connection:
            return Keyring(roster.secrets(connection, roster.space_named(connection, space)), random=os.urandom)
    finally:
        database.close()


def held(home: Home, space: str = roster.PERSONAL) -> dict[str, bool]:
    """The records of a space in a device's file, by the names that they travel under."""
    rows = home.rows(
        "SELECT space.id, log.id, record.seq, record.hash, record.body IS NOT NULL FROM record"
        " JOIN log ON log.n = record.log JOIN space ON space.n = log.space WHERE space.name = ?",
        space,
    )
    return {keys.rec(*place): bool(body) for *place, body in rows}


def hold_all(member: Home, *engines: Home, seconds: float = SECONDS_MAX) -> None:
    """Wait until each of these zenohd keeps every record that *member* holds, and just so: with its body, or without it
    where that is gone.
    """
    opens = keyring(member)
    for home in engines:
        try:
            eventually(partial(_is_complete, member, Storage(home), opens), seconds, every=0.2)
        except AssertionError as error:
            differing = _differing(member, Storage(home), opens)
            names = "\n".join(differing[:5])
            raise AssertionError(
                f"{len(differing)} of {len(held(member))} records are not in the RocksDB of {home}, or otherwise, after"
                f" {seconds:g} s, such as\n{names}\n{home('node', 'status').out}{tail(home)}"
            ) from error


def _is_complete(member: Home, storage: Storage, opens: Keyring) -> bool:
    return not _differing(member, storage, opens)


def _differing(member: Home, storage: Storage, opens: Keyring) -> list[str]:
    found = storage.records(opens)
    return [name for name, has_body in held(member).items() if found.get(name) is not has_body]


def same(*homes: Home, space: str = roster.PERSONAL, seconds: float = SECONDS_MAX) -> None:
    """As `homes.agree`, for devices that need not be on: the same logs in their files, sound, and the same memories."""
    settled(*homes, space=space, seconds=seconds)
    verified(*homes)
    exports = [home.exported(space) for home in homes]
    for home, export in zip(homes[1:], exports[1:], strict=True):
        assert export == exports[0], f"{home} shows other memories than {homes[0]}"


# What a hub's disk shows ----------------------------------------------------------------------------------------------


def places_of(words: Iterable[str], folder: Path) -> dict[str, Path]:
    """Which of these words stand, as bytes, in any file below *folder* or in the name of one; and where."""
    wanted = {word: word.encode() for word in words}
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        data = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        found |= {word: path for word, pattern in wanted.items() if pattern in data}
    return found


# A wrong clock --------------------------------------------------------------------------------------------------------

_CLOCK: Final = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, id, now);
    const char *seconds = getenv("CLOCK_OFFSET_S");
    if (result == 0 && seconds != 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += atol(seconds);
    return result;
}
"""


def wrong_clock(found: Engine, folder: Path, seconds: int) -> dict[str, str]:
    """The environment in which a node, and the zenohd that it starts, see a wall clock that is so far off; made in *folder*,
    which is new.
    """
    folder.mkdir()
    (folder / "clock.c").write_text(_CLOCK)
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "clock.c"], check=True)
    wrong = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_S": str(seconds)}
    for name in plugins.LIBRARIES:
        (folder / name).symlink_to(found.plugins / name)
    words = shlex.join(["env", *(f"{name}={value}" for name, value in wrong.items()), str(found.zenohd)])
    program = folder / plugins.PROGRAM
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')  # a node gives its own environment to no zenohd
    program.chmod(0o755)
    return {**wrong, "NOKOSU_ENGINE": str(folder)}


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process; `VmHWM` is the most that it ever had."""
    found = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
