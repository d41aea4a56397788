"""Statements about receipts: sums that came to our bank accounts, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_value
from kabao.funding.model.receipts import Nobodys, Receipt


async def new(conn: Conn, channel: str, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers were not seen yet."""
    rows = await fetch_all(
        conn,
        dict,
        "select no from unnest(%s::text[]) as no where not exists"
        " (select from funding.receipt as r where r.channel = %s and r.no = no.no)",
        [list(numbers), channel],
    )
    return {row["no"] for row in rows}


async def last(conn: Conn, channel: str) -> datetime | None:
    """When the bank booked the newest that was seen."""
    found: datetime | None = await fetch_value(
        conn, "select max(received_at) from funding.receipt where channel = %s", [channel]
    )
    return found


async def listed_until(conn: Conn, channel: str) -> date | None:
    """The last day whose receipts were listed, by whatever process."""
    found: date | None = await fetch_value(
        conn, "select until from funding.listing where channel = %s", [channel]
    )
    return found


async def keep_listed(conn: Conn, channel: str, day: date) -> None:
    """A day was listed, and all before it."""
    await conn.execute(
        """
        insert into funding.listing as l (channel, until) values (%s, %s)
        on conflict (channel) do update set until = greatest(l.until, excluded.until)
        """,
        [channel, day],
    )


async def insert(
    conn: Conn,
    ident: str,
    channel: str,
    receipt: Receipt,
    *,
    payer: bytes | None,
    order: str | None,
    nobodys: Nobodys | None,
    seen_us: int,
) -> bool:
    """Write down what came and whose it is; False if it is written already."""
    done = await conn.execute(
        """
        insert into funding.receipt (id, channel, no, amount_fen, received_at, reference, payer,
          channel_order, nobodys, seen_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (channel, no) do nothing
        """,
        [
            ident, channel, receipt.no, receipt.amount_fen, from_us(receipt.at_us),
            receipt.reference, payer, order, nobodys, from_us(seen_us),
        ],
    )  # fmt: skip
    return done.rowcount == 1
