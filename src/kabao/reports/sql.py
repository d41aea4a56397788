"""Statements on what is kept of closed days."""

from __future__ import annotations

from datetime import date, datetime

import msgspec
from psycopg.types.json import Jsonb

from kabao.base.db import Conn, fetch_one, fetch_value
from kabao.reports.model.figures import Roll


async def one_reading(conn: Conn) -> None:
    """Let every statement of a transaction see the same moment, so that sums agree."""
    await conn.execute("set transaction isolation level repeatable read, read only")


class Kept(msgspec.Struct, frozen=True):
    """What a closed day came to, and the digest of the figures it was made of."""

    business_date: date
    rolls: list[Roll]
    digest: bytes
    kept_at: datetime


async def kept(conn: Conn, day: date) -> Kept | None:
    """What is kept of a day."""
    row = await fetch_one(
        conn,
        dict,
        "select business_date, rolls, digest, kept_at from reports.roll where business_date = %s",
        [day],
    )
    return msgspec.convert(row, Kept | None)


async def last_kept(conn: Conn) -> date | None:
    """The last day of which anything is kept."""
    found: date | None = await fetch_value(conn, "select max(business_date) from reports.roll")
    return found


async def keep(conn: Conn, day: date, rolls: list[Roll], digest: bytes, at: datetime) -> None:
    """Keep a day. Whoever comes second changes nothing."""
    await conn.execute(
        "insert into reports.roll (business_date, rolls, digest, kept_at) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        [day, Jsonb(msgspec.to_builtins(rolls)), digest, at],
    )
