"""An export: every memory that is not purged, one JSON object a line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from nokosu.drafts import Draft
from nokosu.errors import StoreDamaged
from nokosu.memory import Memory
from nokosu.nokosu import Nokosu
from nokosu.store.connection import Database
from nokosu.testing import SAMPLE_DRAFTS
from nokosu.transfer.exporting import export
from tests.promises import promise


def exported(memory: Nokosu) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    count = export(memory, stream)
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
