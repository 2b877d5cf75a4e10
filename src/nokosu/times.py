"""Points in time: RFC 3339 text outside, milliseconds since 1970 in UTC inside. Nothing else in the code base parses or
formats one.

Source: RFC 3339; only its full-date and its date-time with a zone are read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from nokosu.errors import UsageError

DAY_MS: Final = 24 * 60 * 60 * 1000

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999


def parse(text: str, *, field: str, end_of_day: bool = False) -> int:
    """Read a date-time with a zone, or a date (a day in UTC: its first millisecond, or its last with *end_of_day*).

    Returns: milliseconds since 1970-01-01T00:00:00Z.

    Raises:
        UsageError: anything else, or a time before 1970; names *field*.
    """
    try:
        if _DATE.fullmatch(text):
            moment = _millis(datetime.fromisoformat(text).replace(tzinfo=UTC))
            return moment + DAY_MS - 1 if end_of_day else moment
        match = _DATE_TIME.fullmatch(text)
        if match is not None:
            day, clock, fraction, zone = match.groups()
            whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
            return _millis(whole) + int((fraction or ".0")[1:4].ljust(3, "0"))
    except (ValueError, OverflowError):
        pass  # the message below says what is expected
    shown = ascii(text if len(text) <= 40 else text[:40] + "...")
    raise UsageError(
        f"{field}: {shown} is not a date (2026-03-31) or a time with zone (2026-03-31T18:00:00Z)", field=field
    )


def format_ms(moment_ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339 in UTC, to the millisecond; years past 9999 become that year's end."""
    moment = _EPOCH + timedelta(milliseconds=min(max(moment_ms, 0), _LAST_MS))
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def age(moment_ms: int, now_ms: int) -> str:
    """How long ago, in one short word pair for a person: "just now", "3 h ago", "5 d ago"."""
    seconds = (now_ms - moment_ms) // 1000
    if seconds < 60:
        return "just now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def day(moment_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """When something was, as a person says it in local time: "today 14:02", "Tuesday" within a week, else the date.

    *zone* is another place's time, for tests.
    """
    moment, now = (_local(each, zone) for each in (moment_ms, now_ms))
    days = (now.date() - moment.date()).days
    if days == 0:
        return f"today {moment:%H:%M}"
    return _WEEKDAYS[moment.weekday()] if 0 < days < 7 else moment.date().isoformat()


def _local(moment_ms: int, zone: tzinfo | None) -> datetime:
    # A day is kept from either end: beyond them no zone has a time.
    return (_EPOCH + timedelta(milliseconds=min(max(moment_ms, DAY_MS), _LAST_MS - DAY_MS))).astimezone(zone)


def _millis(moment: datetime) -> int:
    millis = (moment - _EPOCH) // timedelta(milliseconds=1)
    if millis < 0:
        raise ValueError("before 1970")
    return millis
