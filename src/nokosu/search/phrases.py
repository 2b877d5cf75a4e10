"""The phrases in which a question speaks of time, in English and Japanese, each with its reading. Pure.

The first row of a table that yields a time decides: what says more stands above what says less, and the order is part of the
meaning, also where a question mixes the languages.
"""

from __future__ import annotations

import re
from typing import Final

from nokosu.search import readings
from nokosu.search.readings import AFTER, DAYS, MONTHS, NUMBERS, ORDINALS, SEASONS, SHORT, WORDS, Reading

Phrases = tuple[tuple[re.Pattern[str], Reading], ...]

_YEAR: Final = r"(?P<year>20[0-9]{2})"

# English --------------------------------------------------------------------------------------------------------------

_MONTH: Final = f"(?P<month>{'|'.join(MONTHS)}|(?-i:{'|'.join(name.title() for name in (*SHORT, 'sept'))}))"
_COUNT: Final = rf"(?:(?P<count>[0-9]{{1,4}}|{'|'.join(NUMBERS)})(?:\s+of)?\s+)"
_UNIT: Final = r"(?P<unit>day|week|month|quarter|year)s?"
_EDGE: Final = (
    r"(?P<edge>since|from|after|until|till|before|by|up to|as of|as at|in|of|on|during|within|throughout|for|around|at)"
)
_LAST_MONTH: Final = _MONTH.replace("<month>", "<last>")
_PART: Final = r"(?:the\s+)?(?P<part>beginning|start|early|middle|mid|late|end)(?:\s+of)?[\s-]+"
_QUARTER: Final = rf"(?:Q(?P<quarter>[1-4])|(?P<ordinal>{'|'.join(ORDINALS)})\s+quarter)"
_FROM_OR_TO: Final = "(?P<edge>since|after|until|till|before|by|up to|as of)"
_SEASON: Final = r"(?P<season>(?-i:spring|summer|autumn|fall|winter))"  # Spring is a framework
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
# A month that a noun follows only says which one it is: "in the March release". These words may follow all the same.
_NO_NOUN: Final = (
    r"(?!\s+(?!(?:did|was|were|had|have|has|do|does|is|are|we|i|you|the|a|an|and|or|for|on|at|about|with|to|from|because"
    r"|but)\b)\w)"
)


def _english(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){pattern}(?![\w-])", re.IGNORECASE)


_ENGLISH: Final[Phrases] = (
    (_english(rf"{_EDGE}\s+{_YEAR}[-/](?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})"), readings.of_day),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?"), readings.of_day),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?"), readings.of_day),
    (
        _english(
            rf"(?:between|from|in|during)\s+{_MONTH}\s+(?:and|to|through|until|till)\s+{_LAST_MONTH}(?:,?\s+{_YEAR})?"
        ),
        readings.of_months,
    ),
    (_english(rf"(?:{_EDGE}\s+)?{_PART}{_MONTH}(?:,?\s+{_YEAR})?"), readings.of_month),
    (_english(rf"{_EDGE}\s+{_YEAR}-(?P<month>[0-9]{{2}})"), readings.of_iso_month),
    (_english(rf"(?:{_EDGE}|last|this)\s+{_MONTH}(?:,?\s+{_YEAR})?{_NO_NOUN}"), readings.of_month),
    (_english(rf"{_MONTH},?\s+{_YEAR}"), readings.of_month),
    (_english(r"half\s+a\s+year\s+ago"), readings.of_half_a_year_ago),
    (_english(rf"(?:a\s+few|several|some)\s+{_UNIT}\s+ago"), readings.of_few),
    (
        _english(rf"(?:{_EDGE}\s+)?(?:the\s+)?(?:day\s+before\s+yesterday|{_UNIT}\s+before\s+last)"),
        readings.of_before_last,
    ),
    (_english(rf"(?:{_EDGE}\s+)?(?:the\s+)?(?:a\s+)?{_COUNT}{_UNIT}\s+ago"), readings.of_ago),
    (
        _english(
            rf"(?:(?:in|within|over|during|for|from)\s+)?(?:the\s+)?(?:last|past)\s+{_COUNT}(?P<unit>hour|day|week|month|quarter|year)s?"
        ),
        readings.of_past,
    ),
    (_english(rf"(?:(?:in|within|over|during)\s+)?the\s+past\s+{_UNIT}"), readings.of_past),
    (
        _english(
            rf"(?:{_EDGE}\s+)?(?:{_PART})?(?P<which>this|last|previous)\s+"
            rf"(?:(?P<unit>week)(?:'s)?|{_UNIT.replace('unit', 'other')}(?!'))"
        ),
        readings.of_this,
    ),
    (_english(rf"(?:{_EDGE}|last)\s+(?:last\s+)?(?P<day>{'|'.join(DAYS)}){_NO_NOUN}"), readings.of_weekday),
    (_english(r"last\s+night"), readings.of_night),
    (_english(rf"(?:{_EDGE}\s+|over\s+)?(?:the|this|last)\s+weekend{_NO_NOUN}"), readings.of_weekend),
    (_english(rf"(?:{_EDGE}\s+)?(?P<word>today|yesterday|this morning|this afternoon)(?!')"), readings.of_word),
    (_english(rf"(?:{_EDGE}\s+)(?:the\s+)?{_QUARTER}(?:(?:\s+of)?\s+{_YEAR})?{_NO_NOUN}"), readings.of_quarter),
    (_english(rf"(?:{_EDGE}|over)\s+(?:the\s+)?{_SEASON}\s+(?:of\s+)?{_YEAR}"), readings.of_season),
    (_english(rf"{_FROM_OR_TO}\s+(?:the\s+|last\s+|this\s+)?{_SEASON}{_NO_NOUN}"), readings.of_season),
    (_english(rf"(?P<edge>in|during|since|until|before|after)\s+{_YEAR}"), readings.of_year),
)

# Japanese -------------------------------------------------------------------------------------------------------------

_KANJI_MONTH: Final = r"(?P<month>[0-9]{1,2}|十[一二]?|[一二三四五六七八九])月"
_JAPANESE_SEASON: Final = "(?<![一-龥])(?P<season>[春夏秋冬])"
_JAPANESE_WORDS: Final = "|".join(sorted((word for word in WORDS if not word.isascii()), key=len, reverse=True))
_AFTER_WORDS: Final = "|".join(sorted(AFTER, key=len, reverse=True))
_JAPANESE_UNIT: Final = "(?P<unit>日|週間|か月|ヶ月|ケ月|カ月|年)"
_NUMBER: Final = r"(?P<count>[0-9]{1,4}|十?[一二三四五六七八九]|十)"
_THE_YEAR: Final = rf"(?:{_YEAR}年の?|(?P<when>今年|去年|昨年)の?)?"
_THIRD: Final = r"(?:の?(?P<part>初め|はじめ|頭|初旬|上旬|中旬|半ば|下旬|末|終わり))"
_JAPANESE: Final[Phrases] = (
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}(?P<day>[0-9]{{1,2}})日"), readings.of_day),
    (
        re.compile(
            rf"(?:{_YEAR}年の?)?{_KANJI_MONTH}(?:から|[〜~–-]){_KANJI_MONTH.replace('<month>', '<last>')}(?:にかけて|まで|に|の間)*"
        ),
        readings.of_months,
    ),
    (re.compile("半年前に?"), readings.of_half_a_year_ago),
    (re.compile(rf"数{_JAPANESE_UNIT}前に?"), readings.of_few),
    (re.compile(rf"(?:過去|直近|この|ここ)の?{_NUMBER}{_JAPANESE_UNIT}間?(?:以内)?(?:に|で)?"), readings.of_past),
    (re.compile("昨夜|昨晩|ゆうべ"), readings.of_night),
    (re.compile("先週末"), readings.of_weekend),
    (
        re.compile(rf"(?:(?P<word>今週|先週|先々週)の?)(?P<day>[月火水木金土日])曜日?(?P<after>{_AFTER_WORDS})?に?"),
        readings.of_japanese_weekday,
    ),
    (re.compile(rf"{_THE_YEAR}{_JAPANESE_SEASON}の?(?P<after>{_AFTER_WORDS})"), readings.of_season),
    (re.compile(rf"{_NUMBER}{_JAPANESE_UNIT}前に?"), readings.of_japanese_ago),
    (
        re.compile(rf"(?P<word>{_JAPANESE_WORDS}){_THIRD}?(?:(?P<after>{_AFTER_WORDS})|(?<=週)|(?!の))"),
        readings.of_word,
    ),
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}{_THIRD}(?:の?(?P<after>{_AFTER_WORDS}))?"), readings.of_japanese_month),
    (
        re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}(?:の?(?P<after>{_AFTER_WORDS})|(?:に|中に?|は|ごろ|頃))"),
        readings.of_japanese_month,
    ),
    (re.compile(rf"{_YEAR}年(?P<after>{_AFTER_WORDS})?(?![0-9])"), readings.of_japanese_year),
)

# Both -----------------------------------------------------------------------------------------------------------------

OUTRIGHT: Final = (*_ENGLISH, *_JAPANESE)
HINTS: Final[Phrases] = (
    (re.compile(rf"(?<![\d/-]){_YEAR}[-/](?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})(?![\d/-])"), readings.of_day),
    (_english(rf"(?:last|this|(?:in|over|during)(?:\s+(?:the|last|this))?)\s+{_SEASON}"), readings.of_season),
    (_english(r"recently|lately"), readings.of_late),
    (re.compile("最近"), readings.of_late),
    (re.compile(rf"(?P<day>[月火水木金土日])曜日?(?:(?P<after>{_AFTER_WORDS})|に)"), readings.of_japanese_weekday),
    (re.compile(rf"{_THE_YEAR}{_JAPANESE_SEASON}(?:に|の|ごろ|頃)"), readings.of_season),
    (_english(rf"(?P<month>{'|'.join(name for name in MONTHS if name not in ('march', 'may'))})"), readings.of_month),
    (re.compile(r"(?<=\S )(?P<month>March|May)\b"), readings.of_month),  # not the verbs
    (_english(r"(?P<word>today|yesterday)'s"), readings.of_word),
    (_english(r"(?P<which>this|last|previous)\s+(?P<unit>month|year)'s"), readings.of_this),
    (re.compile(rf"{_THE_YEAR}{_KANJI_MONTH}"), readings.of_japanese_month),
    (re.compile(rf"(?P<word>{_JAPANESE_WORDS})の"), readings.of_word),
)
NEWEST: Final = re.compile(
    r"(?<![\w-])(?:the\s+)?(?:(?:very\s+)?latest|newest|most\s+recent(?:ly)?|most\s+up[\s-]to[\s-]date)(?![\w-])"
    r"|(?:一番|いちばん|最も)新しい|最新|直近",
    re.IGNORECASE,
)
ANY_TIME: Final = re.compile(  # most questions say nothing of time, and are read no further
    rf"{'|'.join(SHORT)}|day|week|month|year|quarter|Q[1-4]|{'|'.join(SEASONS)}|night|morning|afternoon|hour|lately"
    r"|latest|newest|recent|to[\s-]date|20[0-9]{2}|[月日年週新近きおゆ朝夜晩]",
    re.IGNORECASE,
)
