"""Statements about settlement accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.clearing.model.accounts import AccountState, SettlementAccount

_SELECT: LiteralString = """
select id, company, store, currency, bank, last_digits, state, reason, created_at, holder
from clearing.account
"""


async def insert(conn: Conn, one: SettlementAccount, holder: bytes, number_index: bytes) -> None:
    """A new account; `holder` is sealed."""
    await conn.execute(
        "insert into clearing.account (id, company, store, currency, bank, last_digits, state,"
        " reason, created_at, holder, number_index) values (%s, %s, %s, %s, %s, %s, %s, %s, %s,"
        " %s, %s)",
        [
            one.id, one.company, one.store, one.currency, one.bank, one.last_digits, one.state,
            one.reason, one.created_at, holder, number_index,
        ],
    )  # fmt: skip


async def get(conn: Conn, ident: str, *, lock: bool = False) -> SettlementAccount | None:
    """One account."""
    select: LiteralString = _SELECT + "where id = %s"
    row = await fetch_one(conn, dict, select + (" for update" if lock else ""), [ident])
    return None if row is None else msgspec.convert(row, SettlementAccount)


async def set_state(
    conn: Conn, ident: str, state: AccountState, *, reason: str | None = None
) -> None:
    """What becomes of it."""
    await conn.execute(
        "update clearing.account set state = %s, reason = %s where id = %s", [state, reason, ident]
    )


async def replace_active(conn: Conn, one: SettlementAccount) -> None:
    """Another takes the place of what its party had."""
    await conn.execute(
        "update clearing.account set state = 'replaced', reason = null"
        " where coalesce(store, company) = %s and currency = %s and state in ('active', 'broken')",
        [one.party, one.currency],
    )


async def hold_number(conn: Conn, number_index: bytes) -> None:
    """One transaction at a time decides about a number: its hash is all that is known of it."""
    key = int.from_bytes(number_index[:8], "big", signed=True)
    await conn.execute("select pg_advisory_xact_lock(%s)", [key])


async def others_with(conn: Conn, number_index: bytes, company: str) -> bool:
    """Whether another company is paid to this number."""
    found: bool = await fetch_value(
        conn,
        "select exists (select from clearing.account where number_index = %s and company <> %s"
        " and state in ('active', 'broken'))",
        [number_index, company],
    )
    return found


async def active_of(
    conn: Conn, parties: Sequence[str], currency: str
) -> list[tuple[SettlementAccount, bytes]]:
    """The accounts these parties are paid to, each with its sealed holder."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT + "where coalesce(store, company) = any(%s::uuid[]) and currency = %s"
        " and state = 'active'",
        [list(parties), currency],
    )
    return [(msgspec.convert(row, SettlementAccount), bytes(row["holder"])) for row in rows]


async def active_among(conn: Conn, idents: Sequence[str]) -> list[tuple[SettlementAccount, bytes]]:
    """Those of these accounts that are active, each with its sealed holder; locked."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT + "where id = any(%s::uuid[]) and state = 'active' order by id for share",
        [list(idents)],
    )
    return [(msgspec.convert(row, SettlementAccount), bytes(row["holder"])) for row in rows]


async def holders(conn: Conn, idents: Sequence[str]) -> dict[str, bytes]:
    """The sealed holders of accounts, whatever became of them."""
    rows = await fetch_all(
        conn,
        dict,
        "select id, holder from clearing.account where id = any(%s::uuid[])",
        [list(idents)],
    )
    return {row["id"]: bytes(row["holder"]) for row in rows}


async def stores_with_own(conn: Conn, currency: str) -> list[str]:
    """Stores that are paid themselves."""
    rows = await fetch_all(
        conn,
        dict,
        "select store from clearing.account where store is not null and currency = %s"
        " and state in ('active', 'broken') order by store",
        [currency],
    )
    return [row["store"] for row in rows]


async def search(
    conn: Conn, companies: Sequence[str] | None, after: str | None, limit: int
) -> list[SettlementAccount]:
    """Accounts, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT + "where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(after)s::uuid is null or id < %(after)s::uuid) order by id desc limit %(limit)s",
        {
            "companies": None if companies is None else list(companies),
            "after": after,
            "limit": limit,
        },
    )
    return msgspec.convert(rows, list[SettlementAccount])


async def forget(conn: Conn, before_us: int) -> int:
    """Drop what nobody agreed to by then."""
    done = await conn.execute(
        "delete from clearing.account where state = 'proposed' and created_at < %s",
        [from_us(before_us)],
    )
    return done.rowcount
