"""The pool: after an outage, and with transactions that are left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kabao.base.db import Database, fetch_value
from kabao.base.errors import UNAVAILABLE, KabaoError
from tests.ledger.proxy import Proxy


@pytest.fixture
async def slow(database_url: str) -> AsyncIterator[Database]:
    """A pool whose transactions may do nothing for a fifth of a second."""
    database = Database(database_url, idle_s=0.2)
    await database.open()
    yield database
    await database.close()


async def ask(db: Database) -> int:
    async with db.transaction() as conn:
        return int(await fetch_value(conn, "select 1"))


async def test_after_an_outage_the_first_request_is_served_soon(database_url: str) -> None:
    """However long it was: the pool does not wait longer and longer between its tries."""
    loop = asyncio.get_running_loop()
    async with Proxy(database_url) as proxy:
        db = Database(proxy.url, max_size=4)
        await db.open()
        assert await asyncio.gather(*(ask(db) for _ in range(4))) == [1] * 4
        proxy.refuse = True
        proxy.cut()
        gone = await asyncio.gather(*(ask(db) for _ in range(8)), return_exceptions=True)
        assert {each.code for each in gone if isinstance(each, KabaoError)} == {UNAVAILABLE}
        assert len(gone) == 8
        proxy.refuse = False
        began = loop.time()
        assert await asyncio.gather(*(ask(db) for _ in range(4))) == [1] * 4
        assert loop.time() - began < 2
        await db.close()


async def test_the_pool_connects_again_by_itself(database_url: str) -> None:
    async with Proxy(database_url) as proxy:
        db = Database(proxy.url, max_size=1)
        await db.open()
        proxy.refuse = True
        proxy.cut()
        with pytest.raises(KabaoError):
            await ask(db)
        proxy.refuse = False
        before = proxy.accepted
        async with asyncio.timeout(5):
            while proxy.accepted == before:  # noqa: ASYNC110 -- nobody asks
                await asyncio.sleep(0.05)
        await db.close()


async def test_a_transaction_that_is_left_open_is_ended(db: Database, slow: Database) -> None:
    """It may hold a card: whoever waits for it goes on, and nothing of it happened."""
    async with db.transaction() as conn:
        await conn.execute("create table public.note (n int primary key)")
        await conn.execute("insert into public.note values (1)")

    async def lose_the_way() -> None:
        async with slow.transaction() as left:
            await left.execute("update public.note set n = 2")
            async with db.transaction() as waits:
                await waits.execute("update public.note set n = n + 2")
            await left.execute("select 1")

    with pytest.raises(KabaoError) as ended:
        await lose_the_way()
    assert ended.value.code is UNAVAILABLE
    async with db.read() as conn:
        assert await fetch_value(conn, "select n from public.note") == 3
        limit = "select current_setting('idle_in_transaction_session_timeout')"
        assert await fetch_value(conn, limit) == "10s"
