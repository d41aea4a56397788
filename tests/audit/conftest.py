"""Books of two days, traded once; every test that asks gets a copy to ruin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from tests.audit.books import Books
from tests.audit.make import town
from tests.databases import Databases


@pytest.fixture(scope="session")
def traded(databases: Databases) -> Iterator[str]:
    """The URL of a database in which a town has traded."""
    with databases.copy() as url:
        asyncio.run(_trade(url))
        yield url


async def _trade(url: str) -> None:
    clock = FixedClock(datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai")))
    db = Database(url)
    await db.open()
    try:
        async with town(db, clock) as there:
            await there.trade()
    finally:
        await db.close()


@pytest.fixture
def books(databases: Databases, traded: str) -> Iterator[Books]:
    """A copy of the traded books, and superuser rights on it."""
    with databases.copy(traded) as url, psycopg.connect(url, autocommit=True) as conn:
        yield Books(url, conn)
