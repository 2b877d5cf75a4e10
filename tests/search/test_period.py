"""What a question says of time. It is Monday, 23 November 2026, five in the morning, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from nokosu.search import period
from nokosu.search.period import Span

NOW = int(datetime(2026, 11, 23, 5, tzinfo=UTC).timestamp() * 1000)


def days(span: Span | None) -> str:
    """The first and the last day of a time, as text."""
    if span is None:
        return ""
    ends = (span.since_ms, span.until_ms)
    first, last = ("" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in ends)
    return f"{first}..{last}"


@pytest.mark.parametrize(
    ("query", "only", "words"),
    [
        ("What did we decide in March?", "2026-03-01..2026-03-31", "What did we decide ?"),
        ("What was decided in December", "2025-12-01..2025-12-31", "What was decided"),
        ("the port in Dec", "2025-12-01..2025-12-31", "the port"),
        ("In May we moved hosts", "2026-05-01..2026-05-31", "we moved hosts"),
        ("March 2025 layout", "2025-03-01..2025-03-31", "layout"),
        ("state at the end of August", "2026-08-18..2026-08-31", "state"),
        ("what was shipped on April 8th 2026", "2026-04-08..2026-04-08", "what was shipped"),
        ("changes on 8 April", "2026-04-08..2026-04-08", "changes"),
        ("changes since 2026-03-04", "2026-03-04..", "changes"),
        ("as of March", "..2026-03-31", ""),
        ("until June", "..2026-06-30", ""),
        ("before June 3", "..2026-06-02", ""),
        ("after June", "2026-07-01..", ""),
        ("bugs of 2025, in 2025", "2025-01-01..2025-12-31", "bugs of 2025,"),
        ("what broke yesterday", "2026-11-22..2026-11-22", "what broke"),
        ("what broke on Friday?", "2026-11-20..2026-11-20", "what broke ?"),
        ("since Monday", "2026-11-16..", ""),
        ("last week's deploys", "2026-11-16..2026-11-22", "deploys"),
        ("since last month", "2026-10-01..", ""),
        ("two weeks ago", "2026-11-09..2026-11-15", ""),
        ("bugs from the last three days", "2026-11-20..", "bugs"),
        ("in the past month", "2026-10-23..", ""),
        ("what changed between March and May", "2026-03-01..2026-05-31", "what changed"),
        ("from November to January", "2025-11-01..2026-01-31", ""),
        ("what was done in Q3", "2026-07-01..2026-09-30", "what was done"),
        ("since the third quarter of 2025", "2025-07-01..", ""),
        ("last quarter", "2026-07-01..2026-09-30", ""),
        ("bugs since spring", "2026-03-01..", "bugs"),
        ("bugs in winter 2025", "2025-12-01..2026-02-28", "bugs"),
        ("what broke last night", "2026-11-22..2026-11-23", "what broke"),
        ("what did we fix this morning", "2026-11-23..2026-11-23", "what did we fix"),
        ("what happened over the weekend", "2026-11-21..2026-11-22", "what happened"),
        ("the day before yesterday", "2026-11-21..2026-11-21", ""),
        ("the week before last", "2026-11-09..2026-11-15", ""),
        ("a few days ago", "2026-11-16..2026-11-21", ""),
        ("several months ago", "2026-04-01..2026-09-30", ""),
        ("half a year ago", "2026-04-01..2026-06-30", ""),
        ("in the last 24 hours", "2026-11-22..", ""),
        ("at the end of last month", "2026-10-18..2026-10-31", ""),
        ("What have we done today", "2026-11-23..2026-11-23", "What have we done"),
        ("5月から7月にかけて変えたこと", "2026-05-01..2026-07-31", "変えたこと"),
        ("夏以降の変更", "2026-06-01..", "の変更"),
        ("昨夜落ちた原因", "2026-11-22..2026-11-23", "落ちた原因"),
        ("今朝直した不具合", "2026-11-23..2026-11-23", "直した不具合"),
        ("過去2週間の障害", "2026-11-09..", "の障害"),
        ("直近一か月の決定", "2026-10-23..", "の決定"),
        ("数日前に直した不具合", "2026-11-16..2026-11-21", "直した不具合"),
        ("先週の金曜日に決めたこと", "2026-11-20..2026-11-20", "決めたこと"),
        ("先月末に決めたこと", "2026-10-18..2026-10-31", "に決めたこと"),
        ("先週末の障害", "2026-11-21..2026-11-22", "の障害"),
        ("先週決めたこと", "2026-11-16..2026-11-22", "決めたこと"),
        ("先週の変更", "2026-11-16..2026-11-22", "の変更"),
        ("昨日壊れたもの", "2026-11-22..2026-11-22", "壊れたもの"),
        ("三日前の不具合", "2026-11-20..2026-11-20", "の不具合"),
        ("六月に起きたこと", "2026-06-01..2026-06-30", "起きたこと"),
        ("十二月に", "2025-12-01..2025-12-31", ""),
        ("１０月に", "2026-10-01..2026-10-31", ""),
        ("3月の時点で", "..2026-03-31", "で"),
        ("2025年3月に", "2025-03-01..2025-03-31", ""),
        ("去年の8月末", "2025-08-18..2025-08-31", ""),
        ("去年の4月8日", "2025-04-08..2025-04-08", ""),
        ("4月8日に出したもの", "2026-04-08..2026-04-08", "に出したもの"),
        ("十月以降の変更", "2026-10-01..", "の変更"),
    ],
)
def test_a_time_said_outright_narrows_and_is_no_word(query: str, only: str, words: str) -> None:
    said = period.read(query, NOW, UTC)
    assert (days(said.only), " ".join(said.words.split()), said.hint) == (only, words, None)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("How did the July benchmark do?", "2026-07-01..2026-07-31"),
        ("what broke since the May outage", "2026-05-01..2026-05-31"),
        ("In the March release what broke", "2026-03-01..2026-03-31"),
        ("widget shows yesterday's total", "2026-11-22..2026-11-22"),
        ("what broke on June 31", "2026-06-01..2026-06-30"),
        ("last month's total", "2026-10-01..2026-10-31"),
        ("release 2026-03-04 notes", "2026-03-04..2026-03-04"),
        ("9月のまとめ", "2026-09-01..2026-09-30"),
        ("昨日の合計", "2026-11-22..2026-11-22"),
        ("今朝の不具合", "2026-11-23..2026-11-23"),
        ("an hour that was skipped in spring", "2026-03-01..2026-05-31"),
        ("what did we learn over the summer", "2026-06-01..2026-08-31"),
        ("去年の秋のまとめ", "2025-09-01..2025-11-30"),
        ("月曜に動いたもの", "2026-11-16..2026-11-16"),
        ("2026/03/04のまとめ", "2026-03-04..2026-03-04"),
        ("what broke recently", "2026-10-23.."),
        ("最近の変更", "2026-10-23.."),
    ],
)
def test_a_time_beside_a_noun_is_a_hint_and_stays_a_word(query: str, hint: str) -> None:
    said = period.read(query, NOW, UTC)
    assert (said.only, days(said.hint), said.words) == (None, hint, query)


@pytest.mark.parametrize(
    "query",
    [
        "What may I use", "May I deploy?", "march through the list", "a bug in dec", "error on Friday deploys", "port 2024 in use",
        "Who guarantees the order today?", "Why was it slow, and how do we partition today?", "What does it have to do today",
        "Which jobs do we run over the weekend?", "How do beans start in Spring?", "What is stored in Q4?", "the weekend tariff",
        "今はどの方式", "13月に", '"in March" literal', "「先週」", "ten days of silence", "", "in " * 300,
    ],
)  # fmt: skip
def test_what_only_looks_like_a_time_is_text(query: str) -> None:
    assert period.read(query, NOW, UTC) == period.Asked(query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("the latest benchmark", "benchmark"),
        ("What is the most recent summary?", "What is summary?"),
        ("newest port", "port"),
        ("一番新しいまとめ", "まとめ"),
        ("最新の設定", "の設定"),
    ],
)
def test_the_latest_asks_for_an_order(query: str, words: str) -> None:
    said = period.read(query, NOW, UTC)
    assert (said.newest_first, " ".join(said.words.split()), said.only) == (True, words, None)


def test_on_a_weekend_the_last_one_is_the_one_before() -> None:
    saturday = int(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp() * 1000)
    assert days(period.read("what broke last weekend", saturday, UTC).only) == "2026-11-21..2026-11-22"
    assert days(period.read("what broke this weekend", saturday, UTC).only) == "2026-11-28..2026-11-29"


def test_quoted_words_are_kept_whole_beside_a_time() -> None:
    assert period.read('"in May" since March', NOW, UTC).words == '"in May"'


def test_days_are_those_of_the_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    only = period.read("yesterday", NOW, tokyo).only
    assert only == Span(
        int(datetime(2026, 11, 22, tzinfo=tokyo).timestamp() * 1000),
        int(datetime(2026, 11, 23, tzinfo=tokyo).timestamp() * 1000) - 1,
    )


def test_a_day_of_summer_time_begins_when_the_clocks_say_so() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    only = period.read("on 29 March", NOW, berlin).only
    assert only is not None
    assert only.until_ms is not None
    assert only.since_ms is not None
    assert only.until_ms + 1 - only.since_ms == 23 * 3_600_000


def test_a_time_holds_a_moment_at_either_end_and_none_beyond() -> None:
    span = Span(10, 20)
    assert [span.holds(moment) for moment in (9, 10, 20, 21, None)] == [False, True, True, False, False]
    assert Span(None, 20).holds(0)
    assert Span(10, None).holds(10**15)
    assert span.holds(5, 15)
