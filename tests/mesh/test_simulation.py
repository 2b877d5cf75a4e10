"""Five hosts, three hundred steps, a network and clocks made of faults: one seed, one run.

`NOKOSU_SEEDS=2000 pytest tests/mesh/test_simulation.py -k seeds -n auto` runs as many; `NOKOSU_SEED=17 pytest
tests/mesh/test_simulation.py -k one_seed` runs one again.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from nokosu.testing import LoopbackMesh, Story
from nokosu.testing.remembered import remembered

QUICK_SEEDS, SYSTEM_SEEDS, CHUNK = 100, 500, 5
SEEDS = int(os.environ.get("NOKOSU_SEEDS", str(QUICK_SEEDS)))
ONE_SEED = os.environ.get("NOKOSU_SEED", "")
STEPS = 300
STORAGES = (0, 1, 0, 2, 0)  # how many a run has, by its seed

OFTEN = (
    "lose", "repeat", "delay", "reorder", "lose question", "break off", "link cut both ways", "link cut one way", "host cut off",
    "links mended", "node killed", "clock set back", "clock wrong by 0.5 s", "clock wrong by 12 s", "clock wrong by 86400 s",
    "kind of a later version", "older copy put back",
)  # fmt: skip


def live_through(seed: int, folder: Path, *, verify_all: bool = False) -> Counter[str]:
    """One run; it says how to run it again when it fails."""
    try:
        storages = STORAGES[seed % len(STORAGES)]
        with (
            remembered(),
            LoopbackMesh(seed, folder, storages=storages, wakes_per_second=4) as mesh,
        ):
            Story(mesh, verify_all=verify_all).run(STEPS)
            return mesh.fired
    except AssertionError as error:
        again = f"NOKOSU_SEED={seed} .venv/bin/python -m pytest tests/mesh/test_simulation.py -k one_seed"
        raise AssertionError(f"{error}\nAgain: {again}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def live_through_all(seeds: range, folder: Path) -> None:
    """Runs; and of the quick ones a check that each kind of fault fired in one of five: one that never happens tests nothing.
    A seed is always the same run, so this does not depend on luck.
    """
    fired: Counter[str] = Counter()
    for seed in seeds:
        fired += live_through(seed, folder / str(seed), verify_all=seed % 10 == 0)
    silent = [kind for kind in OFTEN if not fired[kind]]
    if seeds.stop <= QUICK_SEEDS:
        assert not silent, f"seeds {seeds}: no {', '.join(silent)}"


def chunks(first: int, last: int) -> list[range]:
    return [range(start, min(start + CHUNK, last)) for start in range(first, last, CHUNK)]


def named(seeds: range) -> str:
    return f"{seeds[0]}-{seeds[-1]}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seeds", chunks(0, SEEDS), ids=named)
def test_nothing_is_lost_and_all_become_the_same_for_these_seeds(seeds: range, quick_path: Path) -> None:
    live_through_all(seeds, quick_path)


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seeds", chunks(QUICK_SEEDS, SYSTEM_SEEDS), ids=named)
def test_nothing_is_lost_and_all_become_the_same_for_more_of_them(seeds: range, quick_path: Path) -> None:
    live_through_all(seeds, quick_path)


if ONE_SEED:

    @pytest.mark.timeout(300)
    def test_one_seed(quick_path: Path) -> None:
        live_through(int(ONE_SEED), quick_path / "again", verify_all=True)


def test_one_seed_is_one_run(quick_path: Path) -> None:
    first, second = (live_through(4, quick_path / name) for name in ("first", "second"))
    assert first == second
