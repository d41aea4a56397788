"""What goes wrong at a party, on demand."""

from __future__ import annotations

from typing import Annotated

import msgspec

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=600_000)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percentages are of answers, payments or notifications."""

    lose: Percent = 0
    """Of answers: the work is done, the answer does not arrive."""
    delay_ms: Millis = 0
    """Before every answer."""
    lose_notice: Percent = 0
    """Of notifications: not sent the first time, only when repeated."""
    delay_notice_ms: Millis = 0
    duplicate: Count = 0
    """How many more times each notification is sent after it was taken."""
    forge: Percent = 0
    """Of notifications: before the true one comes one that somebody else signed."""
    wrong_amount: Percent = 0
    """Of notifications: before the true one comes one, well signed, of another amount."""
    success: Percent = 100
    """Of payments: the rest fail for want of money."""
    down_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    """From now on for so long nobody is there: connections are refused."""
