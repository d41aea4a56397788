"""Statements for bookkeepers: accounts of roots and of the house, days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, uuid_array
from kabao.ledger.model import Transfer
from kabao.ledger.sql import _TRANSFER


class ClosedDay(msgspec.Struct, frozen=True):
    """A business day nothing can be posted into any more."""

    business_date: date
    closed_at: datetime
    transfers: int


async def sub_accounts(conn: Conn, root_id: str, us: int | None) -> dict[int, tuple[int, int]]:
    """What each sub-account of a root was debited and credited, up to a moment or ever."""
    cursor = await conn.execute(
        """
        select account, sum(debit_fen)::bigint, sum(credit_fen)::bigint
        from ledger.transfer t, lateral (values (t.debit, t.amount_fen, 0::bigint),
          (t.credit, 0::bigint, t.amount_fen)) as side (account, debit_fen, credit_fen)
        where t.root = %(root)s and account < 10
          and (%(at)s::timestamptz is null or t.recorded_at <= %(at)s)
        group by account
        """,
        {"root": root_id, "at": from_us(us) if us is not None else None},
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def house_page(
    conn: Conn,
    account: int,
    owner: str,
    day: date,
    after: tuple[int, str, int] | None,
    limit: int,
) -> list[Transfer]:
    """Transfers on a house account on one business day, in order, from a place on.

    The place is a transfer's (recorded_us, root, seq).
    """
    us, root_id, seq = after or (0, "0" * 32, 0)
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER
        + "where business_date = %(day)s and house = %(owner)s"
        + " and (debit = %(account)s or credit = %(account)s)"
        + " and recorded_at >= %(at)s and (recorded_at, root, seq) > (%(at)s, %(root)s, %(seq)s)"
        + " order by recorded_at, root, seq limit %(limit)s",
        {
            "day": day,
            "owner": owner,
            "account": account,
            "at": from_us(us),
            "root": root_id,
            "seq": seq,
            "limit": limit,
        },
    )


async def carriers(conn: Conn, roots: Iterable[str]) -> dict[str, str]:
    """The card that carries each root now."""
    cursor = await conn.execute(
        "select id, card from ledger.root where id = any(%s)", [uuid_array(sorted(set(roots)))]
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def closed_days(conn: Conn, before: date | None, limit: int) -> list[ClosedDay]:
    """Closed days, newest first."""
    return await fetch_all(
        conn,
        ClosedDay,
        "select business_date, closed_at, transfers from ledger.closed_day"
        " where (%(before)s::date is null or business_date < %(before)s)"
        " order by business_date desc limit %(limit)s",
        {"before": before, "limit": limit},
    )
