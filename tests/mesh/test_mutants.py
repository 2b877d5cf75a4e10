"""Broken on purpose: what the simulation must turn red on. A simulation that finds nothing in these finds nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nokosu.mesh import holdings
from nokosu.mesh.audit import Audit, Subject
from nokosu.mesh.reconcile import Reconcile
from nokosu.mesh.stored import Stored
from nokosu.store import chain, counting
from nokosu.store.log import Head, Log
from nokosu.store.roster import Space
from nokosu.testing import LoopbackMesh, Story
from nokosu.testing.host import Host
from nokosu.testing.remembered import remembered
from tests.mesh import test_storages
from tests.mesh.test_storages import MakeMesh, mesh_maker


def is_red(seeds: range, folder: Path, steps: int, *, storages: int = 0) -> bool:
    """Whether one of these runs fails."""
    for seed in seeds:
        try:
            with (
                remembered(),
                LoopbackMesh(seed, folder / str(seed), storages=storages, wakes_per_second=4) as mesh,
            ):
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

    def counting_all(connection: Any, log: Any, record: Any, *, cut: bool, **rest: Any) -> chain.Inserted:
        return insert(connection, log, record, cut=False, **rest)

    monkeypatch.setattr(chain, "insert", counting_all)
    monkeypatch.setattr(counting, "put_cuts", lambda connection, changed: None)
    assert is_red(range(12), quick_path, 300)


# What storages hold -----------------------------------------------------------------------------------------------------


def is_caught(test: Callable[[MakeMesh], None], folder: Path) -> bool:
    """Whether a test of the storages turns red."""
    made: list[LoopbackMesh] = []
    try:
        test(mesh_maker(folder, made))
    except AssertionError:
        return True
    finally:
        for mesh in made:
            mesh.close()
    return False


def test_a_storage_that_is_believed_without_an_answer_is_found(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_again = Audit.ask_again

    def believing(self: Audit) -> None:
        if self.subject == Subject.PAGE:
            self.left.clear()
        ask_again(self)

    monkeypatch.setattr(Audit, "ask_again", believing)
    assert is_red(range(8), quick_path, 100, storages=1)


def test_pages_that_are_never_looked_at_again_are_found(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stored, "forget", lambda *_: None)
    assert is_caught(test_storages.test_a_storage_that_was_wiped_is_filled_again_by_any_device, quick_path / "1")
    assert is_caught(test_storages.test_a_storage_that_is_put_back_from_a_copy_is_filled_again, quick_path / "2")


def test_stamps_that_do_not_outdo_what_lies_there_are_found(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = Host.stamp
    monkeypatch.setattr(Host, "stamp", lambda self, later_than: stamp(self, 0))
    assert is_caught(test_storages.test_a_clock_that_is_set_back_does_not_hide_an_announcement, quick_path / "1")
    assert is_caught(test_storages.test_a_purged_memory_lies_in_no_storage_with_its_text, quick_path / "2")


def test_texts_that_are_never_scrubbed_in_a_storage_are_found(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "purged", lambda *_: {})
    assert is_red(range(8), quick_path, 300, storages=1)
