"""Which time a phrase means: its words are the groups of a match, and `phrases` says which reading is whose. Pure.

The words that both need, such as the names of months, stand here with what they mean; `calendar` does the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from nokosu.search.calendar import Calendar, Span, joined

Reading = Callable[[re.Match[str], Calendar], Span | None]

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
SHORT: Final = tuple(name[:3] for name in MONTHS)
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBERS: Final = {
    word: number
    for number, words in enumerate(
        ("", "a an one", "two couple", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
    for word in words.split()
}
ORDINALS: Final = ("first", "second", "third", "fourth")
SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12, "春": 3, "夏": 6, "秋": 9, "冬": 12}
WORDS: Final = {  # each a time by itself: a unit, and how many of them ago
    "today": ("day", 0), "this morning": ("day", 0), "this afternoon": ("day", 0), "yesterday": ("day", 1),
    "今日": ("day", 0), "本日": ("day", 0), "今朝": ("day", 0),
    "昨日": ("day", 1), "きのう": ("day", 1), "一昨日": ("day", 2), "おととい": ("day", 2),
    "今週": ("week", 0), "先週": ("week", 1), "先々週": ("week", 2),
    "今月": ("month", 0), "先月": ("month", 1), "先々月": ("month", 2),
    "今年": ("year", 0), "去年": ("year", 1), "昨年": ("year", 1),
}  # fmt: skip
AFTER: Final = {  # what stands after a time in Japanese, by what stands before it in English
    "以降": "since", "から": "since", "以来": "since", "より後": "after", "より前": "before",
    "以前": "until", "までに": "until", "まで": "until", "時点": "as of", "の時点": "as of", "現在": "as of",
}  # fmt: skip

_YEARS: Final = {"今年": 0, "去年": 1, "昨年": 1}
_UNITS: Final = {"日": "day", "週": "week", "か": "month", "ヶ": "month", "ケ": "month", "カ": "month", "年": "year"}
_WEEKDAYS: Final = "月火水木金土日"
_KANJI: Final = {kanji: number for number, kanji in enumerate("一二三四五六七八九", 1)}
_AGO_MAX: Final = 1_000  # units of time; more is no time that anybody means
_FEW_MAX: Final = 7  # units of time that "a few" may be
_CLAUSE_END: Final = re.compile(r"[,;:.?!]\s")
_PRESENT: Final = re.compile(
    r"\b(?:do|does|is|are|can|should|must|may|will)\b|\b(?:ha(?:ve|s))\s+to\b|\b(?:who|what|which|that)\s+\w+[^s\W]s\b",
    re.IGNORECASE,
)
_PAST: Final = re.compile(r"\b(?:did|was|were|had|been|(?:have|has)(?!\s+to))\b", re.IGNORECASE)


def of_month(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "in March", "since the end of May 2026": a month, or a third of one."""
    groups = match.groupdict()
    month = SHORT.index(groups["month"][:3].lower()) + 1
    span = calendar.month_named(month, _year(match, calendar))
    return _edged(_part_of(span, groups.get("part")), groups.get("edge"))


def of_day(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "on April 8th 2026", "8 April", 2026-04-08, 4月8日."""
    groups = match.groupdict()
    day = calendar.day(_month_number(groups["month"]), int(groups["day"]), _year(match, calendar))
    return _edged(day, groups.get("edge"))


def of_iso_month(match: re.Match[str], calendar: Calendar) -> Span:
    return _edged(calendar.month(int(match["year"]), int(match["month"])), match["edge"])


def of_year(match: re.Match[str], calendar: Calendar) -> Span:
    return _edged(calendar.year(int(match["year"])), match["edge"])


def of_weekday(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "on Monday", "since last Friday": the last such day before today."""
    return _edged(calendar.weekday(DAYS.index(match["day"].lower())), match["edge"])


def of_this(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "last week", "since last month", "this year"."""
    back = {"this": 0, "last": 1, "previous": 1}[match["which"].lower()]
    groups = match.groupdict()
    unit = groups["unit"] or groups["other"]
    return _edged(_part_of(calendar.units(unit.lower(), back), groups.get("part")), groups.get("edge"))


def of_before_last(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "the week before last", "the day before yesterday"."""
    return _edged(calendar.units((match["unit"] or "day").lower(), 2), match["edge"])


def of_months(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "between March and May", "from June to August 2026", 5月から7月: from the one to the other."""
    first, last = (_month_number(match[name]) for name in ("month", "last"))
    if not (1 <= first <= 12 and 1 <= last <= 12):
        return None
    return calendar.months_named(first, last, _year(match, calendar))


def of_quarter(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "in Q3", "since the third quarter of 2026": of a year, or the last one of that number that has begun."""
    if _means_now(match):
        return None
    quarter = int(match["quarter"]) if match["quarter"] else ORDINALS.index(match["ordinal"].lower()) + 1
    return _edged(calendar.quarter_named(quarter, _year(match, calendar)), match["edge"])


def of_season(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "over the summer", "since autumn", "in spring 2026", 去年の夏に; "what do we do in winter" asks for no time."""
    if _means_now(match):
        return None
    return _after(calendar.season(SEASONS[match["season"].lower()], _year(match, calendar)), match)


def of_weekend(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "over the weekend", "last weekend", 先週末: on a weekend, the last one is not this one."""
    if _means_now(match):
        return None
    says_last = "last" in match[0].lower() or match[0].startswith("先週")
    return _edged(calendar.weekend(over=says_last), match.groupdict().get("edge"))


def of_few(match: re.Match[str], calendar: Calendar) -> Span:
    """Of "a few days ago", "several weeks ago", 数日前: more than one, and not many."""
    unit = _unit(match)
    return joined(calendar.units(unit, _FEW_MAX), calendar.units(unit, 2))


def of_half_a_year_ago(_match: re.Match[str], calendar: Calendar) -> Span:
    return joined(calendar.months(7), calendar.months(5))


def of_ago(match: re.Match[str], calendar: Calendar) -> Span | None:
    count = _count(match["count"])
    return _edged(calendar.units(match["unit"].lower(), count), match["edge"]) if count <= _AGO_MAX else None


def of_past(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "in the last three days", "the past month": until now."""
    count = _count(match.groupdict().get("count") or "one")
    return calendar.past(_unit(match), count) if count <= _AGO_MAX else None


def of_late(_match: re.Match[str], calendar: Calendar) -> Span:
    """Of "recently", 最近."""
    return _edged(calendar.days(31), "since")


def of_word(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of "yesterday", "since today", 先月, 一昨日, 先月末. "How do we do it today" asks for no time: it means now."""
    word = match["word"].lower()
    groups = match.groupdict()
    if word == "today" and not groups.get("edge") and _means_now(match):
        return None
    unit, back = WORDS[word]
    return _after(_part_of(calendar.units(unit, back), groups.get("part")), match)


def of_night(_match: re.Match[str], calendar: Calendar) -> Span:
    """Of "last night", 昨夜: it began yesterday and ended today."""
    return calendar.days(1, 2)


def of_japanese_weekday(match: re.Match[str], calendar: Calendar) -> Span:
    """Of 月曜に, 先週の金曜日, 今週の火曜から: the last such day before today, or that of the week which is named."""
    word = match.groupdict().get("word")
    return _after(calendar.weekday(_WEEKDAYS.index(match["day"]), WORDS[word][1] if word else None), match)


def of_japanese_ago(match: re.Match[str], calendar: Calendar) -> Span | None:
    count = _number(match["count"])
    return calendar.units(_UNITS[match["unit"][0]], count) if count <= _AGO_MAX else None


def of_japanese_month(match: re.Match[str], calendar: Calendar) -> Span | None:
    """Of 三月に, 2026年3月の時点, 8月末: a month, said outright or not."""
    month = _number(match["month"])
    if not 1 <= month <= 12:
        return None
    span = calendar.month_named(month, _year(match, calendar))
    return _after(_part_of(span, match.groupdict().get("part")), match)


def of_japanese_year(match: re.Match[str], calendar: Calendar) -> Span:
    return _after(calendar.year(int(match["year"])), match)


def _edged(span: Span, edge: str | None) -> Span:
    """The time that a word such as "since" makes of a time."""
    edge = (edge or "").lower()
    if edge in ("since", "from"):
        return Span(span.since_ms, None)
    if edge == "after":
        return Span((span.until_ms or 0) + 1, None)
    if edge == "before":
        return Span(None, (span.since_ms or 0) - 1)
    if edge in ("until", "till", "by", "up to", "as of", "as at"):
        return Span(None, span.until_ms)
    return span


def _after(span: Span, match: re.Match[str]) -> Span:
    """The time that such a word makes of one, whether it stands before it or, in Japanese, after it."""
    groups = match.groupdict()
    return _edged(span, groups.get("edge") or AFTER.get(groups.get("after") or ""))


def _part_of(span: Span, part: str | None) -> Span:
    """The first, middle or last third of a month, generously."""
    first, last = span.since_ms or 0, span.until_ms or 0
    third = (last - first) // 3
    slack = third // 3
    if part is None:
        return span
    part = part.lower()
    if part in ("beginning", "start", "early", "初め", "はじめ", "頭", "初旬", "上旬"):
        return Span(first, first + third + slack)
    if part in ("middle", "mid", "中旬", "半ば"):
        return Span(first + third - slack, last - third + slack)
    return Span(last - third - slack, last)


def _means_now(match: re.Match[str]) -> bool:
    """Whether the clause that leads up to a time, such as "today", speaks of what is, not of what was."""
    clause = _CLAUSE_END.split(match.string[: match.start()])[-1]
    return _PRESENT.search(clause) is not None and _PAST.search(clause) is None


def _year(match: re.Match[str], calendar: Calendar) -> int | None:
    """The year that is said, in digits or as 去年."""
    groups = match.groupdict()
    if groups.get("year"):
        return int(groups["year"])
    when = groups.get("when")
    return calendar.year_ago(_YEARS[when]) if when else None


def _unit(match: re.Match[str]) -> str:
    return _UNITS.get(match["unit"][0]) or match["unit"].lower()


def _count(text: str) -> int:
    return NUMBERS.get(text.lower()) or _number(text)


def _month_number(named: str) -> int:
    """Of April, Apr, 4, 四."""
    short = named[:3].lower()
    return SHORT.index(short) + 1 if short in SHORT else _number(named)


def _number(text: str) -> int:
    """A number in digits, or one up to 19 in kanji."""
    if text.isascii():
        return int(text)
    return 10 * ("十" in text) + _KANJI.get(text[-1], 0)
