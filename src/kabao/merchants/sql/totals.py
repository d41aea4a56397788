"""Statements on Z reports."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_one, fetch_value
from kabao.merchants.model import ZReport


async def report(conn: Conn, shift: str) -> ZReport | None:
    """The Z report of a shift."""
    row: dict[str, Any] | None = await fetch_one(
        conn, dict, "select * from merchants.z_report where shift = %s", [shift]
    )
    return convert(row, ZReport | None)


async def last_number(conn: Conn, terminal: str) -> int:
    """The number of a terminal's newest Z report; 0 when there is none."""
    found = await fetch_value(
        conn, "select max(number) from merchants.z_report where terminal = %s", [terminal]
    )
    return found or 0


async def insert_report(conn: Conn, report: ZReport) -> None:
    """A shift was counted."""
    await conn.execute(
        "insert into merchants.z_report (shift, terminal, number, lines, cash_expected_fen,"
        " cash_declared_fen, created_at) values (%(shift)s, %(terminal)s, %(number)s,"
        " %(lines)s::json, %(cash_expected_fen)s, %(cash_declared_fen)s, %(created_at)s)",
        asdict(report) | {"lines": msgspec.json.encode(report.lines).decode()},
    )
