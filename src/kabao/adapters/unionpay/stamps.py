"""UnionPay's times of ten digits: month, day, hour, minute, second, and no year."""

from __future__ import annotations

import re

from kabao.adapters.figures import local, us_of
from kabao.base.clock import US_PER_S

_HALF_A_YEAR_US = 182 * 86_400 * US_PER_S
_FORM = re.compile(r"\d{10}", re.ASCII)


def us_near(text: str, near_us: int) -> int:
    """The moment meant: of the year that brings it nearest to another one. Raises ValueError."""
    if not _FORM.fullmatch(text):
        raise ValueError("no time of ten digits")
    year = int(local(near_us, "%Y"))
    found: list[int] = []
    for one in (year, year - 1, year + 1):
        try:
            us = us_of(f"{one}{text}", "%Y%m%d%H%M%S")
        except ValueError:
            continue  # the 29th of February is not in every year
        if abs(us - near_us) < _HALF_A_YEAR_US:
            return us
        found.append(us)
    if not found:
        raise ValueError("no time in any of these years")
    return min(found, key=lambda us: abs(us - near_us))
