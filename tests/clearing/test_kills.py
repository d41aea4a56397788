"""Whoever closes a day is killed in the middle of it, again and again: one result (F-16)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from kabao.base.ids import from_edge
from kabao.ledger.model import Account
from tests.app.test_cli import KABAO, environment
from tests.app.test_cli_commands import Console
from tests.app.test_cli_commands import at as live_at
from tests.app.test_process import wait_until
from tests.app.world import World, world

from .night import MONDAY, at, fee_plan, house, settlements

STEPS: tuple[LiteralString, ...] = (
    "ledger.closed_day",
    "clearing.window",
    "clearing.settlement",
    "clearing.run",
    "clearing.day",
    "clearing.part",
    "ledger.operation",
    "ledger.house_transfer",
    "clearing.carry",
    "clearing.instruction",
)
"""What closing a day writes to, in this order: it is stopped before the first row of each."""

WAITS = "select count(*) from pg_locks where not granted"


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        yield w


def killed_at(table: LiteralString, url: str, data: Path) -> None:
    """Begin to close the day, and be killed where it is about to write to a table."""
    environ = environment(LOG_LEVEL="error", DATABASE_URL=url, DATA=str(data))
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as watcher:
        # Those who read pass; the first who writes waits.
        holder.execute(f"lock table {table} in exclusive mode")
        with subprocess.Popen([KABAO, "day", "close", MONDAY.isoformat()], env=environ) as closing:
            try:
                wait_until(lambda: waits(watcher) or closing.poll() is not None)
                assert closing.poll() is None, f"nothing was written to {table}"
            finally:
                closing.kill()
        holder.rollback()
        wait_until(lambda: not waits(watcher))


def waits(conn: psycopg.Connection) -> bool:
    row = conn.execute(WAITS).fetchone()
    return row is not None and row[0] > 0


async def close_with_kills(w: World, url: str, data: Path, tables: Sequence[LiteralString]) -> None:
    """Trade, be killed at each of these tables, close: there is one result, the right one."""
    await fee_plan(w, w.other_store, rate_bp=60, per_item=10)
    card = await w.card(await w.programme(), 90_000)
    await w.pay(card, 10_000, store=w.other_store)
    await w.pay(card, 3_000)
    await live_at(w, at(MONDAY + timedelta(days=1), 0, 5))
    for table in tables:
        await asyncio.to_thread(killed_at, table, url, data)
    console = Console(url, data)
    told = await console.json("day", "close", MONDAY.isoformat())
    assert told["state"] == "hard_closed"
    checked = await console.json("day", "reopen-check", MONDAY.isoformat())
    assert (checked["differs"], checked["settlements"], checked["runs"]) == ([], 2, 1)
    assert [s["status"] for s in await settlements(w)] == ["due", "due"]
    assert await house(w, Account.PAYABLE) == {from_edge("com", w.other): 9_930}
    assert await house(w, Account.NETTING) == {}
    assert await house(w, Account.FEES) == {from_edge("com", w.company): 70}


@pytest.mark.row("C-05")
async def test_one_result_however_often_it_is_killed(
    w: World, database_url: str, tmp_path: Path
) -> None:
    some = ("clearing.settlement", "ledger.house_transfer", "clearing.instruction")
    await close_with_kills(w, database_url, tmp_path, some)


@pytest.mark.proof
@pytest.mark.row("C-05")
async def test_thirty_kills(w: World, database_url: str, tmp_path: Path) -> None:
    await close_with_kills(w, database_url, tmp_path, [table for table in STEPS for _ in range(3)])
