"""Workdays: the State Council's calendar, and what two persons said of it.

The official calendar is published in autumn for the year to come. A year that nobody
has published and nobody declared is unknown: that is a refusal, never a guess (C-03).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import chinese_calendar  # type: ignore[import-untyped]  # ships no annotations
import msgspec

from kabao.base.errors import KabaoError, Kind, code

CALENDAR_UNKNOWN = code(
    "calendar_unknown", Kind.REFUSED, "The workdays of that year are not known yet."
)
RULE = "C-03"

ALARM_MONTH = 11
"""From its first day on, an unknown next year is a case: the calendar comes out by then."""

STRETCH_MAX = 30
"""No stretch of days without a workday is longer; a calendar that says so is a mistake."""

_ONE = timedelta(days=1)
_SATURDAY = 5


class Workdays(msgspec.Struct, frozen=True):
    """Which days are worked: what was said by two persons, else what is published."""

    overrides: Mapping[date, bool] = msgspec.field(default_factory=dict)
    """Days said to be workdays (true) or free, whatever is published."""
    declared: frozenset[int] = frozenset()
    """Years that are complete by the overrides: other days are as their weekday says."""

    def is_workday(self, day: date) -> bool:
        """Whether banks settle on a day. Raises `calendar_unknown`."""
        said = self.overrides.get(day)
        if said is not None:
            return said
        if day.year in self.declared:
            return day.weekday() < _SATURDAY
        return _published(day)

    def knows(self, year: int) -> bool:
        """Whether every day of a year can be told."""
        return year in self.declared or _is_published(year)

    def after(self, day: date, workdays: int) -> date:
        """The n-th workday after a day (T+n); for 0 the day itself, or the next workday.

        Raises `calendar_unknown` where the way leads into a year that is not known.
        """
        assert workdays >= 0, "settlement does not go back in time"
        found = self._from(day if workdays == 0 else day + _ONE)
        for _ in range(workdays - 1):
            found = self._from(found + _ONE)
        return found

    def _from(self, day: date) -> date:
        """The first workday from a day on."""
        for ahead in range(STRETCH_MAX):
            candidate = day + timedelta(days=ahead)
            if self.is_workday(candidate):
                return candidate
        raise CALENDAR_UNKNOWN.error(f"There is no workday soon after {day}.", rule=RULE)


def is_missing(workdays: Workdays, today: date) -> int | None:
    """The year whose calendar should be known by now and is not."""
    years = (today.year, today.year + 1) if today.month >= ALARM_MONTH else (today.year,)
    return next((year for year in years if not workdays.knows(year)), None)


def _published(day: date) -> bool:
    """What the official calendar says of a day."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        raise CALENDAR_UNKNOWN.error(
            f"The calendar of {day.year} is not published here; declare it.", rule=RULE
        ) from None


def _is_published(year: int) -> bool:
    """Whether the library has a year."""
    try:
        _published(date(year, 1, 1))
    except KabaoError:
        return False
    return True
