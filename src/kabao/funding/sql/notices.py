"""Statements about notifications: nonces that were used, and counts of what came."""

from __future__ import annotations

from datetime import date

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


async def count(conn: Conn, channel: str, day: date, said: str, at_us: int) -> None:
    """One more notification of which that was said."""
    await conn.execute(
        """
        insert into funding.notice_count as n (channel, day, said, times, last_at)
        values (%s, %s, %s, 1, %s)
        on conflict (channel, day, said) do update
          set times = n.times + 1, last_at = excluded.last_at
        """,
        [channel, day, said, from_us(at_us)],
    )
