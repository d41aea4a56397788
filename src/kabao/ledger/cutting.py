"""The fence, and cuts: the edges of windows.

Batches of one writer become visible in the order of their numbers. So a moment in the
life of the books is told exactly by how far each writer had come.
"""

from __future__ import annotations

import asyncio

from psycopg.errors import LockNotAvailable

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.errors import INVALID, UNAVAILABLE
from kabao.ledger import sql_days, sql_flows
from kabao.ledger.model import Cut

TURN_MS = 250
"""How long one turn waits for the fence. New batches queue up behind it, so it is short."""

BETWEEN_TURNS_S = 0.25
TURNS_MAX = 40


async def fence(conn: Conn) -> None:
    """Wait until no batch is open. A cold one may be for seconds: in between, others go."""
    for _ in range(TURNS_MAX):
        try:
            async with conn.transaction():
                return await sql_days.lock_fence(conn, TURN_MS)
        except LockNotAvailable:
            await asyncio.sleep(BETWEEN_TURNS_S)
    raise UNAVAILABLE.error("A posting is under way and does not end.")


async def cut(conn: Conn, until_us: int, clock: Clock) -> Cut:
    """See `Ledger.cut`."""
    if until_us > clock.now_us():
        raise INVALID.error("That moment is still to come.")
    async with conn.transaction(force_rollback=True):  # which lets go of the fence
        await fence(conn)
    return await sql_flows.cut(conn, until_us)
