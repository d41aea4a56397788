"""Every statement on `base.idempotency`."""

from __future__ import annotations

from datetime import datetime

import msgspec

from kabao.base.db import Conn, fetch_one, fetch_value


class Kept(msgspec.Struct, frozen=True):
    """A remembered answer."""

    mac: bytes
    status: int
    body: bytes | None
    sealed: bool
    created_at: datetime


async def limit_lock_wait(conn: Conn, milliseconds: int) -> None:
    """Bound every wait for a lock in this transaction."""
    await conn.execute("select set_config('lock_timeout', %s, true)", [str(milliseconds)])


async def claim(
    conn: Conn, company: str, route: str, key: str, mac: bytes, at: datetime, *, sealed: bool
) -> bool:
    """Take the key for this transaction; False if somebody has it for good.

    While another transaction holds it, this waits for that one to end.
    """
    taken = await fetch_value(
        conn,
        """
        insert into base.idempotency (company, route, key, mac, sealed, created_at)
        values (%s, %s, %s, %s, %s, %s)
        on conflict do nothing
        returning true
        """,
        [company, route, key, mac, sealed, at],
    )
    return taken is True


async def keep(conn: Conn, company: str, route: str, key: str, status: int, body: bytes) -> None:
    """Store the answer beside the claim."""
    await conn.execute(
        """
        update base.idempotency set status = %s, body = %s
        where company = %s and route = %s and key = %s
        """,
        [status, body, company, route, key],
    )


async def kept(conn: Conn, company: str, route: str, key: str) -> Kept | None:
    """The remembered answer."""
    return await fetch_one(
        conn,
        Kept,
        """
        select mac, status, body, sealed, created_at from base.idempotency
        where company = %s and route = %s and key = %s
        """,
        [company, route, key],
    )


async def purge_secrets(conn: Conn, before: datetime, limit: int) -> int:
    """Drop the sealed answers of before a moment; the keys stay taken."""
    cursor = await conn.execute(
        """
        update base.idempotency set body = null
        where (company, route, key) in (
            select company, route, key from base.idempotency
            where sealed and body is not null and created_at < %s
            order by created_at limit %s for update skip locked
        )
        """,
        [before, limit],
    )
    return cursor.rowcount
