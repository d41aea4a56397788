"""The world of payment channels for a simulation: the sandbox's parties, as a process.

They share no code with the platform. Their page takes orders: what time it is, who is
down, who pays.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from kabao.adapters.line import client
from kabao.base.errors import UNAVAILABLE

START_S = 180
"""Their keys are made first, which takes a while on a busy machine."""
DOWN_FOR_S = 3600
"""Until it is told to come back."""


class Party(msgspec.Struct, frozen=True):
    """One who takes money."""

    party: str
    kind: str
    name: str
    url: str
    desk: str
    fee_ppm: int
    cycle: str
    account: dict[str, Any]


class Trade(msgspec.Struct, frozen=True):
    """An order as a party knows it. Amounts in fen."""

    no: str
    state: str
    amount: int
    refunded: int

    @property
    def kept(self) -> bool:
        """Whether the payer's money is with us."""
        return self.state == "paid" and self.refunded < self.amount


class _World(msgspec.Struct, frozen=True):
    desk: str
    parties: list[Party]


class ChannelWorld:
    """Orders the parties about."""

    def __init__(self, world: _World) -> None:
        self._desk = world.desk
        self.parties = {party.party: party for party in world.parties}
        self._client = client(connect_s=3, answer_s=10, connections=32)

    async def set_clock(self, us: int) -> None:
        """Let it be that moment, in µs since 1970."""
        await self._put(f"{self._desk}/clock", us)

    async def order(self, party: str, *, lose: float, down: bool = False) -> None:
        """Let a party lose that percentage of its answers, or be gone."""
        faults = {"lose": lose, "down_s": DOWN_FOR_S if down else 0}
        await self._put(f"{self.parties[party].desk}/faults", faults)

    async def pay(self, party: str, order_no: str) -> bool:
        """Be the payer of an order; whether it was paid."""
        url = f"{self.parties[party].desk}/orders/{order_no}/pay"
        return (await self._client.post(url)).is_success

    async def trades(self, party: str) -> list[Trade]:
        """Every order a party knows."""
        answer = await self._client.get(f"{self.parties[party].desk}/orders")
        return msgspec.json.decode(answer.content, type=list[Trade])

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _put(self, url: str, body: object) -> None:
        answer = await self._client.put(url, content=msgspec.json.encode(body))
        if not answer.is_success:
            raise UNAVAILABLE.error("The world of the simulation does not do as it is told.")


@contextlib.asynccontextmanager
async def channel_world(seed: int) -> AsyncIterator[ChannelWorld]:
    """The parties, running until left. Raises `unavailable` if they do not start."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "world.json"
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kabao_sandbox", "world"),
            *("--port", "0", "--out", str(file), "--seed", str(seed)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await _started(child)
            world = ChannelWorld(msgspec.json.decode(file.read_bytes(), type=_World))
            try:
                yield world
            finally:
                await world.close()
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def _started(child: asyncio.subprocess.Process) -> None:
    assert child.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            while line := await child.stdout.readline():
                if line.startswith(b"The world:"):
                    return
    except TimeoutError:
        pass
    raise UNAVAILABLE.error("The world of the simulation does not start.")
