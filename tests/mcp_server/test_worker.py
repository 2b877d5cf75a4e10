"""One thread, one job after another."""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Event, current_thread

import pytest

from nokosu.mcp_server.worker import Worker

WAIT_S = 30.0


def test_jobs_are_done_one_after_another_in_one_thread() -> None:
    async def story() -> None:
        worker = Worker("w")
        done: list[tuple[int, str]] = []

        def note(number: int) -> None:
            done.append((number, current_thread().name))

        await asyncio.gather(*(worker.run(partial(note, n)) for n in range(50)))
        assert done == [(n, "w") for n in range(50)]
        assert worker.close(lambda: None, wait_s=WAIT_S)

    asyncio.run(story())


def test_what_a_job_raises_is_raised_to_who_asked_and_the_next_is_done() -> None:
    async def story() -> None:
        worker = Worker("w")
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        assert await worker.run(lambda: 7) == 7
        assert worker.close(lambda: None, wait_s=WAIT_S)

    asyncio.run(story())


def test_a_job_that_nobody_waits_for_any_more_is_not_begun() -> None:
    async def story() -> None:
        worker, begun, go, done = Worker("w"), Event(), Event(), list[str]()

        def at_work() -> None:
            begun.set()
            go.wait(WAIT_S)
            done.append("first")

        first = asyncio.ensure_future(worker.run(at_work))
        second = asyncio.ensure_future(worker.run(lambda: done.append("second")))
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        second.cancel()
        first.cancel()  # it is at work: it is finished, and its result dropped
        await asyncio.wait([first, second])
        go.set()
        await worker.run(lambda: done.append("third"))
        assert done == ["first", "third"]
        assert worker.close(lambda: None, wait_s=WAIT_S)

    asyncio.run(story())


def test_work_that_can_wait_is_done_when_there_is_nothing_else() -> None:
    async def story() -> None:
        worker, idle, done = Worker("w"), Event(), list[str]()

        def what_can_wait() -> None:
            done.append("idle")
            idle.set()

        await worker.run(lambda: worker.when_idle(what_can_wait))
        for _ in range(5):
            await worker.run(lambda: done.append("asked"))
        assert await asyncio.to_thread(idle.wait, WAIT_S)
        assert done == ["asked"] * 5 + ["idle"]
        assert worker.close(lambda: None, wait_s=WAIT_S)

    asyncio.run(story())


def test_closing_does_the_last_job_after_those_before_it() -> None:
    async def story() -> None:
        worker, done = Worker("w"), list[str]()
        await worker.run(lambda: done.append("first"))
        assert worker.close(lambda: done.append("last"), wait_s=WAIT_S)
        assert done == ["first", "last"]

    asyncio.run(story())


def test_closing_waits_no_longer_than_it_may() -> None:
    async def story() -> None:
        worker, go = Worker("w"), Event()
        waiting = asyncio.ensure_future(worker.run(lambda: go.wait(WAIT_S)))
        await asyncio.sleep(0)
        assert not worker.close(lambda: None, wait_s=0.05)
        go.set()
        await waiting

    asyncio.run(story())


def test_a_worker_that_never_worked_does_its_last_job_at_once() -> None:
    done: list[str] = []
    assert Worker("w").close(lambda: done.append("last"), wait_s=0)
    assert done == ["last"]
