"""Statements about money on its way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.funding.model.collections import FundingRefund

_SELECT: LiteralString = """
select id, collection, channel_order as order, back, amount_fen, channel_no, state, key, reason,
  refusal, (extract(epoch from sent_at) * 1000000)::bigint as sent_us,
  (extract(epoch from ask_at) * 1000000)::bigint as ask_us, asked,
  (extract(epoch from created_at) * 1000000)::bigint as created_us,
  (extract(epoch from done_at) * 1000000)::bigint as done_us
from funding.refund
"""


async def insert(conn: Conn, refund: FundingRefund) -> None:
    """A new refund; the caller holds its collection and knows that the key is new."""
    await conn.execute(
        """
        insert into funding.refund (id, collection, channel_order, back, amount_fen, channel_no,
          state, key, reason, refusal, sent_at, ask_at, asked, created_at, done_at)
        values (%(id)s, %(collection)s, %(order)s, %(back)s, %(amount_fen)s, %(channel_no)s,
          %(state)s, %(key)s, %(reason)s, %(refusal)s, %(sent_at)s, %(ask_at)s, %(asked)s,
          %(created_at)s, %(done_at)s)
        """,
        _times(refund),
    )


async def update(conn: Conn, refund: FundingRefund) -> None:
    """Bring a refund up to date."""
    await conn.execute(
        """
        update funding.refund set state = %(state)s, refusal = %(refusal)s, sent_at = %(sent_at)s,
          ask_at = %(ask_at)s, asked = %(asked)s, done_at = %(done_at)s
        where id = %(id)s
        """,
        _times(refund),
    )


def _times(refund: FundingRefund) -> dict[str, Any]:
    times = {
        "sent_at": refund.sent_us,
        "ask_at": refund.ask_us,
        "created_at": refund.created_us,
        "done_at": refund.done_us,
    }
    moments = {name: None if us is None else from_us(us) for name, us in times.items()}
    return msgspec.structs.asdict(refund) | moments


async def get(conn: Conn, ident: str) -> FundingRefund | None:
    """One refund."""
    row = await fetch_one(conn, dict, _SELECT + "where id = %s", [ident])
    return None if row is None else msgspec.convert(row, FundingRefund)


async def of_collection(conn: Conn, collection: str) -> list[FundingRefund]:
    """What went back of a collection, or goes, oldest first."""
    rows = await fetch_all(conn, dict, _SELECT + "where collection = %s order by id", [collection])
    return [msgspec.convert(row, FundingRefund) for row in rows]


async def of_order(conn: Conn, order: str) -> list[FundingRefund]:
    """What went back of an order, or goes, oldest first."""
    rows = await fetch_all(conn, dict, _SELECT + "where channel_order = %s order by id", [order])
    return [msgspec.convert(row, FundingRefund) for row in rows]


async def claim_due(
    conn: Conn, room: Mapping[str, int], most: int, now_us: int, again_us: int
) -> list[tuple[str, str]]:
    """Take refunds that are due; whoever fails leaves them due at `again_us`.

    Args:
        room: how many at most of each channel; others are left alone.
        most: how many in all.
    """
    rows = await conn.execute(
        """
        update funding.refund r set ask_at = %s
        from (
          select due.id, room.channel from unnest(%s::uuid[], %s::int[]) as room (channel, places)
          cross join lateral (
            select f.id from funding.refund f
            join funding.channel_order o on o.id = f.channel_order
            where o.channel = room.channel and f.ask_at <= %s
            order by f.ask_at limit room.places for update of f skip locked) due
          limit %s) due
        where r.id = due.id
        returning r.id, due.channel
        """,
        [from_us(again_us), list(room), list(room.values()), from_us(now_us), most],
    )
    return [(row[0], row[1]) for row in await rows.fetchall()]
