"""Time as the outside has it: microseconds since 1970, shown as Shanghai's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

Now = Callable[[], int]
US = 1_000_000
CHINA = timezone(timedelta(hours=8))


def real() -> int:
    """The machine's clock."""
    return time.time_ns() // 1000


class Turned:
    """A clock that shows the machine's time until it is turned: then it stands, or goes on."""

    def __init__(self) -> None:
        self._us: int | None = None
        self._ahead_us = 0

    def __call__(self) -> int:
        """Microseconds since 1970."""
        return real() + self._ahead_us if self._us is None else self._us

    def set(self, us: int) -> None:
        """Stand at a moment."""
        self._us = us

    def run(self, us: int) -> None:
        """Go on from a moment, as fast as the machine's clock."""
        self._us, self._ahead_us = None, us - real()


def at(us: int) -> datetime:
    """A moment in Shanghai."""
    return datetime.fromtimestamp(us // US, CHINA)


def day(us: int) -> date:
    """Its day there."""
    return at(us).date()


def text(us: int) -> str:
    """As most of China writes it."""
    return f"{at(us):%Y-%m-%d %H:%M:%S}"


def us_of(written: str, form: str) -> int:
    """The other way round. Raises ValueError."""
    return int(datetime.strptime(written, form).replace(tzinfo=CHINA).timestamp()) * US
