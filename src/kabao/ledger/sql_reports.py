"""Statements for reports: what a business day came to, each in one read of that day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from kabao.base.db import Conn, fetch_all
from kabao.ledger.sums import Entry, Hour, Owed, Volume


async def volumes(conn: Conn, day: date) -> list[Volume]:
    """What moved on a day, by all that reports are made of."""
    return await fetch_all(
        conn,
        Volume,
        """
        select issuer, currency::text, greatest(debit, credit)::int as account, purpose::int,
          coalesce(redeeming_store, selling_store) as store, cashier, channel,
          count(distinct op) as operations,
          sum(case when debit >= 10 then amount_fen else -amount_fen end)::bigint as value_fen
        from ledger.transfer where business_date = %s and house is not null
        group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5 nulls first, 6 nulls first,
          7 nulls first
        """,
        [day],
    )


async def hours(conn: Conn, day: date, zone: str, paid: Collection[int]) -> list[Hour]:
    """What cards paid on a day for these purposes, by issuer and the hour of a zone's clock."""
    return await fetch_all(
        conn,
        Hour,
        """
        select issuer, extract(hour from occurred_at at time zone %(zone)s)::int as hour,
          count(distinct op) as operations, sum(amount_fen)::bigint as amount_fen
        from ledger.transfer where business_date = %(day)s and purpose = any(%(paid)s::int[])
          and credit >= 10
        group by 1, 2 order by 1, 2
        """,
        {"zone": zone, "day": day, "paid": sorted(paid)},
    )


async def owed_before(conn: Conn, day: date) -> list[Owed]:
    """What issuers owed when a day began, from every transfer before it."""
    return await fetch_all(
        conn,
        Owed,
        """
        select issuer, currency::text,
          sum(case when debit >= 10 then amount_fen else -amount_fen end)::bigint as fen
        from ledger.transfer where business_date < %s and house is not null
        group by 1, 2 order by 1, 2
        """,
        [day],
    )


async def journal(conn: Conn, day: date) -> list[Entry]:
    """A day's two journals, summed as bookkeepers take them over."""
    return await fetch_all(
        conn,
        Entry,
        """
        select issuer, currency::text, debit::int, debit_owner, credit::int, credit_owner,
          purpose::int, count(*) as transfers, sum(amount_fen)::bigint as amount_fen
        from (
          select issuer, currency, debit, case when debit >= 10 then house end as debit_owner,
            credit, case when credit >= 10 then house end as credit_owner, purpose, amount_fen
          from ledger.transfer where business_date = %(day)s
          union all
          select issuer, currency, debit, debit_owner, credit, credit_owner, purpose, amount_fen
          from ledger.house_transfer where business_date = %(day)s) each
        group by 1, 2, 3, 4, 5, 6, 7
        order by 1, 2, 7, 3, 5, 4 nulls first, 6 nulls first
        """,
        {"day": day},
    )
