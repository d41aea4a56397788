"""Statements about channels' bills."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all
from kabao.funding.model.bills import Matched


async def expect(conn: Conn, since: Mapping[str, date], until: date, from_us_: int) -> None:
    """Have channels' bills fetched from a moment on: those of each day after the last that is
    known, or else since the day that comes with the channel.
    """
    await conn.execute(
        """
        insert into funding.bill (channel, day, state, ask_at, asked, lines, differences)
        select channel, day, 'waiting', %s, 0, 0, 0
        from unnest(%s::uuid[], %s::date[]) as c (channel, since)
        cross join lateral generate_series(
          coalesce((select max(day) + 1 from funding.bill b where b.channel = c.channel), since),
          %s::date, interval '1 day') as day
        on conflict do nothing
        """,
        [from_us(from_us_), list(since), list(since.values()), until],
    )


async def claim_due(conn: Conn, now_us: int, again_us: int, limit: int) -> list[Matched]:
    """Take bills that are due; whoever fails leaves them due at `again_us`."""
    rows = await fetch_all(
        conn,
        dict,
        """
        update funding.bill b set ask_at = %s
        from (select channel, day from funding.bill where ask_at <= %s
          order by ask_at limit %s for update skip locked) due
        where b.channel = due.channel and b.day = due.day
        returning b.channel, b.day, b.state, b.asked, b.lines, b.differences, b.reason
        """,
        [from_us(again_us), from_us(now_us), limit],
    )
    return [msgspec.convert(row, Matched) for row in rows]


async def fetch_again(conn: Conn, channel: str, day: date, at_us: int) -> None:
    """A bill is to be fetched, whether it was or not."""
    await conn.execute(
        """
        insert into funding.bill (channel, day, state, ask_at, asked, lines, differences)
        values (%s, %s, 'waiting', %s, 0, 0, 0)
        on conflict (channel, day) do update set state = 'waiting', ask_at = excluded.ask_at,
          asked = 0
        """,
        [channel, day, from_us(at_us)],
    )


async def update(conn: Conn, bill: Matched, ask_us: int | None) -> None:
    """Bring a bill up to date; None: it is done."""
    fields = msgspec.structs.asdict(bill)
    fields["ask_at"] = None if ask_us is None else from_us(ask_us)
    await conn.execute(
        """
        update funding.bill set state = %(state)s, ask_at = %(ask_at)s, asked = %(asked)s,
          lines = %(lines)s, differences = %(differences)s, reason = %(reason)s
        where channel = %(channel)s and day = %(day)s
        """,
        fields,
    )


async def of_channel(conn: Conn, channel: str, before: date | None, limit: int) -> list[Matched]:
    """A channel's bills, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        """
        select channel, day, state, asked, lines, differences, reason from funding.bill
        where channel = %s and (%s::date is null or day < %s::date) order by day desc limit %s
        """,
        [channel, before, before, limit],
    )
    return [msgspec.convert(row, Matched) for row in rows]


async def sold(conn: Conn, from_us_: int, until_us: int) -> set[str]:
    """Channels through which orders were paid in a span of time."""
    rows = await conn.execute(
        """
        select id from funding.channel c where exists (
          select from funding.channel_order o
          where o.channel = c.id and o.paid_at >= %s and o.paid_at < %s)
        """,
        [from_us(from_us_), from_us(until_us)],
    )
    return {row[0] for row in await rows.fetchall()}
