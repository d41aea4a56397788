"""Statements that close business days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import LiteralString, cast

from kabao.base.clock import from_us
from kabao.base.db import Conn, NumberArray, fetch_value, number_array
from kabao.ledger.sql import FENCE_LOCK

CLOSING_LOCK = 7_102_003
"""Advisory lock: one transaction at a time closes days."""


Chains = Mapping[int, int]
"""How far every writer had come: the number of its last batch."""

Moments = tuple[datetime, datetime]
"""The first and the last."""


async def lock_closing(conn: Conn) -> None:
    """Be the only one who closes days, until the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(%s)", [CLOSING_LOCK])


async def lock_fence(conn: Conn, wait_ms: int) -> None:
    """Take the fence for this transaction alone: no batch is open any more.

    Raises psycopg's LockNotAvailable when one stays open for longer than that.
    """
    before = await fetch_value(conn, "select current_setting('lock_timeout')")
    limit: LiteralString = "select set_config('lock_timeout', %s, true)"
    await conn.execute(limit, [str(wait_ms)])
    await conn.execute("select pg_advisory_xact_lock(%s)", [FENCE_LOCK])
    await conn.execute(limit, [before])


async def first_day(conn: Conn) -> date | None:
    """The first business day with a transfer."""
    return cast(
        "date | None",
        await fetch_value(
            conn,
            "select least((select min(business_date) from ledger.batch),"
            " (select min(business_date) from ledger.house_transfer))",
        ),
    )


async def chains(conn: Conn) -> Chains:
    """How far every writer has come."""
    cursor = await conn.execute("select id, last_no from ledger.writer where last_no > 0")
    return dict(cast("list[tuple[int, int]]", await cursor.fetchall()))


async def moments_between(
    conn: Conn, first: date, last: date, seen: Chains, now: Chains
) -> Moments | None:
    """When the first and the last batch of these days between two states were recorded."""
    writers, after, upto = _stretches(seen, now)
    row = await (
        await conn.execute(
            """
            select min(b.recorded_at), max(b.recorded_at)
            from unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as w (writer, after, upto),
              lateral (select business_date, recorded_at from ledger.batch
                where writer = w.writer and no > w.after and no <= w.upto offset 0) b
            where b.business_date between %s and %s
            """,
            [writers, after, upto, first, last],
        )
    ).fetchone()
    assert row is not None
    return None if row[0] is None else (row[0], row[1])


async def sum_between(
    conn: Conn,
    first: date,
    last: date,
    seen: Chains,
    now: Chains,
    moments: Moments | None = None,
) -> dict[date, int]:
    """Add to the checkpoints of these days what was stored between two states.

    `moments`, where known, lead to few transfers by an index. Returns the
    number of transfers by day.
    """
    writers, after, upto = _stretches(seen, now)
    earliest, latest = moments or (None, None)
    cursor = await conn.execute(
        """
        with flow as materialized (
          select t.business_date, debit, credit, house, currency, sum(amount_fen) as fen,
            count(*) as transfers
          from ledger.transfer t
          join unnest(%(writers)s::bigint[], %(after)s::bigint[], %(upto)s::bigint[])
            as w (writer, after, upto)
            on t.writer = w.writer and t.batch > w.after and t.batch <= w.upto
          where t.business_date between %(first)s and %(last)s
            and (%(earliest)s::timestamptz is null
              or t.recorded_at between %(earliest)s and %(latest)s)
          group by t.business_date, debit, credit, house, currency),
        kept as (
          insert into ledger.checkpoint as c (account, owner, currency, business_date,
            debit_fen, credit_fen)
          select account, house, currency, business_date, sum(debits), sum(credits)
          from flow, lateral (values (debit, fen, 0), (credit, 0, fen))
            as side (account, debits, credits)
          where account >= 10
          group by account, house, currency, business_date
          on conflict (account, owner, currency, business_date) do update
            set debit_fen = c.debit_fen + excluded.debit_fen,
              credit_fen = c.credit_fen + excluded.credit_fen)
        select business_date, sum(transfers)::bigint from flow group by business_date
        """,
        {
            "writers": writers,
            "after": after,
            "upto": upto,
            "first": first,
            "last": last,
            "earliest": earliest,
            "latest": latest,
        },
    )
    return dict(cast("list[tuple[date, int]]", await cursor.fetchall()))


def _stretches(seen: Chains, now: Chains) -> list[NumberArray]:
    """Writers that have moved between two states: which, from where, how far."""
    moved = [(w, seen.get(w, 0), no) for w, no in now.items() if no > seen.get(w, 0)]
    return [number_array([row[n] for row in moved]) for n in range(3)]


async def store_closed(conn: Conn, transfers: Mapping[date, int], us: int) -> None:
    """Close days, each with the number of its transfers."""
    for day, count in transfers.items():
        await conn.execute(
            "insert into ledger.closed_day (business_date, closed_at, transfers)"
            " values (%s, %s, %s)",
            [day, from_us(us), count],
        )
