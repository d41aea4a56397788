"""Statements of `tenders`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all
from kabao.merchants.model import Taken, TotalLine
from kabao.tenders.model import CashEntry, PaymentOrder, Refund, RefundPart, Tender

_ORDER: LiteralString = """
select id, company, store, terminal, cashier, shift, reference, metadata::text as metadata,
  currency, amount_fen, at_once, status,
  (extract(epoch from ends_at) * 1000000)::bigint as ends_us,
  (extract(epoch from frozen_until) * 1000000)::bigint as frozen_until_us,
  freeze_reason, outcome_unknown, captured_on, settled_on,
  (extract(epoch from created_at) * 1000000)::bigint as created_us, business_date
from tenders.payment_order
"""

_TENDERS: LiteralString = """
select id, payment_order, no, kind, channel, reference, payment, card, last4, requested_fen,
  approved_fen, held_fen, captured_fen, refunded_fen, decline_code, rule, balance_after_fen,
  (extract(epoch from created_at) * 1000000)::bigint as created_us, rounding_fen, coin_fen
from tenders.tender where payment_order = any(%s::uuid[]) order by payment_order, no
"""


async def insert_order(conn: Conn, order: PaymentOrder) -> None:
    """A new order, without tenders."""
    await conn.execute(
        """
        insert into tenders.payment_order (id, company, store, terminal, cashier, shift, reference,
          metadata, currency, amount_fen, at_once, status, ends_at, outcome_unknown, created_at,
          business_date)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, false, %s, %s)
        """,
        [
            order.id,
            order.company,
            order.store,
            order.terminal,
            order.cashier,
            order.shift,
            order.reference,
            order.metadata,
            order.currency,
            order.amount_fen,
            order.at_once,
            order.status,
            from_us(order.ends_us),
            from_us(order.created_us),
            order.business_date,
        ],
    )


async def update_order(conn: Conn, order: PaymentOrder) -> None:
    """Bring an order up to date, and what its tenders hold, took and gave back."""
    await conn.execute(
        """
        update tenders.payment_order set status = %s, ends_at = %s, frozen_until = %s,
          freeze_reason = %s, outcome_unknown = %s, captured_on = %s, settled_on = %s
        where id = %s
        """,
        [
            order.status,
            from_us(order.ends_us),
            from_us(order.frozen_until_us) if order.frozen_until_us is not None else None,
            order.freeze_reason,
            order.outcome_unknown,
            order.captured_on,
            order.settled_on,
            order.id,
        ],
    )
    await conn.execute(
        """
        update tenders.tender t set held_fen = u.held_fen, captured_fen = u.captured_fen,
          refunded_fen = u.refunded_fen
        from unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])
          as u (id, held_fen, captured_fen, refunded_fen)
        where t.id = u.id
        """,
        [
            [t.id for t in order.tenders],
            [t.held_fen for t in order.tenders],
            [t.captured_fen for t in order.tenders],
            [t.refunded_fen for t in order.tenders],
        ],
    )


async def insert_tender(conn: Conn, tender: Tender) -> None:
    """A new tender."""
    await conn.execute(
        """
        insert into tenders.tender (id, payment_order, no, kind, channel, reference, payment, card,
          last4, requested_fen, approved_fen, held_fen, captured_fen, refunded_fen, decline_code,
          rule, balance_after_fen, created_at, rounding_fen, coin_fen)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            tender.id,
            tender.payment_order,
            tender.no,
            tender.kind,
            tender.channel,
            tender.reference,
            tender.payment,
            tender.card,
            tender.last4,
            tender.requested_fen,
            tender.approved_fen,
            tender.held_fen,
            tender.captured_fen,
            tender.refunded_fen,
            tender.decline_code,
            tender.rule,
            tender.balance_after_fen,
            from_us(tender.created_us),
            tender.rounding_fen,
            tender.coin_fen,
        ],
    )


async def insert_cash(conn: Conn, entry: CashEntry) -> None:
    """Cash came into a drawer, or left it."""
    await conn.execute(
        "insert into tenders.cash_entry (id, payment_order, tender, shift, verb, amount_fen,"
        " created_at) values (%s, %s, %s, %s, %s, %s, %s)",
        [
            entry.id,
            entry.payment_order,
            entry.tender,
            entry.shift,
            entry.verb,
            entry.amount_fen,
            from_us(entry.created_us),
        ],
    )


async def cash_of_shift(conn: Conn, shift: str) -> list[TotalLine]:
    """What a shift's drawer got and gave back, by verb."""
    cursor = await conn.execute(
        """
        select verb, count(*), sum(case verb when 'order' then amount_fen else -amount_fen end)
        from tenders.cash_entry where shift = %s group by verb
        """,
        [shift],
    )
    return [
        TotalLine(verb, Taken.CASH, count, int(fen)) for verb, count, fen in await cursor.fetchall()
    ]


async def load(conn: Conn, ident: str) -> PaymentOrder | None:
    """An order as it is now."""
    return await _one(conn, _ORDER + "where id = %s", ident)


async def lock(conn: Conn, ident: str) -> PaymentOrder | None:
    """An order, and nobody else changes it until the transaction ends."""
    return await _one(conn, _ORDER + "where id = %s for update", ident)


async def lock_if_free(conn: Conn, ident: str) -> PaymentOrder | None:
    """The same; None as well if somebody is at it just now."""
    return await _one(conn, _ORDER + "where id = %s for update skip locked", ident)


async def _one(conn: Conn, query: LiteralString, ident: str) -> PaymentOrder | None:
    found = await _whole(conn, await fetch_all(conn, PaymentOrder, query, [ident]))
    return found[0] if found else None


async def _whole(conn: Conn, orders: Sequence[PaymentOrder]) -> list[PaymentOrder]:
    """Orders with their tenders."""
    tenders: dict[str, list[Tender]] = {}
    for tender in await fetch_all(conn, Tender, _TENDERS, [[o.id for o in orders]]):
        tenders.setdefault(tender.payment_order, []).append(tender)
    return [msgspec.structs.replace(o, tenders=tuple(tenders.get(o.id, ()))) for o in orders]


async def search(
    conn: Conn,
    stores: Sequence[str] | None,
    reference: str | None,
    status: str | None,
    day: tuple[date, str, str] | None,
    before: str | None,
    limit: int,
) -> list[PaymentOrder]:
    """Orders by reference, status or business day, newest first. Ids rise with time: `day`
    comes with the ids between which its orders lie, so that only these are read.
    """
    on, first, last = day or (None, None, None)
    found = await fetch_all(
        conn,
        PaymentOrder,
        _ORDER
        + """
        where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(reference)s::text is null or reference = %(reference)s)
          and (%(status)s::text is null or status = %(status)s)
          and (%(before)s::uuid is null or id < %(before)s)
          and (%(on)s::date is null
            or (business_date = %(on)s and id >= %(first)s and id < %(last)s))
        order by id desc limit %(limit)s
        """,
        {
            "stores": list(stores) if stores is not None else None,
            "reference": reference,
            "status": status,
            "on": on,
            "first": first,
            "last": last,
            "before": before,
            "limit": limit,
        },
    )
    return await _whole(conn, found)


async def overdue(conn: Conn, now_us: int, limit: int) -> list[str]:
    """Orders that hold value, are over and may move: the longest overdue first."""
    cursor = await conn.execute(
        """
        select id from tenders.payment_order
        where status in ('open', 'partially_captured') and ends_at <= %(now)s
          and (frozen_until is null or (not outcome_unknown and frozen_until <= %(now)s))
        order by ends_at limit %(limit)s
        """,
        {"now": from_us(now_us), "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def settle(conn: Conn, until: date, on: date, now_us: int, limit: int) -> list[str]:
    """Settle orders whose last capture was on that day or before, unless they are frozen."""
    cursor = await conn.execute(
        """
        update tenders.payment_order set settled_on = %(on)s where id in (
          select id from tenders.payment_order
          where status = 'captured' and settled_on is null and captured_on <= %(until)s
            and (frozen_until is null or (not outcome_unknown and frozen_until <= %(now)s))
          order by captured_on limit %(limit)s for update skip locked)
        returning id
        """,
        {"on": on, "until": until, "now": from_us(now_us), "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def insert_refund(conn: Conn, refund: Refund) -> None:
    """A refund with its parts."""
    await conn.execute(
        "insert into tenders.refund (id, payment_order, amount_fen, created_at)"
        " values (%s, %s, %s, %s)",
        [refund.id, refund.payment_order, refund.amount_fen, from_us(refund.created_us)],
    )
    await conn.execute(
        """
        insert into tenders.refund_part (refund, tender, amount_fen, payment_refund, destination,
          rule, due_back_fen)
        select * from unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::uuid[], %s::text[],
          %s::text[], %s::bigint[])
        """,
        [
            [part.refund for part in refund.parts],
            [part.tender for part in refund.parts],
            [part.amount_fen for part in refund.parts],
            [part.payment_refund for part in refund.parts],
            [part.destination for part in refund.parts],
            [part.rule for part in refund.parts],
            [part.due_back_fen for part in refund.parts],
        ],
    )


async def refunds_of(conn: Conn, order: str, after: str | None, limit: int) -> list[Refund]:
    """An order's refunds after one of them with their parts, oldest first."""
    refunds = await fetch_all(
        conn,
        Refund,
        """
        select id, payment_order, amount_fen,
          (extract(epoch from created_at) * 1000000)::bigint as created_us
        from tenders.refund
        where payment_order = %(order)s and (%(after)s::uuid is null or id > %(after)s)
        order by id limit %(limit)s
        """,
        {"order": order, "after": after, "limit": limit},
    )
    parts: dict[str, list[RefundPart]] = {}
    for part in await fetch_all(
        conn,
        RefundPart,
        """
        select p.refund, p.tender, p.amount_fen, p.payment_refund, p.destination, p.rule,
          p.due_back_fen
        from tenders.refund_part p join tenders.tender t on t.id = p.tender
        where p.refund = any(%s::uuid[]) order by p.refund, t.no
        """,
        [[refund.id for refund in refunds]],
    ):
        parts.setdefault(part.refund, []).append(part)
    return [msgspec.structs.replace(r, parts=tuple(parts.get(r.id, ()))) for r in refunds]
