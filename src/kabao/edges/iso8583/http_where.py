"""Which batches and differences a request is about, within what its key sees."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from msgspec import Meta

from kabao.base.clock import BusinessDays
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.principal import Principal
from kabao.edges.iso8583.sql_reading import Where
from kabao.org.ops import Org

STORE, TERMINAL = "sto", "ter"
_DAYS = date(2000, 1, 1), date(2999, 12, 31)
"""Within these a day has a first moment, and one after it."""

TimePosition = Annotated[int, Meta(ge=0, le=32_503_680_000_000_000)]
"""Microseconds until the year 3000."""


def within(
    principal: Principal,
    org: Org,
    days: BusinessDays,
    store: str | None,
    terminal: str | None,
    day: date | None,
) -> Where:
    """What a list is about. Raises `not_found` for a store outside, `invalid` for a far day."""
    stores = org.stores_within(principal.companies, principal.stores)
    if store is not None:
        ident = from_edge(STORE, store, field="store")
        if org.store(ident) is None or (stores is not None and ident not in stores):
            raise NOT_FOUND.error(field="store")
        stores = [ident]
    if day is not None and not _DAYS[0] <= day <= _DAYS[1]:
        raise INVALID.error("There is no business of that day.", field="day")
    begin: datetime | None = days.start(day) if day is not None else None
    end = days.start(day + timedelta(days=1)) if day is not None else None
    named = from_edge(TERMINAL, terminal, field="terminal") if terminal is not None else None
    return Where(stores, named, begin, end)
