"""Statements of the journal between house accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString, cast

from kabao.base.clock import from_us
from kabao.base.db import (
    Conn,
    fetch_all,
    in_step,
    number_array,
    quoted_array,
    text_array,
    uuid_array,
)
from kabao.ledger.model import HouseTransfer

HOUSE_LOCK = 7_102_004
"""Advisory lock: one transaction at a time adds to the journal."""

_TRANSFER: LiteralString = """
select no, op, debit, debit_owner, credit, credit_owner, amount_fen, currency, purpose, issuer,
  channel, related, for_date, (extract(epoch from recorded_at) * 1000000)::bigint as recorded_us,
  business_date
from ledger.house_transfer
"""

_STORE: LiteralString = """
insert into ledger.house_transfer (no, op, debit, debit_owner, credit, credit_owner, amount_fen,
  currency, purpose, issuer, channel, related, for_date, digest, recorded_at, business_date)
select no, op, debit, debit_owner, credit, credit_owner, amount_fen,
  currency, purpose, issuer, channel, related, for_date, decode(digest, 'hex'), %s, %s
from """ + in_step(
    "t",
    "no bigint, op uuid, debit bigint, debit_owner uuid, credit bigint, credit_owner uuid, "
    "amount_fen bigint, currency text, purpose bigint, issuer uuid, channel text, related uuid, "
    "for_date date, digest text",
)


async def lock_house(conn: Conn) -> None:
    """Be the only one who adds to the journal, until the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(%s)", [HOUSE_LOCK])


async def last_link(conn: Conn) -> tuple[int, bytes] | None:
    """The last number of the journal and its digest."""
    cursor = await conn.execute(
        "select no, digest from ledger.house_transfer order by no desc limit 1"
    )
    return cast("tuple[int, bytes] | None", await cursor.fetchone())


async def store(conn: Conn, transfers: Sequence[HouseTransfer], digests: Sequence[bytes]) -> None:
    """Insert transfers of one moment, each with its digest."""
    first = transfers[0]
    await conn.execute(
        _STORE,
        [
            from_us(first.recorded_us),
            first.business_date,
            number_array([t.no for t in transfers]),
            uuid_array([t.op for t in transfers]),
            number_array([t.debit for t in transfers]),
            uuid_array([t.debit_owner for t in transfers]),
            number_array([t.credit for t in transfers]),
            uuid_array([t.credit_owner for t in transfers]),
            number_array([t.amount_fen for t in transfers]),
            text_array([t.currency for t in transfers]),
            number_array([t.purpose for t in transfers]),
            uuid_array([t.issuer for t in transfers]),
            quoted_array([t.channel for t in transfers]),
            uuid_array([t.related for t in transfers]),
            text_array([t.for_date for t in transfers]),
            quoted_array([digest.hex() for digest in digests]),
        ],
    )


async def stretch(conn: Conn, first: int, count: int) -> list[HouseTransfer]:
    """So many transfers from a number on."""
    return await fetch_all(
        conn,
        HouseTransfer,
        _TRANSFER + "where no >= %s and no < %s order by no",
        [first, first + count],
    )


async def of_account(
    conn: Conn, account: int, owner: str, day: date, after: int, limit: int
) -> list[HouseTransfer]:
    """What moved on a house account on a business day, from a number on."""
    return await fetch_all(
        conn,
        HouseTransfer,
        _TRANSFER
        + "where business_date = %(day)s and no > %(after)s"
        + " and ((debit = %(account)s and debit_owner = %(owner)s)"
        + " or (credit = %(account)s and credit_owner = %(owner)s))"
        + " order by no limit %(limit)s",
        {"day": day, "after": after, "account": account, "owner": owner, "limit": limit},
    )


async def checkpoint(conn: Conn, first: date, last: date) -> None:
    """Add these days, under the fence, to their checkpoints."""
    await conn.execute(
        """
        insert into ledger.checkpoint as c (account, owner, currency, business_date,
          debit_fen, credit_fen)
        select account, owner, currency, business_date, sum(debits), sum(credits)
        from ledger.house_transfer, lateral (values (debit, debit_owner, amount_fen, 0::bigint),
            (credit, credit_owner, 0::bigint, amount_fen)) as side (account, owner, debits, credits)
        where business_date between %s and %s
        group by account, owner, currency, business_date
        on conflict (account, owner, currency, business_date) do update
          set debit_fen = c.debit_fen + excluded.debit_fen,
            credit_fen = c.credit_fen + excluded.credit_fen
        """,
        [first, last],
    )
