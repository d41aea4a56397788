"""What became of payments between two cuts, counted by how far they had come before."""

from __future__ import annotations

from kabao.base.db import Conn, fetch_all
from kabao.ledger.model import Account, Cut, PaymentStep, Purpose
from kabao.ledger.sql_flows import _INSIDE, _window

UNDOING = (Purpose.VOID, Purpose.REVERSAL)
"""What says that an operation was never meant, where a refund says that it was."""


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
            bool_or(purpose = any(%(undoing)s)) as undone,
            sum(case credit when %(redeemed)s then amount_fen else -amount_fen end)::bigint as fen
          from ledger.transfer t where %(redeemed)s in (debit, credit) and {_INSIDE}
          group by root, coalesce(related, op), op, issuer, house, currency),
        known as (
          select issuer, store, currency, day as paid_on, 0::bigint as before_fen, fen, undone
          from moved where payment = op
          union all
          select m.issuer, m.store, m.currency, coalesce(p.day, m.day), coalesce(p.fen, 0), m.fen,
            m.undone
          from moved m, lateral (
            select min(business_date) as day,
              sum(case credit when %(redeemed)s then amount_fen else -amount_fen end)::bigint as fen
            from ledger.transfer p
            where p.root = m.root and p.seq < m.seq and %(redeemed)s in (p.debit, p.credit)
              and (p.op = m.payment or p.related = m.payment)) p
          where m.payment <> m.op)
        select issuer, store, currency, paid_on, before_fen, before_fen + fen as after_fen,
          count(*) as count, undone
        from known group by issuer, store, currency, paid_on, before_fen, before_fen + fen, undone
        order by issuer, store, currency, paid_on, before_fen, after_fen, count, undone
        """,  # noqa: S608 - constants
        await _window(conn, after, upto)
        | {"redeemed": int(Account.REDEEMED), "undoing": [int(each) for each in UNDOING]},
    )
