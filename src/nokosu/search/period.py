"""When a question asks for: "in March", "last week", "the latest", 先週, 3月の時点. Pure: now and the zone are arguments.

A time that is said outright ("in March", "since Monday", 先週, 三月に) narrows the search to it, and its words are no words to look
for. A month that only stands beside a noun ("the July benchmark", 9月のまとめ) is a hint: it stays a word, and memories of that
month count for more. "Latest" and its like ask for an order. Whatever is quoted is text.

Days, weeks (from Monday) and months are those of the zone, by default the one of this machine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_SHORT: Final = tuple(name[:3] for name in _MONTHS)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS: Final = {
    word: number
    for number, words in enumerate(
        ("", "a an one", "two couple", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
    for word in words.split()
}
_KANJI: Final = {kanji: number for number, kanji in enumerate("一二三四五六七八九", 1)}
_ORDINALS: Final = ("first", "second", "third", "fourth")
_AGO_MAX: Final = 1_000  # units of time; more is no time that anybody means
_SATURDAY: Final = 5
_FEW_MAX: Final = 7  # units of time that "a few" may be
_HALF_A_MONTH: Final = 15 * 24 * 3600  # seconds: far enough from a month's ends to be in its year in every zone
_CLAUSE_END: Final = re.compile(r"[,;:.?!]\s")
_PRESENT: Final = re.compile(
    r"\b(?:do|does|is|are|can|should|must|may|will)\b|\b(?:ha(?:ve|s))\s+to\b|\b(?:who|what|which|that)\s+\w+[^s\W]s\b",
    re.IGNORECASE,
)
_PAST: Final = re.compile(r"\b(?:did|was|were|had|been|(?:have|has)(?!\s+to))\b", re.IGNORECASE)

_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)}|(?-i:{'|'.join(name.title() for name in (*_SHORT, 'sept'))}))"
_YEAR: Final = r"(?P<year>20[0-9]{2})"
_COUNT: Final = rf"(?:(?P<count>[0-9]{{1,4}}|{'|'.join(_NUMBERS)})(?:\s+of)?\s+)"
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12, "春": 3, "夏": 6, "秋": 9, "冬": 12}
_UNIT: Final = r"(?P<unit>day|week|month|quarter|year)s?"
_EDGE: Final = (
    r"(?P<edge>since|from|after|until|till|before|by|up to|as of|as at|in|of|on|during|within|throughout|for|around|at)"
)
_LAST_MONTH: Final = _MONTH.replace("<month>", "<last>")
_PART: Final = r"(?:the\s+)?(?P<part>beginning|start|early|middle|mid|late|end)(?:\s+of)?[\s-]+"
_KANJI_MONTH: Final = r"(?P<month>[0-9]{1,2}|十[一二]?|[一二三四五六七八九])月"
_QUOTED: Final = re.compile('"[^"]*"|“[^“”]*”|「[^「」]*」')


class Span(Struct, frozen=True):
    """A time from its first millisecond to its last; None is open."""

    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, *moments_ms: int | None) -> bool:
        """Whether one of the moments is in it."""
        return any(
            moment is not None
            and (self.since_ms is None or moment >= self.since_ms)
            and (self.until_ms is None or moment <= self.until_ms)
            for moment in moments_ms
        )


class Asked(Struct, frozen=True):
    """What a question says of time: the words that are left, the time that it narrows to or hints at, and whether the newest
    come first.
    """

    words: str
    only: Span | None = None
    hint: Span | None = None
    newest_first: bool = False


def read(query: str, now_ms: int, zone: tzinfo | None = None) -> Asked:
    """What *query* says of time; of several times, the first that is said outright."""
    if not _ANY_TIME.search(query):
        return Asked(query)
    quoted = _QUOTED.findall(query)
    left = _QUOTED.sub(" ", unicodedata.normalize("NFKC", query))
    only, left = _first(_OUTRIGHT, left, _Calendar(now_ms, zone))
    hint = None if only is not None else _first(_HINTS, left, _Calendar(now_ms, zone))[0]
    newest_first, left = _newest(left)
    words = " ".join((left.strip(), *quoted)) if (only is not None or newest_first) else query
    return Asked(words.strip(), only, hint, newest_first)


class _Calendar:
    """Days, weeks and months around a moment, in one zone."""

    def __init__(self, now_ms: int, zone: tzinfo | None) -> None:
        self._zone = zone
        self.now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        self.today = self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def ms(self, moment: datetime) -> int:
        """A wall time as milliseconds since 1970, whatever summer time says on that day."""
        wall = moment.replace(tzinfo=None)
        return round((wall.replace(tzinfo=self._zone) if self._zone else wall).timestamp() * 1000)

    def span(self, first: datetime, after: datetime) -> Span:
        """From *first* until just before *after*."""
        return Span(self.ms(first), self.ms(after) - 1)

    def days(self, back: int, count: int = 1) -> Span:
        """*count* days that begin so many days ago."""
        first = self.today - timedelta(days=back)
        return self.span(first, first + timedelta(days=count))

    def weeks(self, back: int) -> Span:
        """The week from Monday to Sunday so many weeks ago."""
        return self.days(self.today.weekday() + 7 * back, 7)

    def weekend(self, back: int) -> Span:
        """The last Saturday and Sunday that have begun, or those so many weeks before."""
        return self.days((self.today.weekday() + 2) % 7 + 7 * back, 2)

    def months(self, back: int) -> Span:
        """The month so many months ago."""
        at = self.today.year * 12 + self.today.month - 1 - back
        return self.month(at // 12, at % 12 + 1)

    def month(self, year: int, month: int) -> Span:
        first = self.today.replace(year=year, month=month, day=1)
        return self.span(first, (first + timedelta(days=31)).replace(day=1))

    def month_named(self, month: int, year: str | None, year_said: int | None = None) -> Span:
        """A month of a year, or the last one of that name that has begun."""
        if year or year_said:
            return self.month(int(year or year_said or 0), month)
        return self.month(self.today.year - (month > self.today.month), month)

    def quarter(self, year: int, quarter: int) -> Span:
        return _joined(self.month(year, 3 * quarter - 2), self.month(year, 3 * quarter))

    def season(self, first_month: int, year: int | None) -> Span:
        """Three months of the north, from the first of the first one; those that began last, unless a year is said."""
        at = (year or self.today.year - (first_month > self.today.month)) * 12 + first_month - 1
        return _joined(self.month(at // 12, at % 12 + 1), self.month((at + 2) // 12, (at + 2) % 12 + 1))

    def year(self, year: int) -> Span:
        first = self.today.replace(year=year, month=1, day=1)
        return self.span(first, first.replace(year=year + 1))

    def units(self, unit: str, back: int) -> Span:
        """The day, week, month, quarter or year so many ago."""
        if unit == "year":
            return self.year(self.today.year - back)
        if unit == "quarter":
            at = self.today.year * 4 + (self.today.month - 1) // 3 - back
            return self.quarter(at // 4, at % 4 + 1)
        return {"day": self.days, "week": self.weeks, "month": self.months}[unit](back)


_Reader = Callable[[re.Match[str], _Calendar], Span | None]


def _first(
    readers: tuple[tuple[re.Pattern[str], _Reader], ...], text: str, calendar: _Calendar
) -> tuple[Span | None, str]:
    """The first time that one of *readers* reads, and the text without it."""
    for pattern, reader in readers:
        for match in pattern.finditer(text):
            try:
                span = reader(match, calendar)
            except (ValueError, OverflowError):  # the 31st of June, the year 0
                continue
            if span is not None:
                return span, f"{text[: match.start()]} {text[match.end() :]}"
    return None, text


def _newest(text: str) -> tuple[bool, str]:
    found = _NEWEST.search(text)
    return (True, _NEWEST.sub(" ", text)) if found else (False, text)


# What is read -----------------------------------------------------------------------------------------------------------


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


def _joined(first: Span, last: Span) -> Span:
    """From the beginning of one to the end of another."""
    return Span(first.since_ms, last.until_ms)


def _of_month(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "in March", "since the end of May 2026": a month, or a third of one."""
    groups = match.groupdict()
    month = _SHORT.index(groups["month"][:3].lower()) + 1
    span = calendar.month_named(month, groups.get("year"))
    return _edged(_part_of(span, groups.get("part")), groups.get("edge"))


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


def _of_day(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "on April 8th 2026", "8 April", 2026-04-08, 4月8日."""
    groups = match.groupdict()
    month = _month_number(groups["month"])
    year = int(groups.get("year") or 0)
    day = calendar.today.replace(year=year or calendar.today.year, month=month, day=int(groups["day"]))
    if not year and day > calendar.today:
        day = day.replace(year=day.year - 1)
    return _edged(calendar.span(day, day + timedelta(days=1)), groups.get("edge"))


def _of_iso_month(match: re.Match[str], calendar: _Calendar) -> Span:
    return _edged(calendar.month(int(match["year"]), int(match["month"])), match["edge"])


def _of_year(match: re.Match[str], calendar: _Calendar) -> Span:
    return _edged(calendar.year(int(match["year"])), match["edge"])


def _of_weekday(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "on Monday", "since last Friday": the last such day before today."""
    back = (calendar.today.weekday() - _DAYS.index(match["day"].lower()) - 1) % 7 + 1
    return _edged(calendar.days(back), match["edge"])


def _of_this(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "last week", "since last month", "this year"."""
    back = {"this": 0, "last": 1, "previous": 1}[match["which"].lower()]
    groups = match.groupdict()
    unit = groups["unit"] or groups["other"]
    return _edged(_part_of(calendar.units(unit.lower(), back), groups.get("part")), groups.get("edge"))


def _of_before_last(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "the week before last", "the day before yesterday"."""
    return _edged(calendar.units((match["unit"] or "day").lower(), 2), match["edge"])


def _of_months(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of "between March and May", "from June to August 2026", 5月から7月: from the one to the other."""
    first, last = (_month_number(match[name]) for name in ("month", "last"))
    if not (1 <= first <= 12 and 1 <= last <= 12):
        return None
    end = calendar.month_named(last, match["year"])
    year = datetime.fromtimestamp((end.since_ms or 0) / 1000 + _HALF_A_MONTH, UTC).year
    return _joined(calendar.month(year - (first > last), first), end)


def _of_quarter(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of "in Q3", "since the third quarter of 2026": of a year, or the last one of that number that has begun."""
    if _means_now(match):
        return None
    quarter = int(match["quarter"]) if match["quarter"] else _ORDINALS.index(match["ordinal"].lower()) + 1
    begun = calendar.today.month >= 3 * quarter - 2
    span = calendar.quarter(int(match["year"] or calendar.today.year - (not begun)), quarter)
    return _edged(span, match.groupdict().get("edge"))


def _of_season(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of "over the summer", "since autumn", "in spring 2026", 去年の夏に; "what do we do in winter" asks for no time."""
    if _means_now(match):
        return None
    groups = match.groupdict()
    said = _YEARS.get(groups.get("when") or "")
    year = int(groups["year"]) if groups.get("year") else None if said is None else calendar.today.year - said
    span = calendar.season(_SEASONS[match["season"].lower()], year)
    return _edged(span, groups.get("edge") or _AFTER.get(groups.get("after") or ""))


def _of_weekend(match: re.Match[str], calendar: _Calendar) -> Span | None:
    if _means_now(match):
        return None
    says_last = "last" in match[0].lower() or match[0].startswith("先週")
    back = int(says_last and calendar.today.weekday() >= _SATURDAY)  # on a weekend, the last one is not this one
    return _edged(calendar.weekend(back), match.groupdict().get("edge"))


def _of_few(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "a few days ago", "several weeks ago", 数日前: more than one, and not many."""
    unit = _UNITS.get(match["unit"][0]) or match["unit"].lower()
    return _joined(calendar.units(unit, _FEW_MAX), calendar.units(unit, 2))


def _of_half_a_year_ago(_match: re.Match[str], calendar: _Calendar) -> Span:
    return _joined(calendar.months(7), calendar.months(5))


def _of_ago(match: re.Match[str], calendar: _Calendar) -> Span | None:
    count = _count(match["count"])
    return _edged(calendar.units(match["unit"].lower(), count), match["edge"]) if count <= _AGO_MAX else None


def _of_past(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of "in the last three days", "the past month": until now."""
    count = _count(match.groupdict().get("count") or "one")
    unit = _UNITS.get(match["unit"][0]) or match["unit"].lower()
    hours = count * {"hour": 1, "day": 24, "week": 24 * 7, "month": 24 * 31, "quarter": 24 * 92, "year": 24 * 366}[unit]
    return Span(calendar.ms(calendar.now - timedelta(hours=hours)), None) if count <= _AGO_MAX else None


def _of_late(_match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "recently", 最近."""
    return Span(calendar.days(31).since_ms, None)


def _of_word(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of "yesterday", "since today", 先月, 一昨日, 先月末. "How do we do it today" asks for no time: it means now."""
    word = match["word"].lower()
    groups = match.groupdict()
    if word == "today" and not groups.get("edge") and _means_now(match):
        return None
    unit, back = _WORDS[word]
    span = _part_of(calendar.units(unit, back), groups.get("part"))
    return _edged(span, groups.get("edge") or _AFTER.get(groups.get("after") or ""))


def _means_now(match: re.Match[str]) -> bool:
    """Whether the clause that leads up to a time, such as "today", speaks of what is, not of what was."""
    clause = _CLAUSE_END.split(match.string[: match.start()])[-1]
    return _PRESENT.search(clause) is not None and _PAST.search(clause) is None


def _of_night(_match: re.Match[str], calendar: _Calendar) -> Span:
    """Of "last night", 昨夜: it began yesterday and ended today."""
    return calendar.days(1, 2)


def _of_japanese_weekday(match: re.Match[str], calendar: _Calendar) -> Span:
    """Of 月曜に, 先週の金曜日, 今週の火曜から: the last such day before today, or that of the week which is named."""
    day = "月火水木金土日".index(match["day"])
    back = (calendar.today.weekday() - day - 1) % 7 + 1
    word = match.groupdict().get("word")
    if word:
        back = calendar.today.weekday() - day + 7 * _WORDS[word][1]
    return _edged(calendar.days(back), _AFTER.get(match["after"] or ""))


def _of_japanese_ago(match: re.Match[str], calendar: _Calendar) -> Span | None:
    count = _number(match["count"])
    return calendar.units(_UNITS[match["unit"][0]], count) if count <= _AGO_MAX else None


def _of_japanese_month(match: re.Match[str], calendar: _Calendar) -> Span | None:
    """Of 三月に, 2026年3月の時点, 8月末: a month, said outright or not."""
    month = _number(match["month"])
    if not 1 <= month <= 12:
        return None
    groups = match.groupdict()
    said = _YEARS.get(groups.get("when") or "")
    span = calendar.month_named(month, groups.get("year"), None if said is None else calendar.today.year - said)
    return _edged(_part_of(span, groups.get("part")), _AFTER.get(groups.get("after") or ""))


def _of_japanese_year(match: re.Match[str], calendar: _Calendar) -> Span:
    return _edged(calendar.year(int(match["year"])), _AFTER.get(match["after"] or ""))


def _count(text: str) -> int:
    return _NUMBERS.get(text.lower()) or _number(text)


def _month_number(named: str) -> int:
    """Of April, Apr, 4, 四."""
    short = named[:3].lower()
    return _SHORT.index(short) + 1 if short in _SHORT else _number(named)


def _number(text: str) -> int:
    """A number in digits, or one up to 19 in kanji."""
    if text.isascii():
        return int(text)
    return 10 * ("十" in text) + _KANJI.get(text[-1], 0)


_WORDS: Final = {
    "today": ("day", 0), "this morning": ("day", 0), "this afternoon": ("day", 0), "yesterday": ("day", 1),
    "今日": ("day", 0), "本日": ("day", 0), "今朝": ("day", 0),
    "昨日": ("day", 1), "きのう": ("day", 1), "一昨日": ("day", 2), "おととい": ("day", 2),
    "今週": ("week", 0), "先週": ("week", 1), "先々週": ("week", 2),
    "今月": ("month", 0), "先月": ("month", 1), "先々月": ("month", 2),
    "今年": ("year", 0), "去年": ("year", 1), "昨年": ("year", 1),
}  # fmt: skip
_YEARS: Final = {"今年": 0, "去年": 1, "昨年": 1}
_UNITS: Final = {"日": "day", "週": "week", "か": "month", "ヶ": "month", "ケ": "month", "カ": "month", "年": "year"}
_AFTER: Final = {
    "以降": "since", "から": "since", "以来": "since", "より後": "after", "より前": "before",
    "以前": "until", "までに": "until", "まで": "until", "時点": "as of", "の時点": "as of", "現在": "as of",
}  # fmt: skip
_JAPANESE_WORDS: Final = "|".join(sorted((word for word in _WORDS if not word.isascii()), key=len, reverse=True))
_AFTER_WORDS: Final = "|".join(sorted(_AFTER, key=len, reverse=True))
_JAPANESE_UNIT: Final = "(?P<unit>日|週間|か月|ヶ月|ケ月|カ月|年)"
_NUMBER: Final = r"(?P<count>[0-9]{1,4}|十?[一二三四五六七八九]|十)"
_THE_YEAR: Final = rf"(?:{_YEAR}年の?|(?P<when>今年|去年|昨年)の?)?"
_THIRD: Final = r"(?:の?(?P<part>初め|はじめ|頭|初旬|上旬|中旬|半ば|下旬|末|終わり))"


def _english(pattern: str, *, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){pattern}(?![\w-])", flags)


# A month that a noun follows only says which one it is: "in the March release". These words may follow all the same.
_NO_NOUN: Final = (
    r"(?!\s+(?!(?:did|was|were|had|have|has|do|does|is|are|we|i|you|the|a|an|and|or|for|on|at|about|with|to|from|because"
    r"|but)\b)\w)"
)
_QUARTER: Final = rf"(?:Q(?P<quarter>[1-4])|(?P<ordinal>{'|'.join(_ORDINALS)})\s+quarter)"
_JAPANESE_SEASON: Final = "(?<![一-龥])(?P<season>[春夏秋冬])"
_FROM_OR_TO: Final = "(?P<edge>since|after|until|till|before|by|up to|as of)"
_SEASON: Final = r"(?P<season>(?-i:spring|summer|autumn|fall|winter))"  # Spring is a framework
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_OUTRIGHT: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (_english(rf"{_EDGE}\s+{_YEAR}[-/](?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})"), _of_day),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?"), _of_day),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?"), _of_day),
    (
        _english(
            rf"(?:between|from|in|during)\s+{_MONTH}\s+(?:and|to|through|until|till)\s+{_LAST_MONTH}(?:,?\s+{_YEAR})?"
        ),
        _of_months,
    ),
    (_english(rf"(?:{_EDGE}\s+)?{_PART}{_MONTH}(?:,?\s+{_YEAR})?"), _of_month),
    (_english(rf"{_EDGE}\s+{_YEAR}-(?P<month>[0-9]{{2}})"), _of_iso_month),
    (_english(rf"(?:{_EDGE}|last|this)\s+{_MONTH}(?:,?\s+{_YEAR})?{_NO_NOUN}"), _of_month),
    (_english(rf"{_MONTH},?\s+{_YEAR}"), _of_month),
    (_english(r"half\s+a\s+year\s+ago"), _of_half_a_year_ago),
    (_english(rf"(?:a\s+few|several|some)\s+{_UNIT}\s+ago"), _of_few),
    (_english(rf"(?:{_EDGE}\s+)?(?:the\s+)?(?:day\s+before\s+yesterday|{_UNIT}\s+before\s+last)"), _of_before_last),
    (_english(rf"(?:{_EDGE}\s+)?(?:the\s+)?(?:a\s+)?{_COUNT}{_UNIT}\s+ago"), _of_ago),
    (
        _english(
            rf"(?:(?:in|within|over|during|for|from)\s+)?(?:the\s+)?(?:last|past)\s+{_COUNT}(?P<unit>hour|day|week|month|quarter|year)s?"
        ),
        _of_past,
    ),
    (_english(rf"(?:(?:in|within|over|during)\s+)?the\s+past\s+{_UNIT}"), _of_past),
    (
        _english(
            rf"(?:{_EDGE}\s+)?(?:{_PART})?(?P<which>this|last|previous)\s+"
            rf"(?:(?P<unit>week)(?:'s)?|{_UNIT.replace('unit', 'other')}(?!'))"
        ),
        _of_this,
    ),
    (_english(rf"(?:{_EDGE}|last)\s+(?:last\s+)?(?P<day>{'|'.join(_DAYS)}){_NO_NOUN}"), _of_weekday),
    (_english(r"last\s+night"), _of_night),
    (_english(rf"(?:{_EDGE}\s+|over\s+)?(?:the|this|last)\s+weekend{_NO_NOUN}"), _of_weekend),
    (_english(rf"(?:{_EDGE}\s+)?(?P<word>today|yesterday|this morning|this afternoon)(?!')"), _of_word),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_QUARTER}(?:(?:\s+of)?\s+{_YEAR})?{_NO_NOUN}"), _of_quarter),
    (_english(rf"(?:{_EDGE}|over)\s+(?:the\s+)?{_SEASON}\s+(?:of\s+)?{_YEAR}"), _of_season),
    (_english(rf"{_FROM_OR_TO}\s+(?:the\s+|last\s+|this\s+)?{_SEASON}{_NO_NOUN}"), _of_season),
    (_english(rf"(?P<edge>in|during|since|until|before|after)\s+{_YEAR}"), _of_year),
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}(?P<day>[0-9]{{1,2}})日"), _of_day),
    (
        re.compile(
            rf"(?:{_YEAR}年の?)?{_KANJI_MONTH}(?:から|[〜~–-]){_KANJI_MONTH.replace('<month>', '<last>')}(?:にかけて|まで|に|の間)*"
        ),
        _of_months,
    ),
    (re.compile("半年前に?"), _of_half_a_year_ago),
    (re.compile(rf"数{_JAPANESE_UNIT}前に?"), _of_few),
    (re.compile(rf"(?:過去|直近|この|ここ)の?{_NUMBER}{_JAPANESE_UNIT}間?(?:以内)?(?:に|で)?"), _of_past),
    (re.compile("昨夜|昨晩|ゆうべ"), _of_night),
    (re.compile("先週末"), _of_weekend),
    (
        re.compile(rf"(?:(?P<word>今週|先週|先々週)の?)(?P<day>[月火水木金土日])曜日?(?P<after>{_AFTER_WORDS})?に?"),
        _of_japanese_weekday,
    ),
    (re.compile(rf"{_THE_YEAR}{_JAPANESE_SEASON}の?(?P<after>{_AFTER_WORDS})"), _of_season),
    (re.compile(rf"{_NUMBER}{_JAPANESE_UNIT}前に?"), _of_japanese_ago),
    (re.compile(rf"(?P<word>{_JAPANESE_WORDS}){_THIRD}?(?:(?P<after>{_AFTER_WORDS})|(?<=週)|(?!の))"), _of_word),
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}{_THIRD}(?:の?(?P<after>{_AFTER_WORDS}))?"), _of_japanese_month),
    (
        re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}(?:の?(?P<after>{_AFTER_WORDS})|(?:に|中に?|は|ごろ|頃))"),
        _of_japanese_month,
    ),
    (re.compile(rf"{_YEAR}年(?P<after>{_AFTER_WORDS})?(?![0-9])"), _of_japanese_year),
)
_HINTS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (re.compile(rf"(?<![\d/-]){_YEAR}[-/](?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})(?![\d/-])"), _of_day),
    (_english(rf"(?:last|this|(?:in|over|during)(?:\s+(?:the|last|this))?)\s+{_SEASON}"), _of_season),
    (_english(r"recently|lately"), _of_late),
    (re.compile("最近"), _of_late),
    (re.compile(rf"(?P<day>[月火水木金土日])曜日?(?:(?P<after>{_AFTER_WORDS})|に)"), _of_japanese_weekday),
    (re.compile(rf"{_THE_YEAR}{_JAPANESE_SEASON}(?:に|の|ごろ|頃)"), _of_season),
    (_english(rf"(?P<month>{'|'.join(name for name in _MONTHS if name not in ('march', 'may'))})"), _of_month),
    (re.compile(r"(?<=\S )(?P<month>March|May)\b"), _of_month),  # not the verbs
    (_english(r"(?P<word>today|yesterday)'s"), _of_word),
    (_english(r"(?P<which>this|last|previous)\s+(?P<unit>month|year)'s"), _of_this),
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}"), _of_japanese_month),
    (re.compile(rf"(?P<word>{_JAPANESE_WORDS})の"), _of_word),
)
_NEWEST: Final = re.compile(
    r"(?<![\w-])(?:the\s+)?(?:(?:very\s+)?latest|newest|most\s+recent(?:ly)?|most\s+up[\s-]to[\s-]date)(?![\w-])"
    r"|(?:一番|いちばん|最も)新しい|最新|直近",
    re.IGNORECASE,
)
_ANY_TIME: Final = re.compile(  # most questions say nothing of time, and are read no further
    rf"{'|'.join(_SHORT)}|day|week|month|year|quarter|Q[1-4]|{'|'.join(_SEASONS)}|night|morning|afternoon|hour|lately"
    r"|latest|newest|recent|to[\s-]date|20[0-9]{2}|[月日年週新近きおゆ朝夜晩]",
    re.IGNORECASE,
)
