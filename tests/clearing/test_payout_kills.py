"""`kill -9` while files of payouts are sent and asked about: nothing is paid twice (F-16)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded: a run can be repeated

import pytest

from kabao.base.clock import SimulatedClock
from kabao.ledger.model import Account
from kabao_sandbox.party.faults import Faults
from tests.app.world import START, world

from .paying import Night, night

RATE = 200.0
"""Leases of minutes are over in a second or two."""
EACH = 4
"""Instructions in the file that is under way when the process is killed."""


class Doomed:
    """The process."""

    def __init__(self, folder: Path, url: str) -> None:
        self._anchor, self._epoch = time.time_ns() // 1000, int(START.timestamp()) * 1_000_000
        self.clock = SimulatedClock(self._anchor, self._epoch, RATE)
        self._arguments = [str(folder), url, str(self._anchor), str(self._epoch), str(RATE)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.clearing.process",
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.proof)])
async def test_no_instruction_is_paid_twice(database_url: str, tmp_path: Path, kills: int) -> None:
    chance, doomed = Random(kills), Doomed(tmp_path, database_url)
    async with world(database_url, tmp_path) as opened, night(opened, doomed.clock) as at:
        await at.bank_account("6222020200012345678")
        at.host.order(Faults(lose=20, delay_ms=15))
        await doomed.start()
        owed: list[str] = []
        for n in range(kills):
            owed += await at.owes(1_000 + n, n=EACH)
            await at.release()
            await asyncio.sleep(chance.uniform(0, 0.25))
            await doomed.kill()
            await doomed.start()
        at.host.order(Faults())
        try:
            await _all_paid(at)
        finally:
            await doomed.kill()
        paid = await at.desk("GET", "payouts")
        told = Counter(one["instruction"] for one in paid if one["paid"])
        assert told == Counter(owed), "each was paid once"
        sum_fen = sum(EACH * (1_000 + n) for n in range(kills))
        assert sum(one["amount"] for one in paid) == sum_fen
        assert await at.balance(Account.BANK, at.company) == sum_fen
        assert await at.balance(Account.UNDER_WAY, at.other) == 0
        assert await at.balance(Account.PAYABLE, at.other) == 0


async def _all_paid(at: Night) -> None:
    async with asyncio.timeout(60):
        while True:
            if {one["status"] for one in await at.payouts()} == {"paid"}:
                return
            await asyncio.sleep(0.2)
