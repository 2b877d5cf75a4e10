"""A disk that is really full: saves say so, reading works, and the same process goes on once there is space again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nokosu.errors import StoreFull
from tests.faults import mounts, stores
from tests.faults.children import children, save_against_a_limit, search


def test_a_process_that_may_not_let_files_grow_says_so_and_goes_on_when_it_may(home: Path) -> None:
    with children(save_against_a_limit, 1, home) as (saver,):
        first, refused, found, texts = (saver.hear() for _ in range(4))
    assert first.startswith("StoreError: not saved: cannot make ")
    assert refused.startswith("OutcomeUnknown: unknown: the disk failed while saving ")
    assert refused.endswith(": save it again, it will not be doubled")
    assert len(texts) > 2
    assert found in (len(texts) - 1, len(texts)), "reading works while nothing can be written"
    with stores.open_store(home) as memory:
        stores.assert_every_text_once(memory, texts)
        stores.assert_verified(memory)
    stores.assert_chained(home)


@pytest.mark.system
@mounts.needs_root
def test_a_full_disk_refuses_saves_answers_searches_and_takes_saves_again(tmp_path: Path) -> None:
    with (
        mounts.mounted("tmpfs", tmp_path / "disk", "size=1m,mode=755") as disk,
        stores.open_store(disk / "home") as memory,
    ):
        texts = [stores.note("before").text]
        memory.save(stores.note("before"))
        with filled(disk):
            draft = stores.note("refused")
            with pytest.raises(StoreFull) as raised:
                memory.save(draft)
            assert raised.value.message == f"not saved: no space left on the disk of {disk / 'home'}"
            stores.assert_every_text_once(memory, texts)
            with children(search, 1, disk / "home", "deploy") as (reader,):
                assert reader.hear() == len(texts)
        assert not memory.save(draft).duplicate
        stores.assert_every_text_once(memory, [*texts, draft.text])
        stores.assert_verified(memory)


@pytest.mark.system
@mounts.needs_root
def test_a_store_that_has_no_space_is_not_made_by_half(tmp_path: Path) -> None:
    with mounts.mounted("tmpfs", tmp_path / "disk", "size=1m") as disk, stores.open_store(disk / "home") as memory:
        with filled(disk), pytest.raises(StoreFull, match="not saved: no space left"):
            memory.save(stores.note("refused"))
        assert list((disk / "home").iterdir()) == []
        memory.save(stores.note("taken"))
        stores.assert_every_text_once(memory, [stores.note("taken").text])


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave no space on *disk*, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()
