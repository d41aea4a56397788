"""UnionPay's times of ten digits: month, day, hour, minute, second, and no year."""

from __future__ import annotations

import re

from kabao.adapters.figures import local, us_of

_FORM = re.compile(r"\d{10}", re.ASCII)


def us_near(text: str, near_us: int) -> int:
    """The moment meant: of the year that brings it nearest to another one. Raises ValueError."""
    if not _FORM.fullmatch(text):
        raise ValueError("no time of ten digits")
    year = int(local(near_us, "%Y"))
    found: list[int] = []
    for one in (year - 1, year, year + 1):
        try:
            found.append(us_of(f"{one}{text}", "%Y%m%d%H%M%S"))
        except ValueError:
            continue  # the 29th of February is not in every year
    return min(found, key=lambda us: abs(us - near_us))
