"""Statements of the schema `pos` for those who look at batches from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, uuid_array


class Where(msgspec.Struct, frozen=True):
    """Which batches: of these stores (None: of every store), of one terminal, from `begin`
    on and before `end`.
    """

    stores: list[str] | None
    terminal: str | None
    begin: datetime | None
    end: datetime | None

    def named(self) -> dict[str, Any]:
        """As parameters of a statement."""
        return {
            "stores": None if self.stores is None else uuid_array(self.stores),
            "terminal": self.terminal,
            "begin": self.begin,
            "end": self.end,
        }


class BatchShown(msgspec.Struct, frozen=True):
    """A settlement; `claimed` is JSON, empty where no till claimed anything."""

    terminal: str
    batch: int
    store: str
    state: str
    debit_fen: int
    debit_count: int
    credit_fen: int
    credit_count: int
    claimed: str
    asked_at: datetime
    settled_at: datetime | None


_BATCH = (
    "select terminal, batch, store, state, debit_fen, debit_count, credit_fen, credit_count,"
    " claimed, asked_at, settled_at from pos.batch"
)


async def batch(conn: Conn, terminal: str, number: int) -> BatchShown | None:
    """A settlement, if it was asked for."""
    return await fetch_one(
        conn,
        BatchShown,
        _BATCH + " where terminal = %s and batch = %s",
        [terminal, number],
    )


async def batches(
    conn: Conn,
    where: Where,
    state: str | None,
    before: tuple[int, str, int] | None,
    limit: int,
) -> list[BatchShown]:
    """Settlements, the last asked for first; `before`: time (microseconds), terminal, number."""
    at_us, terminal, number = before or (None, None, None)
    return await fetch_all(
        conn,
        BatchShown,
        _BATCH + " where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(terminal)s::uuid is null or terminal = %(terminal)s)"
        " and (%(begin)s::timestamptz is null or asked_at >= %(begin)s)"
        " and (%(end)s::timestamptz is null or asked_at < %(end)s)"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(last_at)s::timestamptz is null or (asked_at, terminal, batch)"
        " < (%(last_at)s, %(last_terminal)s::uuid, %(last_batch)s))"
        " order by asked_at desc, terminal desc, batch desc limit %(limit)s",
        where.named()
        | {
            "state": state,
            "last_at": None if at_us is None else from_us(at_us),
            "last_terminal": terminal,
            "last_batch": number,
            "limit": limit,
        },
    )


class Said(msgspec.Struct, frozen=True):
    """Something that till or host said about one payment."""

    at: datetime
    what: str
    amount_fen: int | None
    note: str


async def about(conn: Conn, terminal: str, batch: int, trace: int, payment: str) -> list[Said]:
    """What a till asked for after a payment, how its batch was settled, and where the two
    differed about its message; in the order of time.
    """
    return await fetch_all(
        conn,
        Said,
        """
        select at, what, amount_fen, note from (
          select 1 as rank, created_at as at, verb as what, amount_fen,
            'batch ' || batch || ', message ' || trace || ': ' || state as note
          from pos.entry where terminal = %(terminal)s and subject = %(payment)s
          union all
          select 2, asked_at, 'batch asked for', null, 'batch ' || batch
          from pos.batch where terminal = %(terminal)s and batch = %(batch)s
          union all
          select 4, settled_at, 'batch settled', null, 'batch ' || batch
          from pos.batch
          where terminal = %(terminal)s and batch = %(batch)s and settled_at is not null
          union all
          select 3, b.asked_at, 'told by the till', u.amount_fen, 'message ' || u.trace
          from pos.uploaded u join pos.batch b using (terminal, batch)
          where u.terminal = %(terminal)s and u.batch = %(batch)s and u.trace = %(trace)s
          union all
          select 5, found_at, 'till and host differ', till_fen,
            kind || ', the host has ' || coalesce(host_fen::text, 'nothing')
          from pos.difference
          where terminal = %(terminal)s and batch = %(batch)s and trace = %(trace)s
        ) each order by at, rank
        """,
        {"terminal": terminal, "batch": batch, "trace": trace, "payment": payment},
    )
