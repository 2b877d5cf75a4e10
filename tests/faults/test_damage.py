"""Bytes of the database file change by themselves: what is shown is right or is not shown, and verify names the damage."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import apsw
import pytest

from nokosu.config import DATABASE_NAME
from nokosu.drafts import Change, Filters, Query
from nokosu.errors import NokosuError, StoreDamaged
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from tests.faults import stores
from tests.faults.stores import Seen

VARIANTS_OF_A_KIND = 50  # of four kinds: 200
PAGE_BYTES = 4096

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
Damage = Callable[[bytearray, random.Random], str]


def flip_a_bit(content: bytearray, rng: random.Random) -> str:
    place, bit = rng.randrange(len(content)), rng.randrange(8)
    content[place] ^= 1 << bit
    return f"bit {bit} of byte {place} is flipped"


def zero_a_page(content: bytearray, rng: random.Random) -> str:
    page = rng.randrange(len(content) // PAGE_BYTES)
    content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
    return f"page {page + 1} is zeroed"


def truncate(content: bytearray, rng: random.Random) -> str:
    size = rng.randrange(len(content))
    del content[size:]
    return f"truncated to {size} bytes"


def swap_two_pages(content: bytearray, rng: random.Random) -> str:
    return swap(content, *rng.sample(range(len(content) // PAGE_BYTES), 2))


def swap(content: bytearray, *pages: int) -> str:
    one, other = (page * PAGE_BYTES for page in pages)
    content[one : one + PAGE_BYTES], content[other : other + PAGE_BYTES] = (
        content[other : other + PAGE_BYTES],
        content[one : one + PAGE_BYTES],
    )
    return f"pages {one // PAGE_BYTES + 1} and {other // PAGE_BYTES + 1} are swapped"


@pytest.fixture(scope="module")
def whole_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with memories that were edited and forgotten, some of them long."""
    rng = random.Random(1)
    home = tmp_path_factory.mktemp("whole") / "home"
    with stores.open_store(home) as memory:
        ids = [memory.save(stores.note(n, rng, words=rng.choice([10, 1000]))).id for n in range(40)]
        for n, id in enumerate(ids[:12]):
            memory.edit(id, Change(text=stores.note(f"edited-{n}", rng).text))
        for id in ids[8:16]:
            memory.forget(id)
    return home


@pytest.mark.parametrize("damage", [flip_a_bit, zero_a_page, truncate, swap_two_pages])
def test_damage_is_never_served_and_verify_names_it(
    damage: Damage, whole_home: Path, scratch: Path, rng: random.Random
) -> None:
    with stores.open_store(whole_home) as memory:
        right = stores.seen(memory)
    records = raw_records(whole_home)
    whole = stores.config(whole_home).database.read_bytes()
    for number in range(VARIANTS_OF_A_KIND):
        content = bytearray(whole)
        name = damage(content, rng)
        home = scratch / f"{number}"
        home.mkdir()
        stores.config(home).database.write_bytes(content)
        with stores.naming(name), stores.open_store(home) as memory:
            assert_nothing_wrong_is_shown(memory, right)
            if raw_records(home) != records:
                assert is_named(memory)


def test_a_record_is_not_taken_for_the_row_of_a_memory(whole_home: Path, scratch: Path) -> None:
    with stores.open_store(whole_home) as memory:
        right = stores.seen(memory)
    whole = stores.config(whole_home).database.read_bytes()
    for number, (one, other) in enumerate(
        itertools.product(leaves(whole_home, "memory"), leaves(whole_home, "record"))
    ):
        content = bytearray(whole)
        name = swap(content, one, other)
        home = scratch / f"{number}"
        home.mkdir()
        stores.config(home).database.write_bytes(content)
        with stores.naming(name), stores.open_store(home) as memory:
            assert_nothing_wrong_is_shown(memory, right)


def leaves(home: Path, table: str) -> list[int]:
    """Which pages of the file hold the rows of a table, the first being 0."""
    raw = apsw.Connection(f"{stores.config(home).database}", flags=apsw.SQLITE_OPEN_READONLY)
    rows: list[tuple[Any, ...]] = raw.execute(
        "SELECT pageno - 1 FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)
    ).fetchall()
    raw.close()
    return [page for (page,) in rows]


def test_damage_in_the_wal_is_never_served(whole_home: Path, scratch: Path, rng: random.Random) -> None:
    with stores.open_store(stores.copy_home(whole_home, scratch / "open")) as memory:
        for number in range(5):
            memory.save(stores.note(f"late-{number}", rng))
        right = stores.seen(memory)
        for number in range(VARIANTS_OF_A_KIND):
            home = stores.copy_home(scratch / "open", scratch / f"{number}")  # as if its process had been killed
            wal = home / f"{DATABASE_NAME}-wal"
            content = bytearray(wal.read_bytes())
            name = flip_a_bit(content, rng)
            wal.write_bytes(content)
            (home / f"{DATABASE_NAME}-shm").unlink()
            with stores.naming(name), stores.open_store(home) as opened:
                assert_nothing_wrong_is_shown(opened, right)


def test_a_closed_store_leaves_nothing_in_the_wal_that_a_later_open_would_read(home: Path) -> None:
    wal = home / f"{DATABASE_NAME}-wal"
    with stores.open_store(home) as memory:
        memory.save(stores.note("saved"))
        assert wal.stat().st_size > 0
    assert wal.stat().st_size == 0


def assert_nothing_wrong_is_shown(memory: Nokosu, right: Seen) -> None:
    for id, shown in right.items():
        found = told(memory.get, id, with_forgotten=True)
        assert found is None or (found.status, found.text) == shown
        assert_right(told(memory.search, Query(text=shown[1].split()[0])), right)
    assert_right(told(memory.search, Query(text="deploy", limit=100)), right)
    assert_right(told(memory.list, Filters(limit=100)), right)


def assert_right(hits: Hits | None, right: Seen) -> None:
    assert hits is None or all(hit.text == right[hit.id][1] for hit in hits.hits)


def told(ask: Callable[Asked, Answer], *question: Asked.args, **how: Asked.kwargs) -> Answer | None:
    """What is answered; None where the store says that it cannot."""
    try:
        return ask(*question, **how)
    except NokosuError:
        return None


def is_named(memory: Nokosu) -> bool:
    try:
        return bool(memory.verify().problems)
    except StoreDamaged:
        return True


def raw_records(home: Path) -> list[tuple[Any, ...]] | None:
    """The log as SQLite reads it; None if it cannot."""
    raw = apsw.Connection(
        f"file:{stores.config(home).database}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        return raw.execute("SELECT * FROM record NOT INDEXED ORDER BY n").fetchall()
    except (apsw.Error, UnicodeDecodeError):
        return None
    finally:
        raw.close()
