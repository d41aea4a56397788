"""Statements about deposits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import LiteralString

import msgspec
from msgspec.structs import asdict

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.clearing.model.deposits import Deposit, DepositState
from kabao.funding.model.receipts import Receipt

_SELECT: LiteralString = """
select id, reference, company, store, currency, day, declared_fen, expected_fen, received_fen,
  receipt, state, created_at, received_at from clearing.deposit
"""


async def insert(conn: Conn, one: Deposit, shifts: Mapping[str, int]) -> bool:
    """A bag with the cash of shifts, in fen; False if what one of them took for cards of its
    company was in another bag.
    """
    await conn.execute(
        "insert into clearing.deposit (id, reference, company, store, currency, day, declared_fen,"
        " expected_fen, state, created_at) values (%(id)s, %(reference)s, %(company)s, %(store)s,"
        " %(currency)s, %(day)s, %(declared_fen)s, %(expected_fen)s, %(state)s, %(created_at)s)",
        asdict(one),
    )
    done = await conn.execute(
        "insert into clearing.deposit_shift (shift, company, deposit, cash_fen)"
        " select shift, %s, %s, cash from unnest(%s::uuid[], %s::bigint[]) as one (shift, cash)"
        " on conflict do nothing",
        [one.company, one.id, list(shifts), list(shifts.values())],
    )
    return done.rowcount == len(shifts)


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Deposit | None:
    """One deposit."""
    select: LiteralString = _SELECT + "where id = %s"
    row = await fetch_one(conn, dict, select + (" for update" if lock else ""), [ident])
    return msgspec.convert(row, Deposit | None)


async def of_reference(conn: Conn, company: str, reference: str) -> Deposit | None:
    """The bag with that reference which a company's bank has not booked, locked."""
    row = await fetch_one(
        conn,
        dict,
        _SELECT + "where reference = %s and company = %s and state = 'handed_over' for update",
        [reference, company],
    )
    return msgspec.convert(row, Deposit | None)


async def receive(
    conn: Conn, ident: str, state: DepositState, channel: str, receipt: Receipt
) -> None:
    """A channel's bank has booked it."""
    await conn.execute(
        "update clearing.deposit set state = %s, channel = %s, received_fen = %s, receipt = %s,"
        " received_at = %s where id = %s",
        [state, channel, receipt.amount_fen, receipt.no, from_us(receipt.at_us), ident],
    )


async def settle(conn: Conn, ident: str) -> None:
    """Its difference was agreed to."""
    await conn.execute("update clearing.deposit set state = 'settled' where id = %s", [ident])


async def shifts_of(conn: Conn, ident: str) -> dict[str, int]:
    """The shifts whose cash is in it, each with its fen."""
    rows = await fetch_all(
        conn,
        dict,
        "select shift, cash_fen from clearing.deposit_shift where deposit = %s order by shift",
        [ident],
    )
    return {row["shift"]: row["cash_fen"] for row in rows}


async def in_bags(conn: Conn, company: str, shifts: Sequence[str]) -> set[str]:
    """Which of these shifts are in a bag for a company."""
    rows = await fetch_all(
        conn,
        dict,
        "select shift from clearing.deposit_shift where company = %s and shift = any(%s::uuid[])",
        [company, list(shifts)],
    )
    return {row["shift"] for row in rows}


async def late(conn: Conn, before: date, limit: int) -> list[Deposit]:
    """Bags handed over before a day that no bank has booked, and nobody was told of; locked."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT + "where state = 'handed_over' and day < %s and not told_late"
        " order by day, id limit %s for update skip locked",
        [before, limit],
    )
    return msgspec.convert(rows, list[Deposit])


async def set_told_late(conn: Conn, idents: Sequence[str]) -> None:
    """A person was told that they are late."""
    await conn.execute(
        "update clearing.deposit set told_late = true where id = any(%s::uuid[])", [list(idents)]
    )


async def search(
    conn: Conn,
    companies: Collection[str] | None,
    theirs: Collection[str] | None,
    stores: Collection[str] | None,
    *,
    state: DepositState | None,
    after: str | None,
    limit: int,
) -> list[Deposit]:
    """Deposits paid in to these companies or by `theirs`, their stores; newest first.

    `stores`: of these stores only, whoever it is paid in to.
    """
    rows = await fetch_all(
        conn,
        dict,
        _SELECT
        + """
        where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[])
            or store = any(%(theirs)s::uuid[]))
          and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(state)s::text is null or state = %(state)s)
          and (%(after)s::uuid is null or id < %(after)s::uuid)
        order by id desc limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "theirs": None if theirs is None else list(theirs),
            "stores": None if stores is None else list(stores),
            "state": state,
            "after": after,
            "limit": limit,
        },
    )
    return msgspec.convert(rows, list[Deposit])
