"""Windows, business days and the parts that keep a day open."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum

import msgspec

from kabao.base.clock import BusinessDays
from kabao.base.errors import Kind, code
from kabao.ledger.model import Cut

DAY_KEPT_OPEN = code(
    "day_kept_open", Kind.CONFLICT, "Sources of that day do not agree; it stays open."
)
DAY_STILL_OPEN = code(
    "day_still_open", Kind.CONFLICT, "That day is not closed: it needs no adjustment."
)
GATE_RULE = "T-21"
NETTING_RULE = "C-01"


class WindowState(StrEnum):
    """A window is cut first, then its figures are made."""

    CUT = "cut"
    FIGURED = "figured"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What is netted together: every transfer between two cuts."""

    id: str
    no: int
    day: date
    """The day it ends on: that of its settlements."""
    from_cut: Cut | None
    to_cut: Cut
    until: datetime
    state: WindowState
    inputs_digest: bytes | None = None
    result_digest: bytes | None = None
    cut_at: datetime


class DayState(StrEnum):
    """A day is open until its soft close; it is never opened again."""

    SOFT_CLOSED = "soft_closed"
    HARD_CLOSED = "hard_closed"


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A business day that is closed in the ledger."""

    business_date: date
    state: DayState
    soft_closed_at: datetime
    hard_closed_at: datetime | None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says of a day, and that it was kept out."""

    source: str
    subject: str
    reason: str
    breaks: int
    kept_out_at: datetime
    closed_at: datetime | None


def describe(part: Part) -> str:
    """What keeps a day open, on one line for people."""
    broken = f", {part.breaks} breaks" if part.breaks else ""
    return f"{part.source} {part.subject}: {part.reason}{broken}"


def ends_at(day: date, clock_time: str, days: BusinessDays) -> datetime:
    """When the window of a day ends: that local time of the calendar day (C-01)."""
    at = time.fromisoformat(clock_time)
    midnight = days.start(day).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.replace(hour=at.hour, minute=at.minute)


def last_ended(now: datetime, clock_time: str, days: BusinessDays) -> date:
    """The last day whose window has ended by now."""
    day = now.astimezone(days.start(now.date()).tzinfo).date()
    return day if ends_at(day, clock_time, days) <= now else day - timedelta(days=1)
