"""Days, weeks, months, quarters, seasons and years around a moment, in the zone of a machine. Pure: both are arguments.

It knows no words: `readings` says which time a word means.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

_SATURDAY: Final = 5
_HALF_A_MONTH: Final = 15 * 24 * 3600  # seconds: far enough from a month's ends to be in its year in every zone
_HOURS: Final = {"hour": 1, "day": 24, "week": 24 * 7, "month": 24 * 31, "quarter": 24 * 92, "year": 24 * 366}


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


def joined(first: Span, last: Span) -> Span:
    """From the beginning of one to the end of another."""
    return Span(first.since_ms, last.until_ms)


class Calendar:
    """What stands around a moment, in one zone; None is that of this machine. Weeks begin on Monday.

    Raises:
        ValueError: there is no such day: the 31st of June, or one of the year 0.
        OverflowError: so many units ago, there was no year 1 yet.
    """

    def __init__(self, now_ms: int, zone: tzinfo | None) -> None:
        self._zone = zone
        self._now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        self._today = self._now.replace(hour=0, minute=0, second=0, microsecond=0)

    def days(self, back: int, count: int = 1) -> Span:
        """*count* days that begin so many days ago."""
        first = self._today - timedelta(days=back)
        return self._span(first, first + timedelta(days=count))

    def weeks(self, back: int) -> Span:
        """The week from Monday to Sunday so many weeks ago."""
        return self.days(self._today.weekday() + 7 * back, 7)

    def months(self, back: int) -> Span:
        """The month so many months ago."""
        at = self._today.year * 12 + self._today.month - 1 - back
        return self.month(at // 12, at % 12 + 1)

    def units(self, unit: str, back: int) -> Span:
        """The day, week, month, quarter or year so many ago."""
        if unit == "year":
            return self.year(self.year_ago(back))
        if unit == "quarter":
            at = self._today.year * 4 + (self._today.month - 1) // 3 - back
            return self._quarter(at // 4, at % 4 + 1)
        return {"day": self.days, "week": self.weeks, "month": self.months}[unit](back)

    def past(self, unit: str, count: int) -> Span:
        """The last hours, days, weeks, months, quarters or years, from this very moment; its end is open."""
        return Span(self._ms(self._now - timedelta(hours=count * _HOURS[unit])), None)

    def day(self, month: int, day: int, year: int | None) -> Span:
        """A day of a year, or the last one of that date that has begun."""
        first = self._today.replace(year=year or self._today.year, month=month, day=day)
        if not year and first > self._today:
            first = first.replace(year=first.year - 1)
        return self._span(first, first + timedelta(days=1))

    def weekday(self, day: int, weeks: int | None = None) -> Span:
        """The last such day before today, or that of the week so many weeks ago; Monday is 0."""
        if weeks is None:
            return self.days((self._today.weekday() - day - 1) % 7 + 1)
        return self.days(self._today.weekday() - day + 7 * weeks)

    def weekend(self, *, over: bool) -> Span:
        """The last Saturday and Sunday that have begun, or that are over."""
        back = int(over and self._today.weekday() >= _SATURDAY)
        return self.days((self._today.weekday() + 2) % 7 + 7 * back, 2)

    def month(self, year: int, month: int) -> Span:
        first = self._today.replace(year=year, month=month, day=1)
        return self._span(first, (first + timedelta(days=31)).replace(day=1))

    def month_named(self, month: int, year: int | None) -> Span:
        """A month of a year, or the last one of that name that has begun."""
        return self.month(year or self._year_begun(month), month)

    def months_named(self, first: int, last: int, year: int | None) -> Span:
        """From one month to another, whose year it is."""
        end = self.month_named(last, year)
        ends = datetime.fromtimestamp((end.since_ms or 0) / 1000 + _HALF_A_MONTH, UTC).year
        return joined(self.month(ends - (first > last), first), end)

    def quarter_named(self, quarter: int, year: int | None) -> Span:
        """A quarter of a year, or the last one of that number that has begun."""
        return self._quarter(year or self._year_begun(3 * quarter - 2), quarter)

    def season(self, first_month: int, year: int | None) -> Span:
        """Three months of the north, from the first of the first one; those that began last, unless a year is said."""
        at = (year or self._year_begun(first_month)) * 12 + first_month - 1
        return joined(self.month(at // 12, at % 12 + 1), self.month((at + 2) // 12, (at + 2) % 12 + 1))

    def year(self, year: int) -> Span:
        first = self._today.replace(year=year, month=1, day=1)
        return self._span(first, first.replace(year=year + 1))

    def year_ago(self, back: int) -> int:
        """The number of the year so many years ago."""
        return self._today.year - back

    def _year_begun(self, month: int) -> int:
        """The last year of which that month has begun."""
        return self._today.year - (month > self._today.month)

    def _quarter(self, year: int, quarter: int) -> Span:
        return joined(self.month(year, 3 * quarter - 2), self.month(year, 3 * quarter))

    def _span(self, first: datetime, after: datetime) -> Span:
        """From *first* until just before *after*."""
        return Span(self._ms(first), self._ms(after) - 1)

    def _ms(self, moment: datetime) -> int:
        """A wall time as milliseconds since 1970, whatever summer time says on that day."""
        wall = moment.replace(tzinfo=None)
        return round((wall.replace(tzinfo=self._zone) if self._zone else wall).timestamp() * 1000)
