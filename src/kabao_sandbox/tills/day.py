"""A cashier's day: signing in, a queue of customers, settlement."""

from __future__ import annotations

from kabao_sandbox.tills.model import Account, Card
from kabao_sandbox.tills.mouth import Mouth
from kabao_sandbox.tills.terminal import Made, Terminal

CUSTOMERS = {"buy": 10, "void": 2, "refund": 2, "walk away": 1, "load": 3, "inquire": 2}
"""What they want, by how many of twenty do."""

SALE_MAX_FEN = 3_000
LOAD_MAX_FEN = 20_000
SOLD_FEN = 1_000
"""What is on a card that is sold."""


class Day:
    """One cashier at one terminal."""

    def __init__(
        self, mouth: Mouth, account: Account, cards: list[Card], stock: list[Card]
    ) -> None:
        """`cards` are the customers'; `stock` is this till's, in consecutive order."""
        self._mouth, self._account, self._chance = mouth, account, mouth.chance
        self._cards, self._stock = cards, stock
        self._terminal = Terminal(mouth)

    async def play(self, customers: int, *, bent: bool) -> None:
        """From the first sign-in to the settled batch."""
        await self._mouth.sign_in()
        await self._mouth.echo()
        sell_at = customers // 2
        for n in range(customers):
            if n == sell_at:
                await self._cards_over_the_counter()
            await self._serve()
        await self._terminal.settle(bent=bent)

    async def _serve(self) -> None:
        terminal, card = self._terminal, self._chance.choice(self._cards)
        (wish,) = self._chance.choices(list(CUSTOMERS), list(CUSTOMERS.values()))
        if wish == "inquire":
            await terminal.inquire(card)
            return
        if wish == "load":
            await terminal.load(card, self._chance.randrange(1, LOAD_MAX_FEN // 100) * 100)
            return
        sale = await terminal.buy(card, self._chance.randrange(1, SALE_MAX_FEN))
        if sale is not None:
            await self._then(wish, sale)

    async def _then(self, wish: str, sale: Made) -> None:
        if wish == "void":
            await self._terminal.void(sale)
        elif wish == "refund":
            part = self._chance.randrange(1, sale.entry.amount_fen + 1)
            await self._terminal.refund(sale, part)
        elif wish == "walk away":
            await self._terminal.walk_away(sale)

    async def _cards_over_the_counter(self) -> None:
        """Sell two cards and take them back; sell one, which is spent and handed in."""
        if len(self._stock) < 2:
            return
        pair, account = self._stock[:2], self._account
        sold = await self._terminal.sell(pair, len(pair) * SOLD_FEN)
        if sold is not None and account.supervisor_pin:
            await self._terminal.unsell(sold, account)
        one = self._stock[-1]
        if len(self._stock) > len(pair) and await self._terminal.sell([one], SOLD_FEN):
            await self._terminal.buy(one, SOLD_FEN)
            await self._terminal.take_back(one)
