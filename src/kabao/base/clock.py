"""The one clock, handed in (design decision 7), and the business day.

`RealClock` for `serve`. For simulations and tests the row `base.clock` says
when simulated time began and how fast it runs; every process reads it and
builds a `SimulatedClock` from it. No rule ever calls SQL `now()`.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US_PER_S = 1_000_000


class Clock(Protocol):
    """Tells the time in whole microseconds since 1970, UTC."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        ...


class RealClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


class FixedClock:
    """Stands still until it is told to move: for tests, and simulations that step."""

    def __init__(self, at: datetime) -> None:
        self._us = to_us(at)

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return self._us

    def advance(self, by: timedelta) -> None:
        """Move on. Never backwards by accident: pass a negative delta to do it."""
        self._us += by // timedelta(microseconds=1)


class SimulatedClock:
    """`simulated = epoch + (real - anchor) * rate`, the same in every process."""

    def __init__(self, anchor_us: int, epoch_us: int, rate: float) -> None:
        self._anchor_us, self._epoch_us, self._rate = anchor_us, epoch_us, rate

    def now_us(self) -> int:
        """Microseconds since the epoch, in simulated time."""
        return self._epoch_us + int((time.time_ns() // 1000 - self._anchor_us) * self._rate)

    def set(self, anchor_us: int, epoch_us: int, rate: float) -> None:
        """Follow the row `base.clock` after it was changed."""
        self._anchor_us, self._epoch_us, self._rate = anchor_us, epoch_us, rate


class BusinessDays:
    """Which business day a moment belongs to.

    A day starts at `cutoff` local time; before it, it is still yesterday.
    """

    def __init__(self, zone: str = "Asia/Shanghai", cutoff: timedelta = timedelta(0)) -> None:
        self._zone, self._cutoff = ZoneInfo(zone), cutoff
        self._from_us = self._until_us = 0
        self._date = date.min

    def of(self, us: int) -> date:
        """The business day of a moment. Remembers the last answer: the hot
        path asks for the same day again and again.
        """
        if not self._from_us <= us < self._until_us:
            self._date = (from_us(us).astimezone(self._zone) - self._cutoff).date()
            self._from_us = to_us(self.start(self._date))
            self._until_us = to_us(self.start(self._date + timedelta(days=1)))
        return self._date

    def start(self, day: date) -> datetime:
        """The first moment of a business day, with offset."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        return midnight + self._cutoff


def to_us(at: datetime) -> int:
    """An aware datetime to microseconds since the epoch."""
    assert at.tzinfo is not None, "times are always aware"
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Microseconds since the epoch to an aware datetime (UTC)."""
    return _EPOCH + timedelta(microseconds=us)


def now(clock: Clock) -> datetime:
    """The clock's time as an aware datetime (UTC)."""
    return from_us(clock.now_us())


def rfc3339(us: int) -> str:
    """`2026-11-22T08:00:00.000000+08:00`: times at the edge carry an offset."""
    return from_us(us).astimezone(_LOCAL).isoformat(timespec="microseconds")


_LOCAL = ZoneInfo("Asia/Shanghai")
