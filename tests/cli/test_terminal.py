"""What is different on a terminal: colour, tables, ages, widths, questions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nokosu.cli import layout
from tests.cli.processes import Shell

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    return COLOUR.sub("", text)


@pytest.fixture
def two(run: Shell) -> tuple[str, str]:
    """Two memories, one of them in Japanese."""
    english = run("save", "Deploys run from main.\nThe pipeline refuses other branches.", "--type", "decision").id
    return english, run("save", "東京都の港ではデプロイを行わない。" * 4, "--project", "港湾管理システムの長い名前").id


def test_there_is_colour_on_a_terminal_only_and_not_where_it_is_unwanted(run: Shell, two: tuple[str, str]) -> None:
    coloured = run.terminal("search", "pipeline").out
    assert f"\x1b[33m{two[0]}\x1b[0m" in coloured
    assert "The \x1b[32mpipeline\x1b[0m refuses" in coloured
    assert "\x1b" not in run("search", "pipeline").out
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert run.terminal("search", "pipeline", env=env).out == plain(coloured)


def test_a_terminal_shows_how_long_ago_and_a_pipe_when(run: Shell, two: tuple[str, str]) -> None:
    assert "just now" in run.terminal("list").out
    assert "just now" not in run("list").out


def test_a_table_is_aligned_in_columns_of_the_screen(run: Shell, two: tuple[str, str]) -> None:
    listed = plain(run.terminal("list", "--all-projects", columns=100).out).splitlines()
    head, *rows = listed[:3]
    assert listed[3] == "2 of 2 memories"
    assert max(map(layout.width, listed)) <= 100
    at = layout.width(head[: head.index("SUBJECT")])
    assert [layout.width(row[: row.index(word)]) for row, word in zip(rows, ("東京都", "Deploys"), strict=True)] == [
        at,
        at,
    ]


@pytest.mark.parametrize("columns", [1, 2, 19, 40, 400])
def test_any_width_will_do(run: Shell, two: tuple[str, str], columns: int) -> None:
    for words in (("list", "--all-projects"), ("search", "デプロイ", "pipeline"), ("show", two[1]), ("list", "--help")):
        assert run.terminal(*words, columns=columns).code == 0


def test_a_purge_asks_first(run: Shell, two: tuple[str, str]) -> None:
    id = two[0]
    refused = run.terminal("forget", id, "--purge", typed="n\n")
    assert refused.code == 3
    assert f"Erase {id} (Deploys run from main.) for good?" in refused.out
    assert "Error: nothing was changed" in refused.out
    assert run("show", id).code == 0
    assert run.terminal("forget", id, "--purge", typed="y\n").code == 0
    assert "purged" in run("show", id).err


def test_a_question_without_an_answer_changes_nothing(run: Shell, two: tuple[str, str]) -> None:
    assert run.terminal("forget", two[0], "--purge", typed="\x04").code == 130
    assert run("search", "pipeline").code == 0


def editor(folder: Path, script: str) -> dict[str, str | None]:
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"EDITOR": str(program), "VISUAL": None}


def test_an_edit_without_flags_opens_the_editor_on_the_text(run: Shell, two: tuple[str, str]) -> None:
    edited = run.terminal("edit", two[0], env=editor(run.work, "sed -i.bak 's/main/trunk/' \"$1\""))
    assert edited.out == f"{two[0]}\n"
    assert run("show", two[0], "--json").json["text"] == "Deploys run from trunk.\nThe pipeline refuses other branches."


@pytest.mark.parametrize(("script", "code"), [("true", 0), ("exit 1", 4)])
def test_an_editor_that_changes_nothing_changes_nothing(
    run: Shell, two: tuple[str, str], script: str, code: int
) -> None:
    before = run("show", two[0], "--json").json
    assert run.terminal("edit", two[0], env=editor(run.work, script)).code == code
    assert run("show", two[0], "--json").json == before


def test_text_can_be_typed(run: Shell) -> None:
    saved = run.terminal("save", "-", typed="a sunken wreck\n\x04")
    assert saved.code == 0
    assert "end it with Ctrl-D" in saved.out
    assert run("search", "wreck").code == 0


def test_an_export_is_not_poured_onto_a_terminal(run: Shell, two: tuple[str, str]) -> None:
    refused = run.terminal("export")
    assert refused.code == 2
    assert "Try: nokosu export FILE" in refused.out
