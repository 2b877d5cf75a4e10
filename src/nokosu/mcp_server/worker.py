"""A thread that does one job after another, for work that blocks: the store, stdin, stdout.

The thread is a daemon: a read that nobody ends, or a save that still waits for another process, never holds up the exit.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

IDLE_S: Final = 0.3
"""How long nobody must have asked for anything before work that can wait begins."""


class Worker:
    """One thread, made at the first job. `run` waits for its job; a job that was not begun when its waiter left is not done."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._idle_job: Callable[[], object] | None = None
        self._thread: Thread | None = None

    async def run(self, job: Callable[[], T]) -> T:
        """Do *job* in the thread, after those that were asked for before; what it returns or raises."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return await asyncio.wrap_future(future)

    def when_idle(self, job: Callable[[], object]) -> None:
        """Called from a job: do *job*, instead of one asked for before, when there has been nothing to do for a moment, or never.

        It may not raise.
        """
        self._idle_job = job

    def close(self, last_job: Callable[[], object], *, wait_s: float) -> bool:
        """Do *last_job* after the jobs before it, and end; whether that took no longer than *wait_s*."""
        if self._thread is None:
            last_job()
            return True
        self._jobs.put((Future(), last_job))
        self._jobs.put(None)
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            try:
                asked = self._jobs.get(timeout=None if self._idle_job is None else IDLE_S)
            except queue.Empty:
                assert self._idle_job is not None
                idle_job, self._idle_job = self._idle_job, None
                idle_job()
                continue
            if asked is None:
                return
            future, job = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - it is raised where the job was asked for
                future.set_exception(error)
