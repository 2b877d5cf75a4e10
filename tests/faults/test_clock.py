"""The machine's clock is set back: the times of records go on rising, over a restart too."""

from __future__ import annotations

from pathlib import Path

import pytest

from nokosu.clock import system_wall_clock
from nokosu.drafts import Filters
from nokosu.nokosu import Nokosu
from nokosu.times import DAY_MS
from tests.faults import stores


@pytest.mark.parametrize("reopened", [False, True])
def test_a_clock_that_is_set_back_a_day_sets_no_time_back(reopened: bool, home: Path) -> None:
    now = system_wall_clock()
    shown = [now, now + 5, now - DAY_MS, now - DAY_MS, now - DAY_MS + 1, now + 6]
    clock = shown[:1]
    memory = Nokosu(stores.config(home), wall_clock=lambda: clock[0])
    saved: list[str] = []
    for clock[0] in shown:
        if reopened:
            memory.close()
            memory = Nokosu(stores.config(home), wall_clock=lambda: clock[0])
        saved.append(memory.save(stores.note(len(saved))).id)
    assert [hit.id for hit in memory.list(Filters()).hits] == saved[::-1]
    memory.close()
    stores.assert_chained(home)
