"""Devices for tests of the mesh: homes with real processes, paired as a person pairs them, and what must hold of them.

Here they are all on this machine and reach each other on its loopback; `hosts` puts each on a network of its own.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

import pytest

from nokosu import Draft, Nokosu, node_process
from nokosu.clock import WallClock, system_wall_clock
from nokosu.config import Config
from nokosu.records import Author
from nokosu.store.connection import Database

ROOT: Final = Path(__file__).parents[1]
NOKOSU: Final = (sys.executable, "-m", "nokosu")
SECONDS_MAX: Final = 60.0

_ANSWER_SECONDS: Final = 30.0  # for a command to say what it found, beyond what it was told to wait

_JOIN: Final = re.compile(r"nokosu join (\S+) (\S+)")
_LOCAL_FIELDS: Final = frozenset({"expired"})  # of an export: they depend on when it was written


class Done(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which has to be one JSON document."""
        return json.loads(self.out)


def eventually(holds: Callable[[], object], seconds: float = SECONDS_MAX, every: float = 0.05) -> Any:
    """Wait until *holds* gives something true, and return that; an assertion fails when the time is over."""
    until = monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert monotonic() < until, f"not within {seconds:g} s: {holds}"
        sleep(every)


class Home:
    """One device: its name, its home, its address, and the commands typed there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.address = self.listens_at = "127.0.0.1"
        self.folder = folder / name
        self.home = self.folder / "nokosu"
        self.work = self.folder / "work"
        for path in (self.folder, self.work, self.home, self.folder / "user", self.folder / "run"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "config.toml").write_text(f'device_name = "{name}"\n')
        (self.home / "config.toml").chmod(0o600)
        self.env = {
            "HOME": str(self.folder / "user"),
            "NOKOSU_HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "NOKOSU_EMBEDDER": "off",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "LANG": "C.UTF-8",
        }

    def __repr__(self) -> str:
        return self.name

    def __call__(
        self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None, seconds: float = SECONDS_MAX
    ) -> Done:
        """Run `nokosu` on this device to its end."""
        done = subprocess.run(
            self.command(*NOKOSU, *words),
            input=stdin,
            env={**self.env, **(env or {})},
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **more: Any) -> Done:
        """Run `nokosu`, which has to succeed."""
        done = self(*words, **more)
        assert done.code == 0, f"nokosu {' '.join(words)} on {self.name}: {done.code}\n{done.out}{done.err}"
        return done

    def command(self, *words: str) -> list[str]:
        """The command line that runs *words* on this device."""
        return list(words)

    @contextmanager
    def started(self, *command: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        """A process on this device, ended with the block."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings: dict[str, Any] = {"env": self.env, "cwd": self.work, "text": True, **pipes, **more}
        with subprocess.Popen(self.command(*command), **settings) as process:
            try:
                yield process
            finally:
                process.kill()

    # Its memories -----------------------------------------------------------------------------------------------------

    def open(self, *, wall_clock: WallClock = system_wall_clock, vfs: str | None = None) -> Nokosu:
        """Its store, by the door that its commands use: nothing there asks a network, so it may be opened from anywhere."""
        settings = Config(
            home=self.home, author=Author(agent="tester", host=self.name), user_home=self.folder, device_name=self.name
        )
        return Nokosu(settings, wall_clock=wall_clock, vfs=vfs)

    def save(self, *texts: str, wall_clock: WallClock = system_wall_clock) -> list[str]:
        """Save memories one by one; their ids."""
        with self.open(wall_clock=wall_clock) as memory:
            return [memory.save(Draft(text=text)).id for text in texts]

    def forget(self, *ids: str) -> None:
        with self.open() as memory:
            for id in ids:
                memory.forget(id)

    def texts(self) -> set[str]:
        """What it shows: the texts of all live memories."""
        return {one["text"] for one in self.exported() if one["status"] == "live"}

    def exported(self, space: str = "") -> list[dict[str, Any]]:
        """Every memory, or every one of a space, as an export writes it, in the order of the ids."""
        lines = self.ok("export").out.splitlines()
        memories = [{name: it for name, it in json.loads(line).items() if name not in _LOCAL_FIELDS} for line in lines]
        return sorted(
            (one for one in memories if one["space"] == (space or one["space"])), key=lambda one: str(one["id"])
        )

    def logs(self, space: str = "personal") -> str:
        """The logs of a space as they lie in the file: their number, and one hash over every record's place."""
        rows = self.rows(
            "SELECT log.id, record.seq, record.hash, record.body IS NULL FROM record JOIN log ON log.n = record.log"
            " JOIN space ON space.n = log.space WHERE space.name = ? ORDER BY 1, 2, 3",
            space,
        )
        return f"{len(rows)} records {sha256(repr(rows).encode()).hexdigest()[:16]}"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the file says."""
        database = Database(self.home / "nokosu.db")
        try:
            return [tuple(row) for row in database.rows(sql, values)]
        finally:
            database.close()

    # Its node ---------------------------------------------------------------------------------------------------------

    def node(self) -> dict[str, Any]:
        """What `nokosu node status --json` says; empty when it says nothing."""
        done = self("node", "status", "--json")
        return dict(done.json) if done.out.startswith("{") else {}

    def node_pid(self) -> int:
        """The process id of this device's node, 0 when none runs, or it has not said yet."""
        found = node_process.running(self.home)
        return found.pid if found is not None else 0

    def kill_node(self) -> None:
        """End the node as a crash does."""
        pid = self.node_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not self.node_pid(), 10)

    def peers(self, space: str = "personal") -> dict[str, dict[str, Any]]:
        """What its node says of the other devices of a space, by their names."""
        return {
            str(peer["name"]): peer
            for one in self.node().get("spaces", ())
            if one["name"] == space
            for peer in one["peers"]
        }


def pair(inviter: Home, joiner: Home, *words: str, space: str = "") -> str:
    """Pair two devices as two people would: one reads the line that the other one's screen shows. What `join` said.

    Both listen from then on, so that each can find the other.
    """
    with inviting(inviter, space=space) as (process, line):
        joined = joiner.ok(*line, "--yes", "--listen", joiner.listens_at, *words)
        said = process.stdout.read() if process.stdout is not None else ""
        assert process.wait(SECONDS_MAX) == 0, said
    return joined.out + joined.err


@contextmanager
def inviting(inviter: Home, *, space: str = "") -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`nokosu invite`, waiting; and the words to type on the other device, after `nokosu`."""
    words = ["--listen", inviter.listens_at, *(["--space", space] if space else [])]
    with inviter.started(*NOKOSU, "invite", *words, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        seen: list[str] = []
        for line in process.stdout:
            seen.append(line)
            found = _JOIN.search(line)
            if found and found[1].startswith(f"{inviter.address}:"):
                yield process, ["join", found[1], found[2]]
                return
        raise AssertionError(f"nokosu invite on {inviter} shows no line to type: {''.join(seen)}")


def mesh(*homes: Home) -> None:
    """Pair the first device with each of the others, and wait until all hold the same."""
    for joiner in homes[1:]:
        pair(homes[0], joiner)
    settled(*homes)


def settled(*homes: Home, space: str = "personal", seconds: float = SECONDS_MAX) -> None:
    """Wait until the logs of all these devices are the same, record for record, as they lie in their files."""
    logs: list[str] = []

    def equal() -> bool:
        logs[:] = [home.logs(space) for home in homes]
        return len(set(logs)) == 1

    try:
        eventually(equal, seconds, every=0.1)
    except AssertionError as error:
        found = zip(homes, logs, strict=True)
        lines = "\n".join(f"{home}: {log}\n{home('node', 'status').out}{tail(home)}" for home, log in found)
        raise AssertionError(f"the logs differ after {seconds:g} s:\n{lines}") from error


def agree(*homes: Home, space: str = "personal", seconds: float = SECONDS_MAX) -> None:
    """Wait until the logs of all these devices are the same; then everything that follows from it must be so: their nodes
    say it, by equal vectors, `verify` finds nothing, and all show the same memories. To see that a node is not there any more
    whose token Zenoh has kept, a node takes three questions without an answer, and a new transport.
    """
    settled(*homes, space=space, seconds=seconds)
    for home in homes:
        said = home("sync", "--wait", f"{seconds:.0f}", seconds=seconds + _ANSWER_SECONDS)
        seen = home("node", "status").out if said.code else ""
        assert said.code == 0, f"nokosu sync on {home}: {said.code}\n{said.out}{said.err}{seen}{tail(home)}"
    verified(*homes)
    exports = [home.exported(space) for home in homes]
    for home, export in zip(homes[1:], exports[1:], strict=True):
        assert export == exports[0], f"{home} shows other memories than {homes[0]}"


def verified(*homes: Home) -> None:
    """`nokosu verify` finds nothing on any of them."""
    for home in homes:
        done = home("verify", "--json")
        assert done.code == 0, f"nokosu verify on {home.name}:\n{done.out}{done.err}"
        assert done.json["problems"] == []


def reach(home: Home, *others: Home, seconds: float = SECONDS_MAX) -> None:
    """Wait until the node of *home* says that it is connected to these others."""
    names = {other.name for other in others}
    eventually(lambda: names <= {name for name, peer in home.peers().items() if peer["reachable"]}, seconds, every=0.2)


def loses(home: Home, *others: Home, seconds: float = SECONDS_MAX) -> None:
    """Wait until the node of *home* says that it is not connected to any of these others."""
    names = {other.name for other in others}
    eventually(
        lambda: not names & {name for name, peer in home.peers().items() if peer["reachable"]}, seconds, every=0.2
    )


def tail(home: Home, lines: int = 15) -> str:
    """The end of its node's log, for whoever reads a failure."""
    try:
        return "\n".join((home.home / "node.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def stop(homes: Iterable[Home]) -> None:
    """End every process that these devices have left, frozen ones too."""
    for home in homes:
        pids: Sequence[int] = list(_processes_of(home)) if Path("/proc").is_dir() else [home.node_pid()]
        for pid in pids:
            with suppress(OSError):
                if pid:
                    os.kill(pid, signal.SIGKILL)


def _processes_of(home: Home) -> Iterator[int]:
    """Those that were started with its home in their environment, and its node."""
    wanted = f"NOKOSU_HOME={home.home}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
    yield home.node_pid()


def allow_descriptors(count: int) -> None:
    """Let this process open so many files at once, or skip the test, where its user may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"needs {count} descriptors, and this user may have {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
