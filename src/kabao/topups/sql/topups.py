"""Statements: top-ups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, Statements, fetch_all, fetch_value
from kabao.topups.model import TopUp
from kabao.topups.model.limits import Day

_encode = msgspec.json.Encoder().encode


async def insert_topups(conn: Statements, rows: Sequence[TopUp]) -> None:
    """Insert top-ups."""
    await conn.execute(
        """
        insert into topups.topup (id, company, root, card, last4, store, terminal, cashier, shift,
          channel, reference, amount_fen, currency, status, balance_after_fen, issuer, payer,
          scene, collection, paid_from, bonus_fen, created_at, business_date, confirmed_at)
        select id, company, root, card, last4, store, terminal, cashier, shift,
          channel, reference, amount_fen, currency, status, balance_after_fen, issuer, payer,
          scene, collection, paid_from, bonus_fen,
          timestamptz 'epoch' + created_us * interval '1 microsecond',
          date '0001-01-01' + (day - 1),
          timestamptz 'epoch' + confirmed_us * interval '1 microsecond'
        from jsonb_to_recordset(%s::jsonb) as t (id uuid, company uuid, root uuid, card uuid,
          last4 text, store uuid, terminal uuid, cashier uuid, shift uuid, channel text,
          reference text, amount_fen bigint, currency text, status text, balance_after_fen bigint,
          issuer uuid, payer uuid, scene text, collection uuid,
          paid_from uuid, bonus_fen bigint, created_us bigint, day int, confirmed_us bigint)
        """,
        [_encode(rows).decode()],
    )


async def update_topups(conn: Statements, rows: Sequence[TopUp]) -> None:
    """Bring top-ups up to date."""
    await conn.execute(
        """
        update topups.topup t set status = u.status, confirmed_by = u.confirmed_by,
          balance_after_fen = u.balance_after_fen, issuer = u.issuer, bonus_fen = u.bonus_fen,
          refunded_fen = u.refunded_fen, kept_fen = u.kept_fen, clawed_fen = u.clawed_fen,
          channel = u.channel, failure = u.failure, rule = u.rule,
          confirmed_at = timestamptz 'epoch' + u.confirmed_us * interval '1 microsecond'
        from jsonb_to_recordset(%s::jsonb) as u (id uuid, status text, confirmed_by uuid,
          balance_after_fen bigint, issuer uuid, bonus_fen bigint, refunded_fen bigint,
          kept_fen bigint, clawed_fen bigint, channel text, failure text, rule text,
          confirmed_us bigint)
        where t.id = u.id
        """,
        [_encode(rows).decode()],
    )


_SELECT: LiteralString = """
select id, company, root, card, last4, store, terminal, cashier, shift, channel, reference,
  amount_fen, currency, status, balance_after_fen, confirmed_by,
  (extract(epoch from created_at) * 1000000)::bigint as created_us,
  business_date - date '0001-01-01' + 1 as day, issuer, payer, scene, collection, paid_from,
  bonus_fen, refunded_fen, kept_fen, clawed_fen, failure, rule,
  (extract(epoch from confirmed_at) * 1000000)::bigint as confirmed_us
from topups.topup
"""


async def load(conn: Conn, ids: Sequence[str]) -> dict[str, TopUp]:
    """Top-ups by id."""
    rows = await fetch_all(conn, TopUp, _SELECT + "where id = any(%s::uuid[])", [list(set(ids))])
    return {topup.id: topup for topup in rows}


async def search(
    conn: Conn,
    stores: Sequence[str] | None,
    issuers: Sequence[str] | None,
    card: str | None,
    reference: str | None,
    day: tuple[date, str, str] | None,
    before: str | None,
    limit: int,
) -> list[TopUp]:
    """Top-ups, newest first; `stores` None: of every store. Those of no store are seen by
    their card's issuer, None: by whoever sees all; empty: by nobody. `day` comes with the ids
    between which its top-ups lie, so that only these are read.
    """
    on, first, last = day or (None, None, None)
    return await fetch_all(
        conn,
        TopUp,
        _SELECT
        + """
        where (store is null or %(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (store is not null or %(issuers)s::uuid[] is null
            or issuer = any(%(issuers)s::uuid[]))
          and (%(card)s::uuid is null or card = %(card)s)
          and (%(reference)s::text is null or reference = %(reference)s)
          and (%(before)s::uuid is null or id < %(before)s)
          and (%(on)s::date is null
            or (business_date = %(on)s and id >= %(first)s and id < %(last)s))
        order by id desc limit %(limit)s
        """,
        {
            "stores": list(stores) if stores is not None else None,
            "issuers": list(issuers) if issuers is not None else None,
            "card": card,
            "reference": reference,
            "on": on,
            "first": first,
            "last": last,
            "before": before,
            "limit": limit,
        },
    )


async def of_day(conn: Conn, root: str, payer: str | None, day: date) -> Day:
    """What a card and a payer load on a business day, what is awaited included.

    The card's root is locked by the caller; the payer is locked here, until the
    transaction ends, so that two cards at once stay within one cap.
    """
    if payer is not None:
        await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [payer])
    rows = await fetch_all(
        conn,
        Day,
        """
        select
          coalesce(sum(amount_fen) filter (where root = %(root)s), 0)::bigint as card_fen,
          count(*) filter (where root = %(root)s) as card_count,
          coalesce(sum(amount_fen) filter (where payer = %(payer)s::uuid), 0)::bigint as payer_fen
        from topups.topup
        where business_date = %(day)s and (root = %(root)s or payer = %(payer)s::uuid)
          and status not in ('failed', 'expired', 'voided', 'refunded')
        """,
        {"root": root, "payer": payer, "day": day},
    )
    return rows[0]


async def paid_by(conn: Conn, ident: str, payer: bytes, day: date) -> int:
    """Keep who has paid for a top-up, and tell what else they have on a business day, in fen.

    The payer is locked until the transaction ends, so that two cards at once stay within a cap.
    """
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [payer.hex()])
    await conn.execute("update topups.topup set paid_by = %s where id = %s", [payer, ident])
    found: int = await fetch_value(
        conn,
        """
        select coalesce(sum(amount_fen), 0)::bigint from topups.topup
        where paid_by = %s and business_date = %s and id <> %s
          and status not in ('failed', 'expired', 'voided', 'refunded')
        """,
        [payer, day, ident],
    )
    return found


async def lock(conn: Conn, ident: str) -> TopUp | None:
    """A top-up, locked until the transaction ends; its root comes first."""
    rows = await fetch_all(conn, TopUp, _SELECT + "where id = %s for update", [ident])
    return rows[0] if rows else None
