"""F-15: whoever relays is killed, again and again; everything arrives, in order, and once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded, for a test
from typing import Any

import pytest
from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import RealClock, from_us
from kabao.base.db import fetch_value
from kabao.base.ids import from_edge
from kabao.base.outbox import Pending
from tests.app.world import World, made, world

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "receiver.py"
CARDS = 40
PATIENCE_S = 60


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    now = from_us(RealClock().now_us())
    async with world(database_url, tmp_path, now, webhooks_private=True) as w:
        yield w


class Sample:
    """The receiver of the recipe, as a process."""

    def __init__(self, folder: Path, secret: str, port: int) -> None:
        self.file = folder / "events.sqlite"
        settings = folder / "receiver.json"
        settings.write_text(json.dumps({"secret": secret, "file": str(self.file), "port": port}))
        self._process = subprocess.Popen(
            [sys.executable, str(RECIPE), str(settings)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.file) as db:
            return db.execute(statement).fetchall()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def port() -> int:
    """One that is free now; the receiver is started with the secret, which comes later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def samples() -> Iterator[list[Sample]]:
    started: list[Sample] = []
    yield started
    for sample in started:
        sample.stop()


async def happen(w: World, count: int, chance: Random) -> int:
    """So many payments of a few cards, told as the ledger tells them. Their sum."""
    programme = await w.programme()
    cards = [await w.card(programme) for _ in range(CARDS)]
    async with w.kabao.db.read() as conn:
        roots = [
            (await w.kabao.cards.find_card(conn, from_edge("card", card["id"]))).root
            for card in cards
        ]
    numbers: defaultdict[str, int] = defaultdict(int)
    total = 0
    while count:
        some = min(count, chance.randrange(1, 20))
        events = []
        for _ in range(some):
            at, amount = chance.randrange(CARDS), chance.randrange(1, 100)
            numbers[roots[at]] += 1
            payload = {
                "payment": w.kabao.ids.new(),
                "card": cards[at]["id"],
                "store": w.store,
                "amount": amount,
                "currency": "CNY",
            }
            events.append(Pending("payment.captured", payload, 1, roots[at], numbers[roots[at]]))
            total += amount
        async with w.kabao.db.transaction() as conn:
            await outbox.write(conn, events, w.clock.now_us())
        count -= some
        await asyncio.sleep(0.002)
    return total


class Lives:
    """A relay that lives again and again."""

    def __init__(self, settings: Path) -> None:
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.notices.relay_process", str(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def begin(self) -> int:
        """One more life; its process id."""
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        self._mother.stdin.write("\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())

    async def kill(self, times: int, chance: Random) -> None:
        """Relay, each time for a moment."""
        for _ in range(times):
            life = await asyncio.to_thread(self.begin)
            await asyncio.sleep(chance.uniform(0.05, 0.9))
            os.kill(life, signal.SIGKILL)

    def stop(self) -> None:
        self._mother.communicate()


async def arrived(w: World) -> None:
    """Wait until nothing is on its way; the leases of the dead run out meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with w.kabao.db.read() as conn:
                waiting = await fetch_value(
                    conn, "select count(*) from notices.delivery where state = 'waiting'"
                )
                told = await fetch_value(conn, "select count(*) from notices.delivery")
                there = await fetch_value(
                    conn, "select count(*) from base.outbox where type = 'payment.captured'"
                )
            if waiting == 0 and told == there:
                return
            await asyncio.sleep(0.1)


@pytest.mark.row("F-15", "T-19", "I-7")
@pytest.mark.parametrize(
    ("kills", "count"),
    [
        pytest.param(20, 1_000, id="quick"),
        pytest.param(200, 10_000, id="whole", marks=pytest.mark.proof),
    ],
)
async def test_a_relay_that_is_killed_loses_nothing(
    w: World, tmp_path: Path, port: int, samples: list[Sample], kills: int, count: int
) -> None:
    chance = Random(f"{kills} kills")
    body = {"url": f"http://127.0.0.1:{port}/", "event_types": ["payment.*"]}
    hook = await made(w.operator.post("/v1/webhook-endpoints", body))
    sample = Sample(tmp_path, hook["secret"], port)
    samples.append(sample)
    settings = tmp_path / "settings.json"
    settings.write_bytes(replace(w.kabao.settings, database_connections=4).to_json())
    lives = Lives(settings)
    try:
        total, _ = await asyncio.gather(happen(w, count, chance), lives.kill(kills, chance))
        assert sample.rows("select count(*) from seen") > [(0,)], "the dead have sent some"
        last = await asyncio.to_thread(lives.begin)
        try:
            await arrived(w)
        finally:
            os.kill(last, signal.SIGKILL)
    finally:
        lives.stop()
    assert sample.rows("select count(*) from seen") == [(count,)], "each of them, once"
    assert sample.rows("select * from missed") == []
    assert sample.rows("select store, fen from turnover") == [(w.store, total)]
    order: defaultdict[str, list[int]] = defaultdict(list)
    for stream, sequence in sample.rows("select stream, sequence from seen order by rowid"):
        order[stream].append(sequence)
    assert all(seen == list(range(1, len(seen) + 1)) for seen in order.values()), "in order"
