"""Processes are killed at any moment: what they acknowledged is there, and of the save under way all or nothing."""

from __future__ import annotations

import random
import time
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from tests.faults import stores
from tests.faults.children import WAIT_S, Child, children, save_for_ever

STORES = 5
ROUNDS = 10
AT_ONCE = 4  # 5 x 10 x 4 = 200 kills
KILLED_AFTER_S_MAX = 0.03  # after the first acknowledgement


@pytest.mark.parametrize("number", range(STORES))
def test_no_acknowledged_memory_is_lost_when_its_process_is_killed(number: int, home: Path, rng: random.Random) -> None:
    there: dict[str, str] = {}
    for turn in range(ROUNDS):
        with children(save_for_ever, AT_ONCE, home) as savers:
            for saver, letter in zip(savers, "abcd", strict=True):
                saver.tell(f"{turn}{letter}")
            told = killed_at_random(savers, rng)
        acknowledged = dict(there)
        under_way = set()
        for letter, ids in zip("abcd", told, strict=True):
            acknowledged |= {id: stores.note(f"{turn}{letter}-{place}").text for place, id in enumerate(ids)}
            under_way.add(stores.note(f"{turn}{letter}-{len(ids)}").text)
        with stores.open_store(home) as memory:
            there = {id: text for id, (_, text) in stores.seen(memory).items()}
            assert acknowledged.items() <= there.items()
            assert {there[id] for id in there.keys() - acknowledged.keys()} <= under_way
            some = rng.sample(sorted(acknowledged), 5)
            stores.assert_found(memory, some, {id: ("live", there[id]) for id in some})
            stores.assert_verified(memory)
    stores.assert_chained(home)


def killed_at_random(savers: list[Child], rng: random.Random) -> list[list[str]]:
    """Kill each a random time after it told its first id; all ids that each has told."""
    told: dict[Child, list[str]] = {saver: [] for saver in savers}
    ends: dict[Child, float] = {}
    alive = {saver.pipe: saver for saver in savers}
    while alive:
        soonest = min((end for saver, end in ends.items() if saver.pipe in alive), default=time.monotonic() + WAIT_S)
        heard = wait(list(alive), max(0.0, soonest - time.monotonic()))
        now = time.monotonic()
        for saver in [alive[pipe] for pipe in heard if pipe in alive]:
            told[saver].append(saver.hear())
            ends.setdefault(saver, now + rng.uniform(0, KILLED_AFTER_S_MAX))
        for saver in [saver for saver in alive.values() if ends.get(saver, now) < now]:
            saver.kill()
            told[saver] += saver.hear_the_rest()
            del alive[saver.pipe]
    assert all(told.values())
    return list(told.values())
