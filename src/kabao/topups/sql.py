"""Statements of `topups`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

from kabao.base.clock import from_us
from kabao.base.db import (
    Conn,
    Statements,
    fetch_all,
    number_array,
    quoted_array,
    text_array,
    uuid_array,
)
from kabao.topups.model import TopUp


async def insert_topups(conn: Statements, rows: Sequence[TopUp]) -> None:
    """Insert a batch's top-ups; all share its moment and business day."""
    await conn.execute(
        """
        insert into topups.topup (id, company, root, card, last4, store, terminal, cashier, shift,
          channel, reference, amount_fen, currency, status, balance_after_fen, created_at,
          business_date)
        select t.*, %s, %s from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[],
          %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[],
          %s::text[], %s::text[], %s::bigint[]) as t
        """,
        [
            from_us(rows[0].created_us),
            date.fromordinal(rows[0].day),
            uuid_array([t.id for t in rows]),
            uuid_array([t.company for t in rows]),
            uuid_array([t.root for t in rows]),
            uuid_array([t.card for t in rows]),
            text_array([t.last4 for t in rows]),
            uuid_array([t.store for t in rows]),
            uuid_array([t.terminal for t in rows]),
            uuid_array([t.cashier for t in rows]),
            uuid_array([t.shift for t in rows]),
            quoted_array([t.channel for t in rows]),
            quoted_array([t.reference for t in rows]),
            number_array([t.amount_fen for t in rows]),
            text_array([t.currency for t in rows]),
            text_array([t.status for t in rows]),
            number_array([t.balance_after_fen for t in rows]),
        ],
    )


async def update_topups(conn: Statements, rows: Sequence[TopUp]) -> None:
    """Bring top-ups up to date."""
    await conn.execute(
        """
        update topups.topup t set status = u.status, confirmed_by = u.confirmed_by,
          balance_after_fen = u.balance_after_fen
        from unnest(%s::uuid[], %s::text[], %s::uuid[], %s::bigint[])
          as u (id, status, confirmed_by, balance_after_fen)
        where t.id = u.id
        """,
        [
            uuid_array([t.id for t in rows]),
            text_array([t.status for t in rows]),
            uuid_array([t.confirmed_by for t in rows]),
            number_array([t.balance_after_fen for t in rows]),
        ],
    )


_SELECT: LiteralString = """
select id, company, root, card, last4, store, terminal, cashier, shift, channel, reference,
  amount_fen, currency, status, balance_after_fen, confirmed_by,
  (extract(epoch from created_at) * 1000000)::bigint as created_us,
  business_date - date '0001-01-01' + 1 as day
from topups.topup
"""


async def load(conn: Conn, ids: Sequence[str]) -> dict[str, TopUp]:
    """Top-ups by id."""
    rows = await fetch_all(conn, TopUp, _SELECT + "where id = any(%s::uuid[])", [list(set(ids))])
    return {topup.id: topup for topup in rows}


async def search(
    conn: Conn,
    stores: Sequence[str] | None,
    card: str | None,
    reference: str | None,
    day: tuple[date, str, str] | None,
    before: str | None,
    limit: int,
) -> list[TopUp]:
    """Top-ups, newest first; `stores` None: of every store. `day` comes with the ids
    between which its top-ups lie, so that only these are read.
    """
    on, first, last = day or (None, None, None)
    return await fetch_all(
        conn,
        TopUp,
        _SELECT
        + """
        where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(card)s::uuid is null or card = %(card)s)
          and (%(reference)s::text is null or reference = %(reference)s)
          and (%(before)s::uuid is null or id < %(before)s)
          and (%(on)s::date is null
            or (business_date = %(on)s and id >= %(first)s and id < %(last)s))
        order by id desc limit %(limit)s
        """,
        {
            "stores": list(stores) if stores is not None else None,
            "card": card,
            "reference": reference,
            "on": on,
            "first": first,
            "last": last,
            "before": before,
            "limit": limit,
        },
    )
