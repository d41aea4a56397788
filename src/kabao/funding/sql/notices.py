"""Statements about notifications: nonces that were used."""

from __future__ import annotations

from kabao.base.clock import from_us
from kabao.base.db import Conn


async def take_nonce(conn: Conn, channel: str, nonce: str, at_us: int) -> bool:
    """Whether this nonce is new; from now on it is not."""
    done = await conn.execute(
        "insert into funding.nonce (channel, nonce, taken_at) values (%s, %s, %s)"
        " on conflict do nothing",
        [channel, nonce, from_us(at_us)],
    )
    return done.rowcount == 1


async def forget_nonces(conn: Conn, before_us: int) -> int:
    """Drop nonces that no notification can come with any more. Gives how many."""
    done = await conn.execute("delete from funding.nonce where taken_at < %s", [from_us(before_us)])
    return done.rowcount
