"""Other processes: what they do, and how a test starts them.

They are forked from one server process that has imported the product and opened nothing: quick to start, and free of the
threads and locks of the process that runs the tests. Each tells the test by a pipe what it has done.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from nokosu.errors import NokosuError
from nokosu.nokosu import Nokosu
from tests.faults import stores

WAIT_S = 60.0
"""How long a test waits for a child before it fails."""

Arguments = ParamSpec("Arguments")


def forked() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nokosu.nokosu", "nokosu.store.connection", "nokosu.search.engine"])
    return context


class Child:
    """A process that runs one of the functions below, and the pipe between us."""

    def __init__(self, process: ForkServerProcess, pipe: Connection) -> None:
        self._process = process
        self.pipe = pipe

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def hear(self) -> Any:
        """The next thing that the child tells; what it raised is raised here."""
        assert self.pipe.poll(WAIT_S), f"process {self.pid} said nothing for {WAIT_S:g} s"
        told = self.pipe.recv()
        if isinstance(told, BaseException):
            raise told
        return told

    def hear_the_rest(self) -> Iterator[Any]:
        """What a child that is dead had told before."""
        with suppress(EOFError, OSError):  # the last thing may have been told by half
            while True:
                yield self.pipe.recv()

    def tell(self, what: object) -> None:
        self.pipe.send(what)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(WAIT_S)
        assert self._process.exitcode is not None


@contextmanager
def children(
    work: Callable[Concatenate[Connection, Arguments], None],
    number: int,
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> Iterator[list[Child]]:
    """That many processes that run *work*; none of them lives longer than the block."""
    context = forked()
    started: list[Child] = []
    try:
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run, args=(work, theirs, arguments, options), daemon=True)
            process.start()
            theirs.close()
            started.append(Child(process, ours))
        yield started
    finally:
        for child in started:
            child.kill()
            child.pipe.close()


def _run(work: Callable[..., None], pipe: Connection, arguments: Sequence[Any], options: dict[str, Any]) -> None:
    try:
        work(pipe, *arguments, **options)
    except Exception as error:  # noqa: BLE001 - the test is to see whatever it is
        pipe.send(error if not isinstance(error, NokosuError) else RuntimeError(repr(error)))


# What a child does ----------------------------------------------------------------------------------------------------


def save_for_ever(pipe: Connection, home: Path) -> None:
    """Hear a name, save one memory after another under it, and tell each id after it was acknowledged."""
    name = pipe.recv()
    with stores.open_store(home) as memory:
        for number in count():
            pipe.send(memory.save(stores.note(f"{name}-{number}")).id)


def save_some(pipe: Connection, home: Path, start: Barrier, number: int) -> None:
    """Wait until all are there, save that many memories, and tell their ids and texts."""
    start.wait(WAIT_S)
    with stores.open_store(home) as memory:
        drafts = [stores.note(f"{os.getpid()}-{one}") for one in range(number)]
        pipe.send({memory.save(draft).id: draft.text for draft in drafts})


def stop_inside_a_transaction(pipe: Connection, home: Path) -> None:
    """Save a memory, but tell and wait for an answer in the middle of it; then tell its id."""

    def wall_clock() -> int:
        pipe.send("inside")
        return int(pipe.recv())

    with Nokosu(stores.config(home), wall_clock=wall_clock) as memory:
        pipe.send(memory.save(stores.note("stopped")).id)
