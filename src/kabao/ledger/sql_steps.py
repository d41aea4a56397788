"""What became of payments between two cuts, counted by how far they had come before."""

from __future__ import annotations

from kabao.base.db import Conn, fetch_all
from kabao.ledger.model import Account, Cut, PaymentStep
from kabao.ledger.sql_flows import _INSIDE, _window


async def steps(conn: Conn, after: Cut | None, upto: Cut) -> list[PaymentStep]:
    """Every operation on what stores are owed, counted; in the order of their names.

    Most payments are one operation and were nothing before. What follows a payment
    names it as `related`; only for those few the card's history is looked up.
    """
    return await fetch_all(
        conn,
        PaymentStep,
        f"""
        with moved as materialized (
          select root, coalesce(related, op) as payment, op, issuer, house as store, currency,
            min(business_date) as day, min(seq) as seq,
            sum(case credit when %(redeemed)s then amount_fen else -amount_fen end)::bigint as fen
          from ledger.transfer t where %(redeemed)s in (debit, credit) and {_INSIDE}
          group by root, coalesce(related, op), op, issuer, house, currency),
        known as (
          select issuer, store, currency, day as paid_on, 0::bigint as before_fen, fen
          from moved where payment = op
          union all
          select m.issuer, m.store, m.currency, coalesce(p.day, m.day), coalesce(p.fen, 0), m.fen
          from moved m, lateral (
            select min(business_date) as day,
              sum(case credit when %(redeemed)s then amount_fen else -amount_fen end)::bigint as fen
            from ledger.transfer p
            where p.root = m.root and p.seq < m.seq and %(redeemed)s in (p.debit, p.credit)
              and (p.op = m.payment or p.related = m.payment)) p
          where m.payment <> m.op)
        select issuer, store, currency, paid_on, before_fen, before_fen + fen as after_fen,
          count(*) as count
        from known group by issuer, store, currency, paid_on, before_fen, before_fen + fen
        order by issuer, store, currency, paid_on, before_fen, after_fen
        """,  # noqa: S608 - constants
        await _window(conn, after, upto) | {"redeemed": int(Account.REDEEMED)},
    )
