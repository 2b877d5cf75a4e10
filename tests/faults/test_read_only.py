"""The home may only be read, as in an agent's sandbox: searching works, a save says why it does not, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nokosu.drafts import Query
from nokosu.errors import StoreReadOnly
from nokosu.nokosu import Nokosu
from nokosu.store.connection import Database
from tests.faults import mounts, stores
from tests.faults.children import ask_without_the_right_to_write, children, save_for_ever

TEXTS = sorted(stores.note(f"first-{number}").text for number in range(3))


@pytest.fixture
def store(small_home: Path, scratch: Path) -> Path:
    scratch.chmod(0o755)  # pytest's own folders are closed to other users
    return stores.copy_home(small_home, scratch / "home")


@contextmanager
def unwritable(home: Path) -> Iterator[None]:
    """Everybody may read *home*, nobody but root may write it."""
    for path in home.iterdir():
        path.chmod(0o444)
    home.chmod(0o555)
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    try:
        yield
        assert {path.name: path.read_bytes() for path in home.iterdir()} == before, "something was written"
    finally:
        home.chmod(0o755)


def answers_in(folder: Path, home: Path | None = None) -> dict[str, str]:
    """What somebody is answered who may only read *folder*; the home is that folder, or inside it."""
    with unwritable(folder), children(ask_without_the_right_to_write, 1, home or folder) as (reader,):
        told: dict[str, str] = reader.hear()
    return told


def expected(home: Path, texts: list[str]) -> dict[str, str]:
    why = f"{home} may not be written by this process (an agent's sandbox?); searching works"
    return {
        "list": repr(sorted(texts)),
        "search": repr(len(texts)),
        "verify": "()",
        "save": f"StoreReadOnly: not saved: {why}",
    }


def test_a_store_that_nobody_has_open_can_be_searched(store: Path) -> None:
    assert answers_in(store) == expected(store, TEXTS)


def test_a_store_that_somebody_writes_can_be_searched(store: Path) -> None:
    draft = stores.note("more")
    with stores.open_store(store) as memory:
        memory.save(draft)
        assert answers_in(store) == expected(store, [*TEXTS, draft.text])


def test_a_store_whose_writer_was_killed_can_be_searched(store: Path) -> None:
    with children(save_for_ever, 1, store) as (writer,):
        writer.tell("killed")
        writer.hear()
        writer.kill()
    told = answers_in(store)
    with stores.open_store(store) as memory:
        texts = [text for _, text in stores.seen(memory).values()]
    assert told["search"] == expected(store, texts)["search"]
    assert told["save"] == expected(store, texts)["save"]


def test_a_store_that_was_never_opened_where_it_lies_says_what_to_do(store: Path) -> None:
    for path in store.glob("*-*"):
        path.unlink()
    why = f"{store} may not be written by this process, and nobody who may has opened its store yet"
    assert answers_in(store) == {
        "list": f"StoreReadOnly: {why}",
        "search": f"StoreReadOnly: {why}",
        "verify": f"StoreReadOnly: {why}",
        "save": f"StoreReadOnly: not saved: {why}",
    }


def test_a_store_that_an_older_nokosu_made_says_what_to_do(store: Path) -> None:
    database = Database(stores.config(store).database)
    with database.write() as connection:
        connection.pragma("user_version", 1001)
    database.close()
    why = f"an older nokosu made the store, and this process may not write {store} to bring it up to date"
    assert answers_in(store) == {
        "list": f"StoreReadOnly: {why}",
        "search": f"StoreReadOnly: {why}",
        "verify": f"StoreReadOnly: {why}",
        "save": f"StoreReadOnly: not saved: {why}",
    }


def test_a_home_that_cannot_be_made_says_so(scratch: Path) -> None:
    home = scratch / "closed" / "home"
    home.parent.mkdir()
    scratch.chmod(0o755)
    assert answers_in(home.parent, home) == {
        "list": "[]",
        "search": "0",
        "verify": "()",
        "save": f"StoreReadOnly: not saved: cannot make {home} (Permission denied)",
    }


@pytest.mark.system
@mounts.needs_root
def test_a_store_on_a_read_only_mount_can_be_searched(store: Path, tmp_path: Path) -> None:
    with mounts.seen_read_only(store, tmp_path / "seen") as seen, Nokosu(stores.config(seen)) as memory:
        assert memory.search(Query(text="deploy")).total == 3
        stores.assert_verified(memory)
        with pytest.raises(StoreReadOnly) as raised:
            memory.save(stores.note("refused"))
        assert raised.value.message == expected(seen, [])["save"].removeprefix("StoreReadOnly: ")
