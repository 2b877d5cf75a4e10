"""Broken on purpose: what the simulation must turn red on. A simulation that finds nothing in these finds nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nokosu.mesh.reconcile import Reconcile
from nokosu.store import chain, counting
from nokosu.store.log import Head, Log
from nokosu.store.roster import Space
from nokosu.testing import LoopbackMesh, Story
from nokosu.testing.remembered import remembered_signatures


def is_red(seeds: range, folder: Path, steps: int) -> bool:
    """Whether one of these runs fails."""
    for seed in seeds:
        try:
            with remembered_signatures(), LoopbackMesh(seed, folder / str(seed), wakes_per_second=4) as mesh:
                Story(mesh).run(steps)
        except AssertionError:
            return True
    return False


def test_a_vector_that_leaps_over_gaps_is_found(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaping(self: Any, space: Space) -> list[Head]:
        rows = self._database.rows(
            "SELECT log.id, max(record.seq), record.hash FROM record JOIN log ON log.n = record.log WHERE log.space = ? "
            "GROUP BY 1 ORDER BY 1",
            (space.n,),
        )
        return [Head(*row) for row in rows]

    monkeypatch.setattr(Log, "vector", leaping)
    assert is_red(range(8), quick_path, 100)


def test_a_mesh_that_never_compares_is_found(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: Any, *_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(Reconcile, "plan", nothing)
    assert is_red(range(4), quick_path, 60)


def test_a_cut_that_is_ignored_is_found(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = chain.insert

    def counting_all(connection: Any, log: Any, record: Any, *, cut: bool, **rest: Any) -> chain.Appended:
        return insert(connection, log, record, cut=False, **rest)

    monkeypatch.setattr(chain, "insert", counting_all)
    monkeypatch.setattr(counting, "put_cuts", lambda connection, changed: None)
    assert is_red(range(12), quick_path, 300)
