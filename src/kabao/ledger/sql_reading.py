"""Statements for bookkeepers: accounts of roots and of the house, days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, uuid_array
from kabao.ledger.model import Account, Transfer
from kabao.ledger.sql import _TRANSFER

ONE_TRANSACTION = timedelta(minutes=10)
"""No transaction that moves value from card to card takes longer."""


class ShiftSum(msgspec.Struct, frozen=True):
    """What operations of one purpose in one shift moved on a house account.

    `amount_fen` is value towards the store: money debited to its cash, payments
    credited to what it is owed; negative when more went the other way.
    """

    purpose: int
    account: int
    operations: int
    amount_fen: int


class ShiftCash(msgspec.Struct, frozen=True):
    """What a shift has taken in cash for the cards of an issuer, less what it paid out."""

    shift: str
    issuer: str
    amount_fen: int


class ClosedDay(msgspec.Struct, frozen=True):
    """A business day nothing can be posted into any more."""

    business_date: date
    closed_at: datetime
    transfers: int


async def sub_accounts(conn: Conn, root_id: str, us: int | None) -> dict[int, tuple[int, int]]:
    """What each sub-account of a root was debited and credited, up to a moment or ever."""
    cursor = await conn.execute(
        """
        select account, sum(debit_fen)::bigint, sum(credit_fen)::bigint
        from ledger.transfer t, lateral (values (t.debit, t.amount_fen, 0::bigint),
          (t.credit, 0::bigint, t.amount_fen)) as side (account, debit_fen, credit_fen)
        where t.root = %(root)s and account < 10
          and (%(at)s::timestamptz is null or t.recorded_at <= %(at)s)
        group by account
        """,
        {"root": root_id, "at": from_us(us) if us is not None else None},
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def house_page(
    conn: Conn,
    account: int,
    owner: str,
    day: date,
    after: tuple[int, str, int] | None,
    limit: int,
) -> list[Transfer]:
    """Transfers on a house account on one business day, in order, from a place on.

    The place is a transfer's (recorded_us, root, seq).
    """
    us, root_id, seq = after or (0, "0" * 32, 0)
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER
        + "where business_date = %(day)s and house = %(owner)s"
        + " and (debit = %(account)s or credit = %(account)s)"
        + " and recorded_at >= %(at)s and (recorded_at, root, seq) > (%(at)s, %(root)s, %(seq)s)"
        + " order by recorded_at, root, seq limit %(limit)s",
        {
            "day": day,
            "owner": owner,
            "account": account,
            "at": from_us(us),
            "root": root_id,
            "seq": seq,
            "limit": limit,
        },
    )


async def shift_sums(
    conn: Conn, shift: str, accounts: Iterable[int], since: datetime, from_day: date
) -> list[ShiftSum]:
    """What a shift has moved on these house accounts since a moment (it began no earlier).

    Moment and day narrow the read to the blocks of those hours (`ix_transfer_recorded_brin`):
    no index on the shift slows paying down.
    """
    return await fetch_all(
        conn,
        ShiftSum,
        """
        select purpose, account, count(distinct op) as operations,
          sum(case when (account = any(%(debited)s::int[])) = (account = debit)
            then amount_fen else -amount_fen end)::bigint as amount_fen
        from ledger.transfer,
          lateral (select case when debit >= 10 then debit else credit end as account) as side
        where business_date >= %(day)s and recorded_at >= %(since)s and shift = %(shift)s
          and house is not null and account = any(%(accounts)s::int[])
        group by purpose, account order by account, purpose
        """,
        {
            "shift": shift,
            "since": since,
            "day": from_day,
            "accounts": list(accounts),
            "debited": [Account.CASH],
        },
    )


async def shift_cash(
    conn: Conn, shifts: Iterable[str], currency: str, since: datetime, from_day: date
) -> list[ShiftCash]:
    """What shifts have taken in cash since a moment (none began earlier), by issuer.

    Narrowed by moment and day as `shift_sums`.
    """
    return await fetch_all(
        conn,
        ShiftCash,
        """
        select shift, issuer,
          sum(case when debit = %(cash)s then amount_fen else -amount_fen end)::bigint
            as amount_fen
        from ledger.transfer
        where business_date >= %(day)s and recorded_at >= %(since)s
          and shift = any(%(shifts)s::uuid[]) and %(cash)s in (debit, credit)
          and house is not null and currency = %(currency)s
        group by shift, issuer order by shift, issuer
        """,
        {
            "shifts": list(shifts),
            "currency": currency,
            "since": since,
            "day": from_day,
            "cash": int(Account.CASH),
        },
    )


async def about(
    conn: Conn, roots: Iterable[str], operations: Iterable[str], since: date
) -> list[Transfer]:
    """Transfers on these roots that are, complete or undo one of these operations."""
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER
        + "where root = any(%(roots)s::uuid[]) and business_date >= %(since)s"
        + " and (op = any(%(ops)s::uuid[]) or related = any(%(ops)s::uuid[])) order by root, seq",
        {
            "roots": uuid_array(sorted(set(roots))),
            "ops": uuid_array(sorted(set(operations))),
            "since": since,
        },
    )


async def into_transit(conn: Conn, root_id: str) -> list[Transfer]:
    """What a root has put into transit, in its order."""
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER + "where root = %s and credit = %s order by seq",
        [root_id, Account.TRANSIT],
    )


async def out_of_transit(conn: Conn, outs: Iterable[Transfer]) -> list[Transfer]:
    """What took from transit what these had put there, in the order it was done.

    Both are one transaction. Day and moment narrow the read to the blocks of those minutes
    (`ix_transfer_recorded_brin`): no index on `related` slows paying down.
    """
    found: list[Transfer] = []
    for out in outs:
        found += await fetch_all(
            conn,
            Transfer,
            _TRANSFER
            + "where business_date between %(day)s and %(day)s + 1"
            + " and recorded_at between %(at)s and %(at)s + %(within)s"
            + " and related = %(pair)s and debit = %(transit)s order by recorded_at, root, seq",
            {
                "day": out.business_date,
                "at": from_us(out.recorded_us),
                "within": ONE_TRANSACTION,
                "pair": out.related or out.op,
                "transit": Account.TRANSIT,
            },
        )
    return list({(one.root, one.seq): one for one in found}.values())


class DoneBy(msgspec.Struct, frozen=True):
    """What a cashier's operation brought a root."""

    root: str
    op: str
    purpose: int
    cashier: str
    amount_fen: int
    recorded_us: int


async def done_by(
    conn: Conn, roots: Iterable[str], purposes: Iterable[int], from_day: date
) -> list[DoneBy]:
    """What cashiers credited to these roots for these purposes, from a business day on."""
    return await fetch_all(
        conn,
        DoneBy,
        """
        select root, op, purpose, cashier, sum(amount_fen)::bigint as amount_fen,
          (extract(epoch from min(recorded_at)) * 1000000)::bigint as recorded_us
        from ledger.transfer
        where root = any(%(roots)s::uuid[]) and business_date >= %(day)s
          and cashier is not null and purpose = any(%(purposes)s::int[]) and debit >= 10
        group by root, op, purpose, cashier order by recorded_us
        """,
        {"roots": list(roots), "purposes": [int(p) for p in purposes], "day": from_day},
    )


async def carriers(conn: Conn, roots: Iterable[str]) -> dict[str, str]:
    """The card that carries each root now."""
    cursor = await conn.execute(
        "select id, card from ledger.root where id = any(%s)", [uuid_array(sorted(set(roots)))]
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def issuers(conn: Conn, roots: Iterable[str]) -> dict[str, str]:
    """The company that issued what is on each root."""
    cursor = await conn.execute(
        "select id, issuer from ledger.root where id = any(%s)", [uuid_array(sorted(set(roots)))]
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def programmes(conn: Conn, roots: Iterable[str]) -> dict[str, str]:
    """The programme each root is of."""
    cursor = await conn.execute(
        "select id, programme from ledger.root where id = any(%s)",
        [uuid_array(sorted(set(roots)))],
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def closed_days(conn: Conn, before: date | None, limit: int) -> list[ClosedDay]:
    """Closed days, newest first."""
    return await fetch_all(
        conn,
        ClosedDay,
        "select business_date, closed_at, transfers from ledger.closed_day"
        " where (%(before)s::date is null or business_date < %(before)s)"
        " order by business_date desc limit %(limit)s",
        {"before": before, "limit": limit},
    )
