"""Statements about accounts that wait for the second person."""

from __future__ import annotations

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_value


async def insert(conn: Conn, ident: str, account: bytes, at_us: int) -> None:
    """Keep an account, sealed."""
    await conn.execute(
        "insert into funding.channel_offer (id, account, asked_at) values (%s, %s, %s)",
        [ident, account, from_us(at_us)],
    )


async def take(conn: Conn, ident: str) -> bytes | None:
    """Take an account out; None if it is not there."""
    found = await fetch_value(
        conn, "delete from funding.channel_offer where id = %s returning account", [ident]
    )
    return None if found is None else bytes(found)


async def forget(conn: Conn, before_us: int) -> int:
    """Drop accounts nobody agreed to. Gives how many."""
    done = await conn.execute(
        "delete from funding.channel_offer where asked_at < %s", [from_us(before_us)]
    )
    return done.rowcount
