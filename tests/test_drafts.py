"""Words from outside: what is taken, what is refused, and by which name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.drafts import SOURCES, TYPES, Change, Draft, Filters, Query
from nokosu.errors import UsageError


def refused(make: Any, **fields: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        make(**fields)
    assert "\n" not in caught.value.message
    assert caught.value.message.isascii() or caught.value.message.isprintable()
    assert len(caught.value.message) < 300
    return caught.value


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t ", "\u200b", "\u200b\u2060\ufeff", "\u3000", "\x01\x02", "\u00a0\u0301", "\u2028"]
)
def test_a_text_without_a_visible_character_is_empty(text: str) -> None:
    for make in (Draft, Change):
        error = refused(make, text=text)
        assert (error.message, error.field) == ("text: empty text", "text")


def test_a_text_may_have_64_kib_in_utf_8_and_no_byte_more() -> None:
    Draft(text="x" * limits.TEXT_BYTES_MAX)
    Draft(text="界" * (limits.TEXT_BYTES_MAX // 3))
    assert refused(Draft, text="x" * (limits.TEXT_BYTES_MAX + 1)).message == "text: 65537 bytes, at most 65536"
    assert refused(Draft, text="x" + "é" * (limits.TEXT_BYTES_MAX // 2)).message == "text: 65537 bytes, at most 65536"


@pytest.mark.parametrize("text", ["\ud800", "bytes that are not UTF-8: \udcff", "a\udfff"])
def test_a_text_that_is_not_utf_8_is_refused_before_sqlite(text: str) -> None:
    assert refused(Draft, text=text).message == "text: not valid UTF-8"
    assert refused(Query, text=text).message == "query: not valid UTF-8"
    assert refused(Draft, text="x", subject=text).message == "subject: not valid UTF-8"
    assert refused(Draft, text="x", tags=(text,)).message == "tags: not valid UTF-8"
    assert refused(Draft, text="x", refs=(text,)).message == "refs: not valid UTF-8"
    assert refused(Draft, text="x", project=text).message == "project: not valid UTF-8"
    assert refused(Filters, agent=text).message == "agent: not valid UTF-8"


def test_a_nul_is_refused() -> None:
    assert refused(Draft, text="a\0b").message == "text: contains a NUL character"


@pytest.mark.parametrize("text", ["ok</content><subject>x", "a</text>\n<parameter name='x'>", "</parameter></invoke>"])
def test_leaked_markup_of_a_tool_call_is_refused_from_agents_only(text: str) -> None:
    assert "argument of its own" in refused(Draft, text=text).message
    assert Draft(text=text, source="person").text == text


@pytest.mark.parametrize(
    "text", ["<text>fine</text>", "use </text> then <b>", "-x", "--", "@file", "$(rm)", "\x1b[2J", "a\u202eb"]
)
def test_strange_text_is_taken_as_it_is(text: str) -> None:
    assert Draft(text=text).text == text


# The other fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "fields", "message"),
    [
        ("subject", {"subject": "x" * 201}, "subject: 201 characters, at most 200"),
        ("subject", {"subject": "a\x07b"}, "subject: holds a control character"),
        ("type", {"type": "idea"}, "type: 'idea' is not one of note, decision, bug, pattern, config, summary"),
        ("type", {"type": "x" * 1000}, "type: 'xxxxxxxx"),
        ("source", {"source": "robot"}, "source: 'robot' is not one of person, agent, tool, import"),
        ("project", {"project": ""}, "project: an empty name"),
        ("project", {"project": "  "}, "project: an empty name"),
        ("project", {"project": "x" * 129}, "project: 129 characters, at most 128"),
        ("project", {"project": "/" + "x" * 4096}, "project: 4097 characters, at most 4096"),
        ("project", {"project": "a\nb"}, "project: holds a control character"),
        ("tags", {"tags": ("",)}, "tags: an empty tag"),
        ("tags", {"tags": (" ",)}, "tags: an empty tag"),
        ("tags", {"tags": ("x" * 65,)}, "tags: 65 characters, at most 64"),
        ("tags", {"tags": tuple(map(str, range(33)))}, "tags: 33 given, at most 32"),
        ("tags", {"tags": ("a\0",)}, "tags: holds a control character"),
        ("refs", {"refs": ("",)}, "refs: an empty reference"),
        ("refs", {"refs": ("x" * 1025,)}, "refs: 1025 characters, at most 1024"),
        ("refs", {"refs": tuple(map(str, range(33)))}, "refs: 33 given, at most 32"),
        ("importance", {"importance": 0}, "importance: 0 is not from 1 to 5"),
        ("importance", {"importance": 6}, "importance: 6 is not from 1 to 5"),
        ("importance", {"importance": -(10**30)}, "importance: a number of more than 18 digits is not from 1 to 5"),
        ("supersedes", {"supersedes": ("../x",)}, "supersedes: '../x' is not a memory id"),
        ("supersedes", {"supersedes": tuple(f"{n:04}" for n in range(33))}, "supersedes: 33 given, at most 32"),
        ("expires", {"expires": "tomorrow"}, "expires: 'tomorrow' is not a date"),
        ("expires", {"expires": ""}, "expires: '' is not a date"),
    ],
)  # fmt: skip
def test_a_field_out_of_bounds_is_refused_by_name_and_bound(field: str, fields: dict[str, Any], message: str) -> None:
    error = refused(Draft, text="x", **fields)
    assert error.field == field
    assert error.message.startswith(message)


def test_fields_at_their_bounds_are_taken() -> None:
    Draft(
        text="x",
        subject="s" * 200,
        project="p" * 128,
        tags=tuple(f"{number:064}" for number in range(32)),
        refs=tuple(f"{number:01024}" for number in range(32)),
        supersedes=tuple(f"{number:012}" for number in range(32)),
        importance=5,
    )
    Draft(text="x", project="/" + "p" * 4095, importance=1)
    assert {Draft(text="x", type=type).type for type in TYPES} == set(TYPES)
    assert {Draft(text="x", source=source).source for source in SOURCES} == set(SOURCES)


def test_what_means_the_same_is_written_in_one_way() -> None:
    draft = Draft(
        text=" kept as it is \n",
        subject="  one\n line\t of words ",
        project=" app ",
        tags=(" a ", "b", "a"),
        refs=("r", " r"),
        supersedes=("ABCD", "abcd", "O1Il"),
    )
    assert (draft.text, draft.subject, draft.project) == (" kept as it is \n", "one line of words", "app")
    assert (draft.tags, draft.refs, draft.supersedes) == (("a", "b"), ("r",), ("abcd", "0111"))
    assert (Change(project=" app ").project, Filters(project=" app ").project) == ("app", "app")
    assert Draft(text="x", project="/with a blank ").project == "/with a blank "


@given(st.text(max_size=300), st.text(max_size=250), st.lists(st.text(max_size=80), max_size=40))
def test_a_draft_is_made_or_refused_and_nothing_worse(text: str, subject: str, tags: list[str]) -> None:
    try:
        draft = Draft(text=text, subject=subject, tags=tuple(tags), refs=tuple(tags))
    except UsageError:
        return
    assert draft.text == text
    assert draft.subject.isprintable()
    assert all(tag.isprintable() and tag.strip() == tag != "" for tag in draft.tags)


# Changes --------------------------------------------------------------------------------------------------------------


def test_a_change_must_change_something() -> None:
    assert refused(Change).field == "edit"


def test_a_change_may_take_a_value_away() -> None:
    change = Change(subject="", type="", project="", tags=(), refs=(), importance=0, supersedes=(), expires="")
    assert (change.subject, change.importance, change.tags) == ("", 0, ())


@pytest.mark.parametrize(
    "fields",
    [
        {"importance": 6},
        {"type": "idea"},
        {"subject": "x" * 201},
        {"expires": "soon"},
        {"tags": ("",)},
        {"project": " "},
    ],
)
def test_a_change_is_checked_as_a_draft_is(fields: dict[str, Any]) -> None:
    (field,) = fields
    assert refused(Change, **fields).field == field


# Filters and queries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        *(("limit", {"limit": limit}) for limit in (0, -1, 101, 10**9, 2**63)),
        ("since", {"since": "0000"}),
        ("until", {"until": "9999-12-31T23:59:60Z"}),
        ("since", {"since": "2026-02-01", "until": "2026-01-01"}),
        ("project", {"project": "app", "all_projects": True}),
        ("type", {"type": "idea"}),
        ("agent", {"agent": "x" * 201}),
        ("device", {"device": "a\nb"}),
        ("space", {"space": "\x00"}),
        ("tags", {"tags": ("x" * 65,)}),
        ("query", {"text": "x" * 1025}),
        ("query", {"text": "界" * 342}),
    ],
)
def test_a_filter_out_of_bounds_is_refused_by_name(field: str, fields: dict[str, Any]) -> None:
    assert refused(Query, **fields).field == field


def test_a_day_is_searched_from_its_first_millisecond_to_its_last() -> None:
    filters = Filters(since="2026-01-01", until="2026-01-01")
    assert filters.since_ms is not None
    assert filters.until_ms == filters.since_ms + 24 * 3_600_000 - 1
    assert (Filters().since_ms, Filters().until_ms) == (None, None)


def test_a_query_may_have_a_kibibyte() -> None:
    assert len(Query(text="x" * 1024).text) == 1024
    assert Query(text="'; DROP TABLE log; -- % _ \\", agent="%", device="_", tags=("*",)).agent == "%"
