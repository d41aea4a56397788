"""`kill -9` between a channel's success and our commit: every paid order arrives, once (F-5)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded: a run can be repeated

import httpx
import psycopg
import pytest

from kabao.app.channels import Lines
from kabao.base.clock import SimulatedClock
from kabao.base.db import Database
from kabao.funding.model.answers import Payer, Scene
from kabao.funding.model.channels import Terms
from kabao.funding.model.collections import Ask
from kabao.funding.ops import Funding
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.host import Host

from .process import TABLE, opened
from .world import COMPANY, PROGRAMME, key_pool

RATE = 40.0
"""Pauses of seconds are over in parts of them."""
EACH = 6
"""Orders under way when the process is killed."""


class Doomed:
    """A process, and what it was started with."""

    def __init__(self, folder: Path, url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        now_us = time.time_ns() // 1000
        self.clock = SimulatedClock(now_us, now_us, RATE)
        self._arguments = [str(folder), url, str(self.port), str(now_us), str(now_us), str(RATE)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.funding.process",
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()


class Stage:
    """A party, the process, and the test's own funding to open collections with."""

    def __init__(self, host: Host, doomed: Doomed, funding: Funding, db: Database) -> None:
        self.host, self.doomed, self.funding, self.db = host, doomed, funding, db
        self.http = httpx.AsyncClient(timeout=10, trust_env=False)

    async def open(self, scene: Scene) -> str:
        ask = Ask(
            purpose="load",
            subject="top_x",
            company=COMPANY,
            programme=PROGRAMME,
            scene=scene,
            amount_fen=10_000,
        )
        async with self.db.transaction() as conn:
            return (await self.funding.open_in(conn, ask)).id

    async def begin(self, collection: str, code: str = "") -> None:
        """As a server does; it may die over it."""
        url = f"http://127.0.0.1:{self.doomed.port}/begin/{collection}"
        with contextlib.suppress(httpx.HTTPError):
            await self.http.post(url, params={"code": code} if code else {})


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(TABLE)
    doomed = Doomed(tmp_path, database_url)
    host = Host(PARTIES["alipay"](doomed.clock.now_us, Chance(1), key_pool()), Chance(2))
    await host.start()
    db, lines = Database(database_url), Lines()
    await db.open()
    funding = opened(db, doomed.clock, tmp_path, lines, f"http://127.0.0.1:{doomed.port}")
    terms = Terms(name="alipay", kind="alipay", scenes=(Scene.QR, Scene.CODE))
    async with db.transaction() as conn:
        await funding.channels.add(conn, COMPANY, terms, host.account())
    await funding.refresh()
    await doomed.start()
    made = Stage(host, doomed, funding, db)
    yield made
    await doomed.kill()
    await made.http.aclose()
    await host.stop()
    await lines.close()
    await db.close()


@pytest.mark.row("T-20")
@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.proof)])
async def test_every_paid_order_arrives_once(at: Stage, kills: int) -> None:
    chance = Random(kills)
    at.host.order(Faults(lose_notice=30, duplicate=1))
    shown: list[str] = []
    for _ in range(kills):
        qr = [await at.open(Scene.QR) for _ in range(EACH // 2)]
        for collection in qr:
            await at.funding.begin(collection, Payer())
        codes = [await at.open(Scene.CODE) for _ in range(EACH - len(qr))]
        shown += [*qr, *codes]
        under_way = [
            asyncio.create_task(at.begin(one, at.host.party.book.new_code())) for one in codes
        ]
        async with at.db.read() as conn:
            for collection in qr:
                trade = at.host.party.book.find((await at.funding.get(conn, collection)).current)
                assert trade is not None and at.host.pay(trade)
        await asyncio.sleep(chance.uniform(0, 0.06))
        await at.doomed.kill()
        await asyncio.gather(*under_way)
        await at.doomed.start()
    await _settled(at, shown)
    async with at.db.read() as conn:
        rows = await (await conn.execute("select collection, given_up from loaded")).fetchall()
        states = {one: await at.funding.get(conn, one) for one in shown}
    told = Counter(row[0] for row in rows)
    assert told == Counter(shown), "each was told of once"
    loaded = {row[0] for row in rows if not row[1]}
    for ident, collection in states.items():
        trade = at.host.party.book.find(collection.current)
        kept_fen = (
            0 if trade is None or not trade.paid_us else trade.amount_fen - trade.refunded_fen
        )
        assert kept_fen == (10_000 if ident in loaded else 0), collection
    assert len(loaded) >= len(shown) // 2, "all that a payer was shown was paid"


async def _settled(at: Stage, collections: list[str]) -> None:
    """Until nothing is awaited any more."""
    async with asyncio.timeout(120):
        while True:
            async with at.db.read() as conn:
                row = await (
                    await conn.execute(
                        "select (select count(*) from funding.channel_order"
                        " where ask_at is not null and state not in ('failed', 'expired'))"
                        " + (select count(*) from funding.refund where ask_at is not null)"
                    )
                ).fetchone()
            if row == (0,):
                return
            await asyncio.sleep(0.1)
