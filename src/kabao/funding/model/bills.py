"""Which bills of channels there have to be, and how far each has come. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec


class BillState(StrEnum):
    """How far a bill has come."""

    WAITING = "waiting"  # to be fetched, or fetched again
    MATCHED = "matched"  # compared with our books


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's bill of a day."""

    channel: str
    day: date
    state: BillState
    asked: int
    lines: int
    differences: int
    reason: str | None
    """Why it is not there yet, or another than the last one counts."""
