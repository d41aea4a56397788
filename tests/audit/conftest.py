"""Books of two days, traded once; every test that asks gets a copy to ruin."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from tests.audit.books import Books
from tests.audit.make import town
from tests.conftest import TEMPLATE

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def traded(server_url: str, _admin: psycopg.Connection) -> Iterator[str]:
    """The name of a database in which a town has traded."""
    name = f"traded{os.getpid()}"
    _admin.execute(f"create database {name} template {TEMPLATE}")
    asyncio.run(_trade(server_url.rpartition("/")[0] + f"/{name}"))
    yield name
    _admin.execute(f"drop database {name} with (force)")


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
def books(server_url: str, _admin: psycopg.Connection, traded: str) -> Iterator[Books]:
    """A copy of the traded books, and superuser rights on it."""
    name = f"b{os.getpid()}_{next(_NUMBERS)}"
    _admin.execute(f"create database {name} template {traded}")
    url = server_url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(url, autocommit=True) as conn:
        yield Books(url, conn)
    _admin.execute(f"drop database {name} with (force)")
