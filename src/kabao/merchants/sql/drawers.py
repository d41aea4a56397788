"""Statements on drawers: entries and counts."""

from __future__ import annotations

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.merchants.model import DrawerCount, DrawerEntry


async def insert_entry(conn: Conn, entry: DrawerEntry) -> None:
    """Cash came or went."""
    await conn.execute(
        "insert into merchants.drawer_entry (id, shift, kind, amount_fen, reason, supervisor,"
        " created_at) values (%(id)s, %(shift)s, %(kind)s, %(amount_fen)s, %(reason)s,"
        " %(supervisor)s, %(created_at)s)",
        asdict(entry),
    )


async def entries(conn: Conn, shift: str) -> list[DrawerEntry]:
    """All entries of a shift, oldest first."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.drawer_entry where shift = %s order by id", [shift]
    )
    return convert(rows, list[DrawerEntry])


async def slip_of(conn: Conn, sale: str) -> DrawerEntry | None:
    """The slip of a sale."""
    row = await fetch_one(
        conn,
        dict,
        "select * from merchants.drawer_entry where kind = 'slip' and reason = %s",
        [sale],
    )
    return convert(row, DrawerEntry | None)


async def insert_count(conn: Conn, count: DrawerCount) -> None:
    """A drawer was counted."""
    await conn.execute(
        "insert into merchants.drawer_count (shift, no, pieces, amount_fen, created_at)"
        " values (%(shift)s, %(no)s, %(pieces)s::json, %(amount_fen)s, %(created_at)s)",
        asdict(count) | {"pieces": msgspec.json.encode(count.pieces).decode()},
    )


async def counts(conn: Conn, shift: str) -> list[DrawerCount]:
    """The counts of a shift's drawer, in their order."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.drawer_count where shift = %s order by no", [shift]
    )
    return convert(rows, list[DrawerCount])
