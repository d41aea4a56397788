"""The world of payment channels for demo and simulation: the sandbox's parties, as a process.

They share no code with the platform. Their page takes orders: what time it is, who is
down, who pays.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from kabao.adapters.line import client
from kabao.base.errors import UNAVAILABLE

START_S = 180
"""Their keys are made first, which takes a while on a busy machine."""
FILE = "world.json"
"""Addresses and the merchant's accounts, as long as it runs."""
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
    scenes: list[str]
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


class World(msgspec.Struct, frozen=True):
    """The sandbox, as its file tells it: `desk` is a page that leads to everybody."""

    desk: str
    parties: list[Party]


class ChannelWorld:
    """Orders the parties about."""

    def __init__(self, world: World) -> None:
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


@contextlib.contextmanager
def the_world(folder: Path, seed: int = 1) -> Iterator[World]:
    """The sandbox's parties, in a process of their own until left; the folder tells of them.

    Raises `unavailable` if they do not start.
    """
    out = folder / FILE
    out.unlink(missing_ok=True)
    child = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "kabao_sandbox", "world", "--out", str(out), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    late = threading.Timer(START_S, child.kill)
    late.start()
    try:
        if not any(line.startswith("The world") for line in child.stdout):
            raise UNAVAILABLE.error("The world of payment channels does not start.")
        late.cancel()
        yield msgspec.json.decode(out.read_bytes(), type=World)
    finally:
        late.cancel()
        child.terminate()
        child.wait()
        child.stdout.close()
        out.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def channel_world(seed: int) -> AsyncIterator[ChannelWorld]:
    """The same, taking orders. Raises `unavailable` if they do not start."""
    with tempfile.TemporaryDirectory() as folder, the_world(Path(folder), seed) as told:
        world = ChannelWorld(told)
        try:
            yield world
        finally:
            await world.close()
