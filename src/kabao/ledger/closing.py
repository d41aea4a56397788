"""Closing business days: summed while postings go on, then fenced for a moment.

Batches of one writer become visible in the order of their numbers. So what was
summed can be told exactly by how far each writer had come, and under the fence
only batches after that are looked at: of a day that is over there are none, but
those of a clock that runs behind.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import INVALID
from kabao.base.outbox import Pending
from kabao.ledger import sql, sql_days, sql_house
from kabao.ledger.cutting import fence
from kabao.ledger.model import DAY_CLOSED, DAY_NOT_OVER


async def close_day(conn: Conn, day: date, clock: Clock, days: BusinessDays) -> int:
    """See `Ledger.close_day`."""
    await sql_days.lock_closing(conn)
    first = await _first_open(conn, day, clock, days)
    seen = await sql_days.chains(conn)
    transfers = Counter(await sql_days.sum_between(conn, first, day, {}, seen))
    await fence(conn)
    now = await sql_days.chains(conn)
    late = await sql_days.moments_between(conn, first, day, seen, now)
    if late is not None:
        transfers.update(await sql_days.sum_between(conn, first, day, seen, now, late))
    await sql_house.checkpoint(conn, first, day)  # few, so under the fence
    closed = {
        first + timedelta(days=n): transfers[first + timedelta(days=n)]
        for n in range((day - first).days + 1)
    }
    us = clock.now_us()  # under the fence: not before any batch of these days
    await sql_days.store_closed(conn, closed, us)
    told = [
        Pending("day.closed", {"day": each.isoformat(), "transfers": count})
        for each, count in closed.items()
    ]
    await outbox.write(conn, told, us)
    return closed[day]


async def _first_open(conn: Conn, day: date, clock: Clock, days: BusinessDays) -> date:
    """The first day that is still open, `day` or one before it."""
    last = await sql.last_closed(conn)
    if last is not None and day <= last:
        raise DAY_CLOSED.error(f"The last closed day is {last}.")
    if day >= days.of(clock.now_us()):
        raise DAY_NOT_OVER.error(f"{day} is not over yet.")
    first = last + timedelta(days=1) if last is not None else await sql_days.first_day(conn)
    if first is None or day < first:
        raise INVALID.error("The books begin after that day.", field="day")
    return first
