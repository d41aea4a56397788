"""A round of a simulation of channels: top-ups through channels that fail, second by second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from kabao.app.channel_site import Answer, RefusedError, Site
from kabao.app.channel_world import ChannelWorld
from kabao.simulation.chance import Chance

DOWN_S = 60
PATIENCE_S = 300
"""How long a payer goes on trying to pay what was shown."""
TAIL_MINUTES = 30
"""After the last top-up: until every order has ended."""
LOADED = frozenset({"confirmed", "reconciled"})


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


class Wish(msgspec.Struct, frozen=True):
    """A top-up of the plan. Each is for a card of its own."""

    amount_fen: int
    party: str
    """The payer's own channel."""


def wishes(plan: Plan) -> list[Wish]:
    """The top-ups of a plan, in the order of time."""
    chance = Chance(plan.seed)
    parties, weights = list(plan.shares), list(plan.shares.values())
    return [
        Wish(chance.whole(1_000, 100_000), chance.weighted(parties, weights))
        for _ in range(plan.topups)
    ]


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
    """Paid more than once, and kept."""
    on_cards_fen: int
    """What the cards hold in the end."""
    paid_fen: int
    """What the parties say was paid and not given back."""
    by_channel: dict[str, int]
    """Which channel took those that succeeded."""

    @property
    def failure_bp(self) -> int:
        """The share that failed, in hundredths of a percent."""
        return (self.topups - self.succeeded) * 10_000 // max(self.topups, 1)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        return not self.lost and not self.double and self.on_cards_fen == self.paid_fen


class Playing:
    """One round for a company of its own, which has a channel at each party."""

    def __init__(self, site: Site, world: ChannelWorld, plan: Plan, *, routed: bool) -> None:
        self._site, self._world, self._plan, self._routed = site, world, plan, routed
        self._programme = ""
        self._party_of: dict[str, str] = {}
        self._second = 0
        self._waiting: dict[str, int] = {}
        """Collections that payers were shown, and until which second they try."""
        self._cards: list[str] = []
        self._topups: list[str] = []

    async def prepare(self) -> None:
        """The company, its card and its channels."""
        name, prefix = ("Routed", "880002") if self._routed else ("Named", "880001")
        company, self._programme = await self._site.company(name, prefix)
        for party in self._plan.shares:
            self._party_of[await self._site.channel(company, self._world, party)] = party

    async def play(self, asked: Sequence[Wish]) -> Round:
        """Play the top-ups, spread evenly over the plan's seconds."""
        begun, down, plan = 0, None, self._plan
        for second in range(plan.seconds):
            self._second = second
            down = await self._faults(second, down)
            due = len(asked) * (second + 1) // plan.seconds
            await asyncio.gather(*(self._begin(wish) for wish in asked[begun:due]))
            begun = due
            await self._pay(down)
            await self._site.passes(1, self._world)
        for _ in range(TAIL_MINUTES):
            self._second += 60
            await self._pay(None)
            await self._site.passes(60, self._world)
        return await self._judged()

    async def _faults(self, second: int, before: str | None) -> str | None:
        down = self._plan.down(second)
        for party in self._plan.shares:
            if second == 0 or party in (down, before):
                await self._world.order(party, lose=self._plan.lose, down=party == down)
        return down

    async def _begin(self, wish: Wish) -> None:
        """A payer asks for a top-up, and looks at what is shown."""
        card = await self._site.card(self._programme)
        self._cards.append(card)
        body = {
            "card": card,
            "amount": wish.amount_fen,
            "currency": "CNY",
            "channel": "any" if self._routed else wish.party,
            "scene": "qr",
        }
        try:
            topup = await self._site.post("/v1/topups", body)
        except RefusedError:
            return  # no channel may take it: its circuit is open
        self._topups.append(topup["id"])
        if topup["next_action"] is not None:
            self._waiting[topup["collection"]] = self._second + PATIENCE_S

    async def _pay(self, down: str | None) -> None:
        """Payers pay what they were shown; at a channel that is down they wait."""
        for collection, until in list(self._waiting.items()):
            order = (await self._orders(collection))[-1]
            party = self._party_of[order["channel"]]
            if self._second >= until:
                del self._waiting[collection]
            elif party != down:
                del self._waiting[collection]
                await self._world.pay(party, _number(order))

    async def _orders(self, collection: str) -> list[Answer]:
        whole = await self._site.get(f"/v1/collections/{collection}")
        return list(whole["orders"])

    async def _judged(self) -> Round:
        """What the platform says, against what the parties say."""
        kept = {
            trade.no: trade.amount
            for party in self._plan.shares
            for trade in await self._world.trades(party)
            if trade.kept
        }
        found: Counter[str] = Counter()
        by_channel: Counter[str] = Counter()
        for ident in self._topups:
            topup = await self._site.get(f"/v1/topups/{ident}")
            orders, loaded = await self._orders(topup["collection"]), topup["status"] in LOADED
            paid = [kept[_number(order)] for order in orders if _number(order) in kept]
            found["succeeded"] += loaded
            found["switched"] += len(orders) > 1
            found["lost"] += bool(paid) and not loaded
            found["double"] += len(paid) > 1
            found["paid_fen"] += sum(paid)
            found["left"] += not loaded and not paid
            by_channel.update(self._party_of[o["channel"]] for o in orders if o["status"] in LOADED)
        cards = [await self._site.get(f"/v1/cards/{card}") for card in self._cards]
        return Round(
            topups=len(self._cards),
            succeeded=found["succeeded"],
            refused=found["left"] + len(self._cards) - len(self._topups),
            switched=found["switched"],
            lost=found["lost"],
            double=found["double"],
            on_cards_fen=sum(card["balance"] for card in cards),
            paid_fen=found["paid_fen"],
            by_channel=dict(by_channel),
        )


def _number(order: Answer) -> str:
    """An order's number at its channel."""
    return str(order["id"]).removeprefix("fund_")
