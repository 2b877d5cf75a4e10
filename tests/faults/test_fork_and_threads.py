"""One object belongs to one process; any number of objects may share a store, in threads as well."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import stores
from tests.faults.children import children, save_around_forks


def test_a_store_that_was_open_before_a_fork_refuses_to_work_in_the_child(home: Path) -> None:
    with children(save_around_forks, 1, home) as (parent,):
        while_open, while_closed, saved = parent.hear(), parent.hear(), parent.hear()
    refused = "this process was forked from one that had the store open: close it before a fork, or spawn"
    assert while_open == {
        "save": f"StoreError: not saved: {refused}",
        "get": f"StoreError: {refused}",
        "search": f"StoreError: {refused}",
        "another save": f"StoreError: not saved: {refused}",
    }
    assert while_closed == {"save": "False", "get": repr(saved[0]), "search": "3", "another save": "True"}
    with stores.open_store(home) as memory:
        assert saved[0] in stores.seen(memory)
        assert len(stores.seen(memory)) == 4
        stores.assert_verified(memory)
    stores.assert_chained(home)


def test_two_objects_in_two_threads_share_a_store(home: Path) -> None:
    start = threading.Barrier(2)

    def save(name: str) -> dict[str, str]:
        start.wait(10)
        with stores.open_store(home) as memory:
            drafts = [stores.note(f"{name}-{number}") for number in range(50)]
            return {memory.save(draft).id: draft.text for draft in drafts}

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(save, ["one", "two"])
    with stores.open_store(home) as memory:
        assert {id: text for id, (_, text) in stores.seen(memory).items()} == one | two
        assert len(one | two) == 100
        stores.assert_verified(memory)
    stores.assert_chained(home)
