"""An export: every memory that is not purged, one JSON object a line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from nokosu.drafts import Change, Draft, Filters
from nokosu.errors import StoreDamaged
from nokosu.memory import Memory
from nokosu.nokosu import Nokosu
from nokosu.store.connection import Database
from nokosu.testing import SAMPLE_DRAFTS, ManualClock, SeededRandom, Store
from nokosu.transfer.exporting import Exported, export
from tests.promises import promise


def exported(memory: Nokosu) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    count = export(memory, stream).memories
    lines = stream.getvalue().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == count
    return [json.loads(line) for line in lines]


@promise("export-is-complete")
def test_every_memory_is_written_oldest_first_with_the_fields_of_memory(memory: Nokosu) -> None:
    saved = memory.save_many([*SAMPLE_DRAFTS, *(Draft(text=f"note {number}") for number in range(600))])
    written = exported(memory)
    assert [one["id"] for one in written] == [one.id for one in saved]
    assert set(written[0]) == set(Memory.__struct_fields__) - {"history", "delivery"}
    assert [one["text"] for one in written[: len(SAMPLE_DRAFTS)]] == [draft.text for draft in SAMPLE_DRAFTS]
    assert written[6]["subject"] == "デプロイの曜日"


@promise("export-is-complete")
def test_forgotten_memories_are_written_and_purged_ones_are_not(memory: Nokosu) -> None:
    kept, forgotten, purged = (memory.save(Draft(text=text)).id for text in ("kept", "forgotten", "purged"))
    memory.forget(forgotten)
    memory.purge(purged)
    assert [(one["id"], one["text"], one["status"]) for one in exported(memory)] == [
        (kept, "kept", "live"),
        (forgotten, "forgotten", "forgotten"),
    ]


def test_what_this_device_wrote_after_it_was_removed_from_a_space_is_written_as_such(
    memory: Nokosu, clock: ManualClock
) -> None:
    memory.save(Draft(text="mine"))
    store = Store(memory.config.database, wall_clock=clock, random=SeededRandom(5))
    space = store.join(bytes(16), name="team")
    before = memory.save(Draft(text="before"), space="team").id
    cut = store.records()[-1]
    memory.edit(before, Change(text="before, and after"))
    after = memory.save(Draft(text="after", tags=("late",)), space="team").id
    memory.forget(memory.save(Draft(text="forgotten after"), space="team").id)
    memory.purge(memory.save(Draft(text="purged after"), space="team").id)
    store.log.append(store.founders[space.id].revoke(cut.core.device, cut))
    store.close()
    assert [hit.text for hit in memory.list(Filters(space="team")).hits] == ["before"]
    written = exported(memory)
    assert [(one["text"], one["status"]) for one in written] == [
        ("mine", "live"),
        ("before", "live"),
        ("before, and after", "removed"),
        ("after", "removed"),
        ("forgotten after", "removed"),
    ]
    assert (written[3]["id"], written[3]["tags"], written[3]["space"]) == (after, ["late"], "team")
    assert export(memory, io.BytesIO()) == Exported(memories=5, removed=3)


def test_a_text_of_any_characters_is_one_line(memory: Nokosu) -> None:
    text = 'line\nline\r\u2028\x85 "quoted" \\ \x1b[2J 東京 🚀'
    memory.save(Draft(text=text))
    assert [one["text"] for one in exported(memory)] == [text]


def test_an_empty_store_gives_an_empty_export(memory: Nokosu) -> None:
    assert exported(memory) == []


@promise("damage-is-named")
def test_a_damaged_memory_is_left_out_of_the_export_and_named(memory: Nokosu) -> None:
    memory.save(Draft(text="whole"))
    damaged = memory.save(Draft(text="damaged")).id
    database = Database(memory.config.database)
    with database.write() as connection:
        connection.run("UPDATE record SET body = x'00' WHERE memory = ?", (damaged,))
    database.close()
    stream = io.BytesIO()
    with pytest.raises(StoreDamaged, match=damaged):
        export(memory, stream)
    assert [json.loads(line)["text"] for line in stream.getvalue().splitlines()] == ["whole"]
