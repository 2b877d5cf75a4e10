"""Other processes: what they do, and how a test starts them.

They are forked from one server process that has imported the product and opened nothing: quick to start, and free of the
threads and locks of the process that runs the tests. Each tells the test by a pipe what it has done.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import apsw

from nokosu.clock import system_wall_clock
from nokosu.drafts import Filters, Query
from nokosu.errors import NokosuError
from nokosu.nokosu import Nokosu
from nokosu.store import connection, schema
from tests.faults import stores

WAIT_S = 60.0
"""How long a test waits for a child before it fails."""

_NOBODY = 65534

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


def save_in_two_steps(pipe: Connection, home: Path) -> None:
    """Save a memory, but in the middle of it tell so, and wait until something is heard; then tell its id."""
    pauses = iter([True])

    def wall_clock() -> int:
        if next(pauses, False):
            pipe.send("inside")
            pipe.recv()
        return system_wall_clock()

    with Nokosu(stores.config(home), wall_clock=wall_clock) as memory:
        pipe.send(memory.save(stores.note("stopped")).id)


def save_around_forks(pipe: Connection, home: Path) -> None:
    """Tell what a forked child is answered, first when its parent has the store open, then when it does not; and the ids saved."""
    memory = stores.open_store(home)
    ids = [memory.save(stores.note("before")).id]

    def asked_in_child() -> dict[str, str]:
        with stores.open_store(home) as own:
            return {
                "save": answer(lambda: memory.save(stores.note("in the child")).duplicate),
                "get": answer(lambda: memory.get(ids[0]).id),
                "search": answer(lambda: memory.search(Query(text="deploy")).total),
                "another save": answer(lambda: own.save(stores.note("in the child")).duplicate),
            }

    pipe.send(in_a_fork(asked_in_child))
    ids.append(memory.save(stores.note("between")).id)
    memory.close()
    pipe.send(in_a_fork(asked_in_child))
    ids.append(memory.save(stores.note("after")).id)
    memory.close()
    pipe.send(ids)


def in_a_fork(ask: Callable[[], object]) -> object:
    """What *ask* answers in a child that is forked from this process, and then ends."""
    hears, tells = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        tells.send(ask())
        os._exit(0)
    answered = hears.recv()
    os.waitpid(child, 0)
    return answered


def later_migrations() -> tuple[schema.Migration, ...]:
    """The schema of a later version; how often its last migration ran can be counted."""

    def leaves_a_mark(opened: apsw.Connection) -> None:
        opened.execute("INSERT INTO meta (name, value) VALUES (?, 1)", (f"marked {os.getpid()}",))

    return (*schema.MIGRATIONS, leaves_a_mark)


def open_as_a_later_version(pipe: Connection, path: Path, start: Barrier) -> None:
    """Wait until all are there, open the database as a later version does, making it if need be, and tell its version."""
    start.wait(WAIT_S)
    if not path.exists():
        connection.create(path, lambda fresh: None, migrations=later_migrations())
    database = connection.Database(path, migrations=later_migrations())
    with database.reading() as reader:
        pipe.send(schema.version(reader))
    database.close()


def ask_without_the_right_to_write(pipe: Connection, home: Path) -> None:
    """As somebody who may only read: tell what get, search, list and save answer."""
    if os.getuid() == 0:  # root may write whatever the modes say
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    with stores.open_store(home) as memory:
        pipe.send(
            {
                "list": answer(lambda: sorted(hit.text for hit in memory.list(Filters()).hits)),
                "search": answer(lambda: memory.search(Query(text="deploy")).total),
                "verify": answer(lambda: memory.verify().problems),
                "save": answer(lambda: memory.save(stores.note("refused"))),
            }
        )


def search(pipe: Connection, home: Path, words: str) -> None:
    """Tell how many memories a fresh process finds."""
    with stores.open_store(home) as memory:
        pipe.send(memory.search(Query(text=words, limit=100)).total)


def save_against_a_limit(pipe: Connection, home: Path) -> None:
    """Tell how the first save is refused while no file may grow, how the first after some, and that both work afterwards."""
    with stores.open_store(home) as memory:
        with no_file_longer_than(4096):
            pipe.send(answer(lambda: memory.save(stores.note("first"))))
        drafts = [stores.note("first")]
        told = answer(partial(memory.save, drafts[0]))
        with no_file_longer_than(512 * 1024):
            while told.startswith("Saved"):
                drafts.append(stores.note(len(drafts)))
                told = answer(partial(memory.save, drafts[-1]))
            pipe.send(told)
            pipe.send(memory.search(Query(text="deploy", limit=100)).total)
        memory.save(drafts[-1])
        pipe.send([draft.text for draft in drafts])


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Writing beyond that many bytes fails in this process; the system's message is "File too large"."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def answer(call: Callable[[], object]) -> str:
    """What a call answers with, or the error that it raises."""
    try:
        return repr(call())
    except NokosuError as error:
        return f"{type(error).__name__}: {error.message}"
