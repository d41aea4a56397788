"""Statements about sales made while the line was dead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one


class OfflineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as it was judged. Amounts in fen; paid + lost + refused = amount."""

    terminal: str
    sequence: int
    store: str
    company: str
    cashier: str | None
    root: str | None
    issuer: str | None
    payment: str | None
    reference: str | None
    amount_fen: int
    paid_fen: int
    lost_fen: int
    refused_fen: int
    reason: str | None
    rule: str | None
    mac: bytes
    occurred_us: int
    uploaded_us: int
    sold_on: date


class Used(msgspec.Struct, frozen=True):
    """How much of a cap is used up."""

    count: int
    fen: int


class Totals(msgspec.Struct, frozen=True):
    """Sums over all rows of a report. Amounts in fen."""

    count: int
    amount_fen: int
    paid_fen: int
    lost_fen: int
    refused_fen: int


_COLUMNS: LiteralString = """
  terminal, sequence, store, company, cashier, root, issuer, payment, reference, amount_fen,
  paid_fen, lost_fen, refused_fen, reason, rule, mac,
  (extract(epoch from occurred_at) * 1000000)::bigint as occurred_us,
  (extract(epoch from uploaded_at) * 1000000)::bigint as uploaded_us, sold_on
"""


async def lock_terminal(conn: Conn, terminal: str) -> None:
    """One upload of a terminal at a time, until the transaction ends."""
    await conn.execute(
        "select pg_advisory_xact_lock(hashtextextended('offline/' || %s, 0))", [terminal]
    )


async def known(conn: Conn, terminal: str, sequences: Sequence[int]) -> dict[int, OfflineRow]:
    """Those of a terminal's sales that were uploaded before, by sequence."""
    rows = await fetch_all(
        conn,
        OfflineRow,
        "select"
        + _COLUMNS
        + "from payments.offline_sale where terminal = %s and sequence = any(%s::bigint[])",
        [terminal, list(sequences)],
    )
    return {row.sequence: row for row in rows}


async def used_of_card(conn: Conn, root: str, day: date) -> Used:
    """What a card was honoured for on a day, whatever paid it."""
    found = await fetch_one(
        conn,
        Used,
        """
        select count(*) as count, coalesce(sum(amount_fen), 0)::bigint as fen
        from payments.offline_sale where root = %s and sold_on = %s and refused_fen = 0
        """,
        [root, day],
    )
    assert found is not None, "an aggregate has a row"
    return found


async def used_of_terminal(conn: Conn, terminal: str, day: date) -> Used:
    """What a terminal was honoured for on a day."""
    found = await fetch_one(
        conn,
        Used,
        """
        select count(*) as count, coalesce(sum(amount_fen), 0)::bigint as fen
        from payments.offline_sale where terminal = %s and sold_on = %s and refused_fen = 0
        """,
        [terminal, day],
    )
    assert found is not None, "an aggregate has a row"
    return found


async def sold_offline(conn: Conn, roots: Sequence[str], day: date) -> set[str]:
    """Which of these cards a till was honoured for on a day."""
    cursor = await conn.execute(
        """
        select root from payments.offline_sale
        where root = any(%s::uuid[]) and sold_on = %s and refused_fen = 0
        """,
        [list(roots), day],
    )
    return {row[0] for row in await cursor.fetchall()}


async def recent_roots(conn: Conn, store: str, look_back: int, limit: int) -> list[str]:
    """The cards' roots that paid in a store among the newest payments of all, newest first.

    There is no index on stores, which every payment would pay for: hence `look_back`.
    """
    cursor = await conn.execute(
        """
        select root from (
          select id, root, store, approved_fen from payments.payment order by id desc limit %s) p
        where store = %s and root is not null and approved_fen > 0
        group by root order by max(id::text) desc limit %s
        """,
        [look_back, store, limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def insert(conn: Conn, row: OfflineRow) -> None:
    """Keep how a sale was judged."""
    await conn.execute(
        """
        insert into payments.offline_sale (terminal, sequence, store, company, cashier, root,
          issuer, payment, reference, amount_fen, paid_fen, lost_fen, refused_fen, reason, rule,
          mac, occurred_at, uploaded_at, sold_on)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            row.terminal,
            row.sequence,
            row.store,
            row.company,
            row.cashier,
            row.root,
            row.issuer,
            row.payment,
            row.reference,
            row.amount_fen,
            row.paid_fen,
            row.lost_fen,
            row.refused_fen,
            row.reason,
            row.rule,
            row.mac,
            from_us(row.occurred_us),
            from_us(row.uploaded_us),
            row.sold_on,
        ],
    )


_WITHIN: LiteralString = """
  from payments.offline_sale
  where sold_on between %(first)s and %(last)s
    and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
"""


async def report(
    conn: Conn,
    stores: Sequence[str] | None,
    first: date,
    last: date,
    after: tuple[str, int] | None,
    limit: int,
) -> list[OfflineRow]:
    """Sales of some days by terminal and sequence; `stores` None: of every store."""
    return await fetch_all(
        conn,
        OfflineRow,
        "select"
        + _COLUMNS
        + _WITHIN
        + """
        and (%(terminal)s::uuid is null or (terminal, sequence) > (%(terminal)s, %(sequence)s))
        order by terminal, sequence limit %(limit)s
        """,
        {
            "stores": list(stores) if stores is not None else None,
            "first": first,
            "last": last,
            "terminal": after[0] if after else None,
            "sequence": after[1] if after else None,
            "limit": limit,
        },
    )


async def totals(conn: Conn, stores: Sequence[str] | None, first: date, last: date) -> Totals:
    """Sums over the same sales, all pages."""
    found = await fetch_one(
        conn,
        Totals,
        """
        select count(*) as count, coalesce(sum(amount_fen), 0)::bigint as amount_fen,
          coalesce(sum(paid_fen), 0)::bigint as paid_fen,
          coalesce(sum(lost_fen), 0)::bigint as lost_fen,
          coalesce(sum(refused_fen), 0)::bigint as refused_fen
        """
        + _WITHIN,
        {"stores": list(stores) if stores is not None else None, "first": first, "last": last},
    )
    assert found is not None, "an aggregate has a row"
    return found
