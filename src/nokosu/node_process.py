"""The node as a process: is it running, start it, ask it, stop it. One for a home, held by a lock file.

Here is nothing of the mesh and nothing of Zenoh, because every command and every agent's server comes here after its own
work. Three files lie in the home: `node.lock`, which the running node holds a lock on (flock) and describes itself in;
`node.log`, what it says; and `node.stopped`, there after a person has stopped it, until a person starts it again.

Whoever starts a node takes the lock first and hands it down to the new process, so however many start one at once, there
is one, and it counts as running from that moment on.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from nokosu import limits
from nokosu.config import Config
from nokosu.errors import MeshError, NokosuError
from nokosu.store import roster
from nokosu.store.connection import Database

LOCK_NAME: Final = "node.lock"
LOG_NAME: Final = "node.log"
STOPPED_NAME: Final = "node.stopped"

_SOCKET_BYTES_MAX: Final = 100  # macOS takes 104 with the zero at the end, and Zenoh puts a name of its own beside ours
_PROBED_AGAIN: Final = 5  # somebody may just be looking whether the lock is held
_PROBE_SECONDS: Final = 0.002
_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 2.5
_ASK_SECONDS: Final = 1.0
_AFTER_FAILURE_SECONDS: Final = 60.0
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")


class Running(Struct, frozen=True):
    """A node that holds the lock, as it describes itself; all empty while it is being started. One that could not work
    leaves behind why, in `failed`.
    """

    pid: int = 0
    version: str = ""
    started: int = 0
    socket: str = ""
    failed: str = ""


class Lock:
    """The lock of a home's node, held by this process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def describe(self, running: Running) -> None:
        """Say who holds it."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, msgspec.json.encode(running) + b"\n", 0)

    def described(self) -> Running:
        """What the last one to hold it has said."""
        return _described(os.pread(self.descriptor, 4096, 0))

    def leave(self) -> None:
        """Let it go, and what was said last as it is."""
        os.close(self.descriptor)

    def release(self, last_words: Running | None = None) -> None:
        """Let it go; the next node may have it."""
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            if last_words is not None:
                self.describe(last_words)
        os.close(self.descriptor)


# Looking --------------------------------------------------------------------------------------------------------------


def running(home: Path, lock_name: str = LOCK_NAME) -> Running | None:
    """The node of *home*, or the process that holds another lock there; None when none runs. Takes some ten microseconds."""
    try:
        descriptor = os.open(home / lock_name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(os.pread(descriptor, 4096, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def is_running(config: Config) -> bool:
    """Whether this home's node runs, or is being started."""
    return running(config.home) is not None


def is_stopped(config: Config) -> bool:
    """Whether a person has stopped it, so that nothing starts it by itself."""
    return (config.home / STOPPED_NAME).exists()


def is_shared(config: Config, database: Database | None = None) -> bool:
    """Whether a space of this home is shared, so that a node has something to carry, as a blind hub always has. *database*
    is the store, where the caller has it open.

    Raises:
        StoreError: the store cannot be read.
    """
    if database is not None:
        with database.reading() as connection:
            return bool(roster.shared_spaces(connection))
    if not config.database.exists():
        return config.is_blind_hub
    database = Database(config.database)
    try:
        return is_shared(config, database)
    finally:
        database.close()


def described(path: Path) -> Running:
    """What the last one to hold the lock file at *path* has said.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    return _described(path.read_bytes()[:4096])


def _described(line: bytes) -> Running:
    try:
        return msgspec.json.decode(line, type=Running)
    except msgspec.DecodeError:
        return Running()


# Starting -------------------------------------------------------------------------------------------------------------


def start_if_needed(config: Config, database: Database | None = None) -> bool:
    """Start the node if a space is shared and none runs, unless it was stopped on purpose or the environment says no; one
    that is older than this process is told to make way for a new one. Returns whether anything was done; never raises.

    Nothing is waited for. *database* is the store, where the caller has it open.
    """
    if not config.starts_node:
        return False
    with suppress(OSError, NokosuError):
        found = running(config.home)
        if found is not None:
            return is_older(found.version) and _replace(found)
        if not is_stopped(config) and is_shared(config, database):
            return _spawn(config, after_failure=False)
    return False


def start(config: Config) -> Running:
    """Start the node because a person says so, and wait until it works; the one that runs, if one does.

    Raises:
        MeshError: it did not start; its log says why.
    """
    try:
        (config.home / STOPPED_NAME).unlink(missing_ok=True)
        _spawn(config)
    except OSError as error:
        raise MeshError(f"the node was not started ({error})", hint="nokosu doctor") from error
    until = time.monotonic() + _START_SECONDS
    while (found := running(config.home)) is not None and time.monotonic() < until:
        if found.socket and Path(found.socket).exists():
            return found
        time.sleep(0.02)  # there is nothing to wait on that a process which is being started could signal
    raise MeshError("the node did not start", hint=f"nokosu node logs; {config.home / LOG_NAME}")


def acquire(home: Path, lock_name: str = LOCK_NAME) -> Lock | None:
    """Take the lock of the node, or another; None when somebody has it.

    Raises:
        OSError: the home may not be written.
    """
    descriptor = os.open(home / lock_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    for _ in range(_PROBED_AGAIN):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PROBE_SECONDS)  # a probe lasts microseconds, a node does not
        except OSError:
            break
        else:
            return Lock(descriptor)
    os.close(descriptor)
    return None


def inherited(home: Path, descriptor: int, lock_name: str = LOCK_NAME) -> Lock | None:
    """The lock that whoever started this process has taken for it; None when that is not it."""
    try:
        mine, there = os.fstat(descriptor), (home / lock_name).stat()
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            return None
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.set_inheritable(descriptor, False)
    except OSError:
        return None
    return Lock(descriptor)


def command(*, lock: int | None = None) -> list[str]:
    """The command line of a node."""
    handed = ["--lock", str(lock)] if lock is not None else []
    return [sys.executable, "-m", "nokosu", "node", "run", *handed]


def environment(config: Config) -> dict[str, str]:
    """What a node is started with: nothing of the agent or the shell that happens to start it."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    root = Path(__file__).parents[1]
    if not {"site-packages", "dist-packages"} & set(root.parts):
        kept["PYTHONPATH"] = str(root)  # from where this process has it
    if config.engine_folder is not None:
        kept["NOKOSU_ENGINE"] = str(config.engine_folder)
    return {**kept, "NOKOSU_HOME": str(config.home)}


def _spawn(config: Config, *, after_failure: bool = True) -> bool:
    """Start the process, apart from this one's group, folder, environment and terminal; False if one is there already, or,
    unless *after_failure*, the last one could not work a moment ago: in an agent's sandbox none ever will.
    """
    lock = acquire(config.home)
    if lock is None:
        return False
    if not after_failure and failed_lately(lock):
        lock.leave()
        return False
    try:
        detach(command(lock=lock.descriptor), lock, config.home / LOG_NAME, environment(config))
    except subprocess.SubprocessError as error:
        raise MeshError("the node did not start", hint="nokosu node run") from error
    return True


def failed_lately(lock: Lock) -> bool:
    """Whether the last one to hold a lock could not work a moment ago."""
    before = lock.described()
    age = time.time() - before.started / 1000  # below zero when the clock was set back meanwhile
    return bool(before.failed) and 0 <= age < _AFTER_FAILURE_SECONDS


def detach(words: Sequence[str], lock: Lock, log_path: Path, environ: Mapping[str, str]) -> None:
    """Start a process that is handed *lock*, apart from this one's group, folder, environment and terminal; what it says goes to
    the end of the file at *log_path*. This process lets the lock go.

    Raises:
        OSError, SubprocessError: it was not started.
    """
    try:
        os.ftruncate(lock.descriptor, 0)
        log = _open_log(log_path)
        try:
            # The shell puts it into the background and ends: nobody is left who would have to wait for the process's end.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=dict(environ),
                pass_fds=(lock.descriptor,),
                start_new_session=True,
                check=True,
            )
        finally:
            os.close(log)
    finally:
        os.close(lock.descriptor)  # ours; the process has its own


def _open_log(path: Path) -> int:
    with suppress(FileNotFoundError):
        if path.stat().st_size > limits.NODE_LOG_BYTES_MAX:
            path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def is_older(version: str) -> bool:
    """Whether a version comes before this process's own."""
    return bool(version) and _numbers(version) < _numbers(own_version())


def is_newer(version: str) -> bool:
    """Whether a version comes after this process's own."""
    return bool(version) and _numbers(version) > _numbers(own_version())


def own_version() -> str:
    """Which nokosu this process is: the package that this module is loaded from, and stands below."""
    return str(sys.modules["nokosu"].__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:3])


def _replace(found: Running) -> bool:
    """Have an older node make way: it goes on as this version if this one was installed in its place; else it ends, and the
    next to look starts this one.
    """
    ask(found, {"do": "restart"}, seconds=_ASK_SECONDS)
    return True


# Asking and stopping --------------------------------------------------------------------------------------------------


def ask(node: Running, request: dict[str, Any], *, seconds: float = _ASK_SECONDS) -> dict[str, Any]:
    """Ask a running node, and have its answer.

    Raises:
        MeshError: it does not answer in time, or cannot do it.
    """
    silent = MeshError(f"the node (process {node.pid}) does not answer", hint="nokosu node logs")
    try:
        with _connected(node.socket, seconds) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(connection, time.monotonic() + seconds))
    except (OSError, ValueError) as error:
        raise silent from error
    if not isinstance(answer, dict):
        raise silent
    if "failed" in answer:
        raise MeshError(f"the node says: {answer['failed']}", hint="nokosu node logs")
    return answer


def stop(config: Config) -> Running | None:
    """Stop the node, so that nothing but a person starts it again; the one that ran, if one did.

    Raises:
        MeshError: it would not end.
    """
    with suppress(FileNotFoundError):
        os.close(os.open(config.home / STOPPED_NAME, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    return end(config)


def end(config: Config) -> Running | None:
    """End the node that runs now, if one does: asked first, then by signal, then by force.

    Raises:
        MeshError: it would not end.
    """
    found = running(config.home)
    if found is None:
        return None
    found = _wait_for_pid(config.home) or found
    with suppress(MeshError):
        ask(found, {"do": "stop"})
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if _is_over(config.home, _STOP_SECONDS):
            return found
        holder = running(config.home)
        if holder is not None and holder.pid:
            with suppress(ProcessLookupError):
                os.kill(holder.pid, signal_number)
    if not _is_over(config.home, _STOP_SECONDS):
        raise MeshError(f"the node (process {found.pid}) does not end", hint=f"kill -9 {found.pid}")
    return found


def _wait_for_pid(home: Path) -> Running | None:
    """What a node that is just being started says of itself, once it does."""
    until = time.monotonic() + _STOP_SECONDS
    while (found := running(home)) is not None and not found.pid and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _is_over(home: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while running(home) is not None:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)  # a lock that is let go tells nobody
    return True


@contextmanager
def _connected(path: str, seconds: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        yield connection


def _line(connection: socket.socket, until: float) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        connection.settimeout(max(until - time.monotonic(), 0.001))
        chunk = connection.recv(65536)
        if not chunk or len(received) > limits.CONTROL_BYTES_MAX:
            raise OSError("no answer")
        received += chunk
    return bytes(received)


# The folder of the sockets --------------------------------------------------------------------------------------------


def socket_folder(config: Config) -> Path:
    """Where this home's node keeps its sockets: the system's folder for that if it has one and the names are not too long
    there, else one below /tmp. Made if need be, for its owner alone.

    Raises:
        MeshError: it cannot be made, or somebody else has made it.
    """
    named = config.runtime
    if (
        named is None
        or len(os.fsencode(named)) + len("/nokosu/0123456789ab-0123456789ab.zenoh.lock") > _SOCKET_BYTES_MAX
    ):
        folder = Path(f"/tmp/nokosu-{os.getuid()}")  # noqa: S108 - checked below: ours, and nobody else may enter
    else:
        folder = named / "nokosu"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise MeshError(f"{folder} cannot be made ({error.strerror})", hint=f"ls -ld {folder}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise MeshError(f"{folder} is not a folder that only its owner may enter", hint=f"ls -ld {folder}")
    return folder


def short_name(home: Path) -> str:
    """A short name for a home, unlike that of any other."""
    return sha256(os.fsencode(home.resolve())).hexdigest()[:12]
