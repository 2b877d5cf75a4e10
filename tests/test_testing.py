"""The shipped test kit does what its docstrings show."""

from __future__ import annotations

import doctest
from pathlib import Path

from nokosu import testing
from nokosu.drafts import TYPES
from nokosu.records import Kind
from nokosu.testing import SAMPLE_DRAFTS, ManualClock, Peer, SeededRandom, Store


def test_the_examples_run() -> None:
    assert doctest.testmod(testing).failed == 0


def test_the_module_s_own_example_holds(tmp_path: Path) -> None:
    clock, random = ManualClock(), SeededRandom(1)
    with Store(tmp_path / "nokosu.db", wall_clock=clock, random=random) as store:
        peer = Peer(store.personal.id, wall_clock=clock, random=random)
        store.admit(peer)
        saved = peer.save("Deploys run from the main branch only.")
        store.log.append_many([peer.edit(saved, text="Deploys run from release branches."), saved])  # in any order
        assert [record.core.kind for record in store.records()] == [Kind.EDIT, Kind.SAVE]
        assert store.log.vector(store.personal)[0].seq == 2


def test_the_same_seed_makes_the_same_records() -> None:
    one, other = (Peer(bytes(16), random=SeededRandom(7)).save("same") for _ in range(2))
    assert one == other
    assert Peer(bytes(16), random=SeededRandom(8)).save("same") != one


def test_the_sample_has_every_type_and_another_script() -> None:
    assert {draft.type for draft in SAMPLE_DRAFTS} == set(TYPES)
    assert any(not draft.text.isascii() for draft in SAMPLE_DRAFTS)
