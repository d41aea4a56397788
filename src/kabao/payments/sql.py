"""Statements of `payments`: set inserts and updates run inside the ledger's batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

from kabao.base.clock import from_us
from kabao.base.db import (
    Conn,
    Statements,
    fetch_all,
    fetch_value,
    in_step,
    number_array,
    quoted_array,
    text_array,
    uuid_array,
)
from kabao.payments.model import Payment, Refund, Reversal, Tie

_INSERT: LiteralString = """
insert into payments.payment (id, company, root, card, last4, store, terminal, cashier, shift,
  channel, reference, metadata, currency, requested_fen, approved_fen, captured_fen, refunded_fen,
  principal_fen, bonus_fen, refunded_principal_fen, refunded_bonus_fen, held_principal_fen,
  held_bonus_fen, status, decline_code, rule, balance_after_fen, tender, invoiceable_fen,
  expires_at, created_at, business_date)
select id, company, root, card, last4, store, terminal, cashier, shift,
  channel, reference, metadata, currency, requested_fen, approved_fen, captured_fen, 0,
  principal_fen, bonus_fen, 0, 0, held_principal_fen,
  held_bonus_fen, status, decline_code, rule, balance_after_fen, tender, invoiceable_fen,
  timestamptz 'epoch' + expires_us * interval '1 microsecond', %s, %s
from """ + in_step(
    "p",
    "id uuid, company uuid, root uuid, card uuid, last4 text, store uuid, terminal uuid, "
    "cashier uuid, shift uuid, channel text, reference text, metadata json, currency text, "
    "requested_fen bigint, approved_fen bigint, captured_fen bigint, principal_fen bigint, "
    "bonus_fen bigint, held_principal_fen bigint, held_bonus_fen bigint, status text, "
    "decline_code text, rule text, balance_after_fen bigint, tender text, "
    "invoiceable_fen bigint, expires_us bigint",
)


async def insert_payments(conn: Statements, rows: Sequence[Payment]) -> None:
    """Insert a batch's payments; all share its moment and business day."""
    first = rows[0]
    await conn.execute(
        _INSERT,
        [
            from_us(first.created_us),
            date.fromordinal(first.day),
            uuid_array([p.id for p in rows]),
            uuid_array([p.company for p in rows]),
            uuid_array([p.root for p in rows]),
            uuid_array([p.card for p in rows]),
            text_array([p.last4 for p in rows]),
            uuid_array([p.store for p in rows]),
            uuid_array([p.terminal for p in rows]),
            uuid_array([p.cashier for p in rows]),
            uuid_array([p.shift for p in rows]),
            quoted_array([p.channel for p in rows]),
            quoted_array([p.reference for p in rows]),
            quoted_array([p.metadata for p in rows]),
            text_array([p.currency for p in rows]),
            number_array([p.requested_fen for p in rows]),
            number_array([p.approved_fen for p in rows]),
            number_array([p.captured_fen for p in rows]),
            number_array([p.principal_fen for p in rows]),
            number_array([p.bonus_fen for p in rows]),
            number_array([p.held_principal_fen for p in rows]),
            number_array([p.held_bonus_fen for p in rows]),
            text_array([p.status for p in rows]),
            text_array([p.decline_code for p in rows]),
            quoted_array([p.rule for p in rows]),
            number_array([p.balance_after_fen for p in rows]),
            text_array([p.tender for p in rows]),
            number_array([p.invoiceable_fen for p in rows]),
            number_array([p.expires_us for p in rows]),
        ],
    )


async def update_payments(conn: Statements, rows: Sequence[Payment]) -> None:
    """Bring payments up to date; of several versions in one batch the last one counts."""
    last = list({p.id: p for p in rows}.values())
    await conn.execute(
        """
        update payments.payment p set captured_fen = u.captured_fen,
          refunded_fen = u.refunded_fen, principal_fen = u.principal_fen, bonus_fen = u.bonus_fen,
          refunded_principal_fen = u.refunded_principal_fen,
          refunded_bonus_fen = u.refunded_bonus_fen, held_principal_fen = u.held_principal_fen,
          held_bonus_fen = u.held_bonus_fen, status = u.status,
          balance_after_fen = u.balance_after_fen
        from unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
          %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
          as u (id, captured_fen, refunded_fen, principal_fen, bonus_fen, refunded_principal_fen,
          refunded_bonus_fen, held_principal_fen, held_bonus_fen, status, balance_after_fen)
        where p.id = u.id
        """,
        [
            uuid_array([p.id for p in last]),
            number_array([p.captured_fen for p in last]),
            number_array([p.refunded_fen for p in last]),
            number_array([p.principal_fen for p in last]),
            number_array([p.bonus_fen for p in last]),
            number_array([p.refunded_principal_fen for p in last]),
            number_array([p.refunded_bonus_fen for p in last]),
            number_array([p.held_principal_fen for p in last]),
            number_array([p.held_bonus_fen for p in last]),
            text_array([p.status for p in last]),
            number_array([p.balance_after_fen for p in last]),
        ],
    )


async def store_lent(conn: Statements, rows: Sequence[Payment]) -> None:
    """Keep what is lent for payments; of several versions in one batch the last one counts."""
    last = list({p.id: p for p in rows}.values())
    await conn.execute(
        """
        insert into payments.lent (payment, lent_principal_fen, lent_bonus_fen)
        select * from unnest(%s::uuid[], %s::bigint[], %s::bigint[])
        on conflict (payment) do update set lent_principal_fen = excluded.lent_principal_fen,
          lent_bonus_fen = excluded.lent_bonus_fen
        """,
        [
            uuid_array([p.id for p in last]),
            number_array([p.lent_principal_fen for p in last]),
            number_array([p.lent_bonus_fen for p in last]),
        ],
    )


async def insert_refunds(conn: Statements, rows: Sequence[Refund]) -> None:
    """Insert a batch's refunds."""
    await conn.execute(
        """
        insert into payments.refund (id, payment, amount_fen, principal_fen, bonus_fen,
          destination, rule, created_at)
        select r.*, %s from unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[],
          %s::bigint[], %s::text[], %s::text[]) as r
        """,
        [
            from_us(rows[0].created_us),
            uuid_array([r.id for r in rows]),
            uuid_array([r.payment for r in rows]),
            number_array([r.amount_fen for r in rows]),
            number_array([r.principal_fen for r in rows]),
            number_array([r.bonus_fen for r in rows]),
            text_array([r.destination for r in rows]),
            quoted_array([r.rule for r in rows]),
        ],
    )


async def insert_reversals(conn: Statements, rows: Sequence[Reversal]) -> None:
    """Insert a batch's reversals."""
    await conn.execute(
        """
        insert into payments.reversal (id, payment, amount_fen, created_at)
        select r.*, %s from unnest(%s::uuid[], %s::uuid[], %s::bigint[]) as r
        """,
        [
            from_us(rows[0].created_us),
            uuid_array([r.id for r in rows]),
            uuid_array([r.payment for r in rows]),
            number_array([r.amount_fen for r in rows]),
        ],
    )


async def load_ties(conn: Conn, wanted: Sequence[str]) -> dict[str, Tie]:
    """Ties by series. A payment that was voided or reversed left the code as it was."""
    rows = await fetch_all(
        conn,
        Tie,
        """
        select t.series, t.number, t.store, t.terminal, t.reference,
          (extract(epoch from t.until_at) * 1000000)::bigint as until_us,
          case when p.undone then null else t.payment end as payment,
          case when p.undone then null else t.left_fen end as left_fen
        from payments.code_tie t
        left join lateral (
          select status in ('voided', 'reversed') as undone
          from payments.payment where id = t.payment
        ) p on true
        where t.series = any(%s::uuid[])
        """,
        [list(set(wanted))],
    )
    return {tie.series: tie for tie in rows}


async def store_ties(conn: Statements, rows: Sequence[Tie]) -> None:
    """Keep ties; of several of one series the last one counts."""
    last = list({tie.series: tie for tie in rows}.values())
    await conn.execute(
        """
        insert into payments.code_tie (series, number, store, terminal, reference, until_at,
          payment, left_fen)
        select series, number, store, terminal, reference,
          timestamptz 'epoch' + until_us * interval '1 microsecond', payment, left_fen
        from unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[],
          %s::uuid[], %s::bigint[])
          as t (series, number, store, terminal, reference, until_us, payment, left_fen)
        on conflict (series) do update set number = excluded.number, store = excluded.store,
          terminal = excluded.terminal, reference = excluded.reference,
          until_at = excluded.until_at, payment = excluded.payment, left_fen = excluded.left_fen
        """,
        [
            uuid_array([t.series for t in last]),
            number_array([t.number for t in last]),
            uuid_array([t.store for t in last]),
            uuid_array([t.terminal for t in last]),
            quoted_array([t.reference for t in last]),
            number_array([t.until_us for t in last]),
            uuid_array([t.payment for t in last]),
            number_array([t.left_fen for t in last]),
        ],
    )


_SELECT: LiteralString = """
select id, company, root, card, last4, store, terminal, cashier, shift, channel, reference,
  metadata::text as metadata, currency, requested_fen, approved_fen, captured_fen, refunded_fen,
  principal_fen, bonus_fen, refunded_principal_fen, refunded_bonus_fen, held_principal_fen,
  held_bonus_fen, status, decline_code, rule, balance_after_fen, tender, invoiceable_fen,
  (extract(epoch from expires_at) * 1000000)::bigint as expires_us,
  (extract(epoch from created_at) * 1000000)::bigint as created_us,
  business_date - date '0001-01-01' + 1 as day,
  coalesce(lent_principal_fen, 0) as lent_principal_fen,
  coalesce(lent_bonus_fen, 0) as lent_bonus_fen
from payments.payment left join payments.lent on payment = id
"""


async def load(conn: Conn, wanted: Sequence[str]) -> dict[str, Payment]:
    """Payments by id."""
    rows = await fetch_all(
        conn, Payment, _SELECT + "where id = any(%s::uuid[])", [list(set(wanted))]
    )
    return {payment.id: payment for payment in rows}


async def payment_of(conn: Conn, ident: str) -> str | None:
    """The payment of a refund or a reversal."""
    found: str | None = await fetch_value(
        conn,
        "select payment from payments.refund where id = %(id)s"
        " union all select payment from payments.reversal where id = %(id)s",
        {"id": ident},
    )
    return found


async def between(conn: Conn, first: str, last: str) -> list[Payment]:
    """Payments whose ids lie in a span."""
    return await fetch_all(
        conn, Payment, _SELECT + " where id between %s and %s order by id", [first, last]
    )


async def search(
    conn: Conn,
    stores: Sequence[str] | None,
    reference: str | None,
    terminal: str | None,
    day: tuple[date, str, str] | None,
    before: str | None,
    limit: int,
) -> list[Payment]:
    """Payments by reference, terminal or business day, newest first. Ids rise with time:
    `day` comes with the ids between which its payments lie, so that only these are read.
    """
    on, first, last = day or (None, None, None)
    return await fetch_all(
        conn,
        Payment,
        _SELECT
        + """
        where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(reference)s::text is null or reference = %(reference)s)
          and (%(terminal)s::uuid is null or terminal = %(terminal)s)
          and (%(before)s::uuid is null or id < %(before)s)
          and (%(on)s::date is null
            or (business_date = %(on)s and id >= %(first)s and id < %(last)s))
        order by id desc limit %(limit)s
        """,
        {
            "stores": list(stores) if stores is not None else None,
            "reference": reference,
            "terminal": terminal,
            "on": on,
            "first": first,
            "last": last,
            "before": before,
            "limit": limit,
        },
    )


async def refunds_of(conn: Conn, payment: str, after: str | None, limit: int) -> list[Refund]:
    """A payment's refunds after one of them, oldest first."""
    return await fetch_all(
        conn,
        Refund,
        """
        select id, payment, amount_fen, principal_fen, bonus_fen, destination, rule,
          (extract(epoch from created_at) * 1000000)::bigint as created_us
        from payments.refund
        where payment = %(payment)s and (%(after)s::uuid is null or id > %(after)s)
        order by id limit %(limit)s
        """,
        {"payment": payment, "after": after, "limit": limit},
    )
