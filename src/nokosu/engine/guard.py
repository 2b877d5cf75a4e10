"""A process that never outlives us: whatever ends this process, `kill -9` included, ends that one too.

A shell stands between. It starts the program, and a watcher that reads from a pipe whose other end is ours alone: when
that closes, because we close it or because we are gone, the watcher kills the program. The shell stays its parent until
it has ended, so its number is never another's. It works alike on Linux and macOS, and needs nothing but /bin/sh.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from nokosu.errors import MeshError

_SCRIPT: Final = """
umask 077
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
child=$!
{ read -r _ <&3; kill -9 $child; } >/dev/null 2>&1 &
watcher=$!
echo $child
exec 3<&- >/dev/null 2>&1
wait $child
status=$?
kill $watcher
exit $status
"""
_PID_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 2.0


class Guarded:
    """A program that runs until it ends, `stop` is called or this process is no more."""

    def __init__(self, command: Sequence[str], *, environ: dict[str, str], folder: Path, log: Path) -> None:
        """Start *command* in *folder*; what it says is added to *log*.

        Raises:
            MeshError: no process can be started, or *log* not be written.
        """
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "sh", *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=descriptor,
                    cwd=folder,
                    env=environ,
                    start_new_session=True,
                )
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MeshError(f"{command[0]} cannot be started ({error.strerror})") from error
        self.pid = self._told()

    def is_alive(self) -> bool:
        return self._shell.poll() is None

    def ended(self) -> int | None:
        """How it ended, as a shell says it (128 and the signal); None while it runs."""
        return self._shell.poll()

    def stop(self) -> None:
        """End it, and wait until it has; ending it twice is fine."""
        pipe = self._shell.stdin
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
        try:
            self._shell.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:  # somebody has killed the watcher
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()

    def _told(self) -> int:
        """The number of the process, from the shell."""
        pipe = self._shell.stdout
        assert pipe is not None
        with pipe:
            is_there, _, _ = select.select([pipe], [], [], _PID_SECONDS)
            line = pipe.readline() if is_there else b""
        if line.strip().isdigit():
            return int(line)
        self.stop()
        raise MeshError("no process can be started")
