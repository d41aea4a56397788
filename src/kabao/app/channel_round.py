"""A round of a simulation of channels: top-ups through channels that fail, second by second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from kabao.app.channel_world import ChannelWorld
from kabao.app.composition import Kabao
from kabao.base.clock import FixedClock
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.funding.model.answers import Paid, Payer, Scene
from kabao.funding.model.collections import HELD, Ask, Collection, FundingRefund
from kabao.simulation.chance import Chance

PURPOSE = "simulation"
DOWN_S = 60
PATIENCE_S = 300
"""How long a payer goes on trying to pay what was shown."""
TAIL_MINUTES = 30
"""After the last top-up: until every order has ended."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is played. The same plan is played with the router and without."""

    seed: int
    seconds: int
    topups: int
    lose: float
    """Percent of a channel's answers that get lost."""
    shares: dict[str, int]
    """By party: how many of a hundred payers would choose it."""

    def down(self, second: int) -> str | None:
        """Who is down: each for a minute, evenly spread."""
        parties = list(self.shares)
        slot, within = divmod(second * len(parties), self.seconds)
        begins = self.seconds // (2 * len(parties)) - DOWN_S // 2
        at = within // len(parties) - begins
        return parties[slot] if 0 <= at < DOWN_S and slot < len(parties) else None


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What a round came to."""

    topups: int
    succeeded: int
    refused: int
    """Nothing could be shown to the payer at once, and the payer left."""
    switched: int
    """Another channel was tried before the payer was shown anything."""
    lost: int
    """Paid at a channel and neither loaded nor given back."""
    double: int
    """Loaded more than once, or paid more than once and kept."""
    by_channel: dict[str, int]
    """Which channel took those that succeeded."""

    @property
    def failure_bp(self) -> int:
        """The share that failed, in hundredths of a percent."""
        return (self.topups - self.succeeded) * 10_000 // max(self.topups, 1)


class Loads:
    """What the money of the simulation is for: counted, and nothing else."""

    def __init__(self) -> None:
        self.confirmed_for: Counter[str] = Counter()

    async def confirmed(self, conn: Conn, collection: Collection, paid: Paid) -> None:
        """One more; a transaction that is undone would count twice, which then is told."""
        del conn, paid
        self.confirmed_for[collection.id] += 1

    async def given_up(
        self, conn: Conn, collection: Collection, code: str, rule: str | None
    ) -> None:
        """The payer has left."""

    async def refunded(self, conn: Conn, refund: FundingRefund) -> None:
        """Nobody asks for one."""

    async def recalled(self, conn: Conn, collection: Collection, amount_fen: int) -> None:
        """No channel of the simulation does that."""


class Playing:
    """One round on a platform in this process."""

    def __init__(
        self, kabao: Kabao, clock: FixedClock, world: ChannelWorld, plan: Plan, loads: Loads
    ) -> None:
        self._kabao, self._clock, self._world = kabao, clock, world
        self._plan, self._loads = plan, loads
        self._party_of: dict[str, str] = {}
        self._waiting: dict[str, tuple[str, int]] = {}
        """Collections that payers were shown: order number, and until which second they try."""
        self._second = 0

    async def play(self, asks: Sequence[Ask], channels: dict[str, str]) -> Round:
        """Play a round.

        Args:
            asks: the top-ups, in the order of time.
            channels: which party is behind a channel, by the channel's id.
        """
        self._party_of = channels
        down: str | None = None
        opened: list[str | None] = []
        for second in range(self._plan.seconds):
            self._second = second
            down = await self._faults(second, down)
            count = len(asks) * (second + 1) // self._plan.seconds - len(opened)
            due = asks[len(opened) : len(opened) + count]
            opened += await asyncio.gather(*(self._begin(ask) for ask in due))
            await self._pay(down)
            await self._passes(1)
        for _ in range(TAIL_MINUTES):
            self._second += 60
            await self._pay(None)
            await self._passes(60)
        return await self._judged([one for one in opened if one is not None], len(asks))

    async def _faults(self, second: int, before: str | None) -> str | None:
        down = self._plan.down(second)
        for party in self._plan.shares:
            if second == 0 or party in (down, before):
                await self._world.order(party, lose=self._plan.lose, down=party == down)
        return down

    async def _begin(self, ask: Ask) -> str | None:
        """The collection; None if there was no channel for it."""
        funding = self._kabao.funding
        try:
            async with self._kabao.db.transaction() as conn:
                collection = await funding.open_in(conn, ask)
        except KabaoError:
            return None
        shown = await funding.begin(collection.id, Payer())
        if shown.waiting is not None:
            until = self._second + PATIENCE_S
            self._waiting[collection.id] = (shown.collection.current, until)
        return collection.id

    async def _pay(self, down: str | None) -> None:
        """Payers pay what they were shown; at a channel that is down they wait."""
        for ident, (order_no, until) in list(self._waiting.items()):
            async with self._kabao.db.read() as conn:
                orders = await self._kabao.funding.orders(conn, ident)
            channel = next(order.channel for order in orders if order.id == order_no)
            if self._party_of[channel] == down and self._second < until:
                continue
            del self._waiting[ident]
            if self._second < until:
                await self._world.pay(self._party_of[channel], order_no)

    async def _passes(self, seconds: int) -> None:
        """Time goes by, and what falls due is done."""
        self._clock.advance(timedelta(seconds=seconds))
        await self._world.set_clock(self._clock.now_us())
        funding = self._kabao.funding
        await funding.refresh()
        while await funding.look():
            pass
        await funding.send_refunds()
        await funding.settle_shares()

    async def _judged(self, opened: Sequence[str], asked: int) -> Round:
        """What the platform says, against what the parties say."""
        kept = {
            trade.no
            for party in self._plan.shares
            for trade in await self._world.trades(party)
            if trade.kept
        }
        found: Counter[str] = Counter()
        by_channel: Counter[str] = Counter()
        for ident in opened:
            async with self._kabao.db.read() as conn:
                orders = await self._kabao.funding.orders(conn, ident)
            loaded, paid = self._loads.confirmed_for[ident], sum(o.id in kept for o in orders)
            found["succeeded"] += loaded > 0
            found["refused"] += all(order.shown is None for order in orders)
            found["switched"] += len(orders) > 1
            found["lost"] += paid > loaded
            found["double"] += loaded > 1 or paid > 1
            for order in orders:
                if order.state in HELD:
                    by_channel[self._party_of[order.channel]] += 1
        return Round(
            topups=asked,
            succeeded=found["succeeded"],
            refused=found["refused"] + asked - len(opened),
            switched=found["switched"],
            lost=found["lost"],
            double=found["double"],
            by_channel=dict(by_channel),
        )


def asks_of(plan: Plan, company: str, programme: str, prefix: str, *, routed: bool) -> list[Ask]:
    """The top-ups of a plan. Without the router each payer's channel is the only one."""
    chance = Chance(plan.seed)
    made = []
    for n in range(plan.topups):
        party = chance.weighted(list(plan.shares), list(plan.shares.values()))
        ask = Ask(
            purpose=PURPOSE,
            subject=f"top_{n:032x}",
            company=company,
            programme=programme,
            scene=Scene.QR,
            amount_fen=chance.whole(1_000, 100_000),
            channel=None if routed else f"{prefix}{party}",
        )
        made.append(ask)
    return made
