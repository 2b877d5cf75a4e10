"""Points in time: what is read as one, what is refused, and how one is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import times
from nokosu.errors import UsageError

LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-31T18:00:00Z", 1_774_980_000_000),
        ("2026-03-31t18:00:00z", 1_774_980_000_000),
        ("2026-03-31 18:00:00Z", 1_774_980_000_000),
        ("2026-03-31T20:00:00+02:00", 1_774_980_000_000),
        ("2026-03-31T09:30:00-08:30", 1_774_980_000_000),
        ("2026-03-31T18:00:00.5Z", 1_774_980_000_500),
        ("2026-03-31T18:00:00.123456789Z", 1_774_980_000_123),
        ("2026-03-31T18:00:00.0009Z", 1_774_980_000_000),
        ("2024-02-29", 1_709_164_800_000),
        ("9999-12-31T23:59:59.999Z", LAST_MS),
    ],
)
def test_a_date_and_a_time_with_zone_are_read(text: str, moment: int) -> None:
    assert times.parse(text, field="since") == moment


def test_a_date_may_stand_for_its_last_millisecond() -> None:
    assert times.parse("1970-01-01", field="until", end_of_day=True) == times.DAY_MS - 1
    assert times.parse("1970-01-01T00:00:00Z", field="until", end_of_day=True) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "0000-01-01",
        "0000",
        "2026",
        "2026-3-31",
        "2026-13-01",
        "2026-02-29",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "2026-03-31T25:00:00Z",
        "2026-03-31T18:00:00",
        "2026-03-31T18:00Z",
        "2026-03-31T18:00:00+0200",
        "2026-03-31T18:00:00+24:00",
        "2026-03-31T18:00:00.Z",
        "2026-03-31T18:00:00.1234567890Z",
        "٢٠٢٦-٠٣-٣١",
        "2026-03-31\n",
        " 2026-03-31",
        "1969-12-31",
        "1970-01-01T00:00:00+00:01",
        "2026-W14-2",
        "20260331",
        "\ud800",
        "x" * 10_000,
    ],
)
def test_anything_else_is_refused_with_the_fields_name_and_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"^until: .* is not a date") as refused:
        times.parse(text, field="until")
    assert refused.value.field == "until"
    assert len(refused.value.message) < 250
    assert refused.value.message.isascii()


@given(st.integers(0, LAST_MS))
def test_what_is_written_is_read_again(moment: int) -> None:
    written = times.format_ms(moment)
    assert times.parse(written, field="x") == moment
    assert len(written) == 24


@given(st.integers(0, LAST_MS), st.integers(0, LAST_MS))
def test_times_sort_as_text_as_they_do_as_numbers(one: int, other: int) -> None:
    assert (times.format_ms(one) < times.format_ms(other)) == (one < other)


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001 - the zone is drawn beside it
def test_any_zone_is_the_same_moment(naive: datetime, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    expected = int(naive.replace(microsecond=0, tzinfo=UTC).timestamp()) * 1000 - minutes * 60_000
    text = naive.strftime("%Y-%m-%dT%H:%M:%S") + f"{sign}{hours:02}:{rest:02}"
    assert times.parse(text.zfill(25), field="x") == expected


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(0, "1970-01-01T00:00:00.000Z"), (-1, "1970-01-01T00:00:00.000Z"), (2**63, "9999-12-31T23:59:59.999Z")],
)
def test_a_time_out_of_range_is_written_as_the_nearest_that_can_be(moment: int, shown: str) -> None:
    assert times.format_ms(moment) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (400 * 86_400, "400 d ago"),
    ],
)
def test_an_age_is_one_short_word_pair(seconds: int, shown: str) -> None:
    assert times.age(0, seconds * 1000) == shown


@pytest.mark.parametrize(
    ("ago_ms", "hours_east", "said"),
    [
        (0, 0, "today 14:02"),
        (14 * 3_600_000, 0, "today 00:02"),
        (15 * 3_600_000, 0, "Wednesday"),
        (15 * 3_600_000, 9, "today 08:02"),
        (6 * times.DAY_MS, 0, "Friday"),
        (7 * times.DAY_MS, 0, "2025-12-25"),
        (-3_600_000, 0, "today 15:02"),
        (-times.DAY_MS, 0, "2026-01-02"),
        (10**18, 0, "1970-01-02"),
        (-(10**18), 0, "9999-12-30"),
    ],
)
def test_a_day_is_said_as_people_say_it(ago_ms: int, hours_east: int, said: str) -> None:
    now = times.parse("2026-01-01T14:02:00Z", field="now")
    assert times.day(now - ago_ms, now, timezone(timedelta(hours=hours_east))) == said


def test_a_day_is_told_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = times.parse("2026-01-01T14:02:00Z", field="now")
    monkeypatch.setenv("TZ", "XXX-3")
    time.tzset()
    assert times.day(now, now) == "today 17:02"
    monkeypatch.undo()
    time.tzset()
