"""Days one after another, and what must hold after each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from kabao.base.clock import US_PER_S, BusinessDays, SimulatedClock, to_us
from kabao.simulation.chain import Chain, Held
from kabao.simulation.doors import Ask, Doors, Said
from kabao.simulation.faults import Faults
from kabao.simulation.intents import AnyIntent
from kabao.simulation.player import Player
from kabao.simulation.ports import Backstage
from kabao.simulation.setup import Builder
from kabao.simulation.tally import Figures
from kabao.simulation.verbs import Verbs

PAGE = 200
NIGHT_S = 5.0
"""Simulated seconds past midnight after which a day is closed."""


class CardLine(msgspec.Struct, frozen=True):
    """A card in a list."""

    id: str
    balance: int
    available: int


class CardPage(msgspec.Struct, frozen=True):
    """A page of cards."""

    data: list[CardLine]
    next_cursor: str | None


class AccountLine(msgspec.Struct, frozen=True):
    """A house account."""

    account: str
    balance: int


class Accounts(msgspec.Struct, frozen=True):
    """The house accounts of a store."""

    data: list[AccountLine]


class Closed(msgspec.Struct, frozen=True):
    """A closed day."""

    transfers: int
    day: date


class ClosedDays(msgspec.Struct, frozen=True):
    """Closed days, newest first."""

    data: list[Closed]


class SettlementLine(msgspec.Struct, frozen=True):
    """What a store was owed for a window, and is no more: it was settled."""

    redeemed: int
    given_back: int


class SettlementPage(msgspec.Struct, frozen=True):
    """A page of a store's settlements."""

    data: list[SettlementLine]
    next_cursor: str | None


class DayDone(msgspec.Struct, frozen=True):
    """A day that is over."""

    day: date
    figures: Figures
    opening_fen: int
    """What the cards were worth before, by the answers."""
    cards_fen: int
    """What the cards are worth now, by the platform's own list."""
    cards: int
    """How many cards that are."""
    transfers: int
    """In the closed books of the day."""
    memory_kb: dict[str, int]

    @property
    def closing_fen(self) -> int:
        """What the cards must be worth now, by the answers."""
        return self.opening_fen + self.figures.change_fen


class Run:
    """A chain of stores, day after day."""

    def __init__(
        self,
        chain: Chain,
        doors: Doors,
        builder: Builder,
        verbs: Verbs,
        backstage: Backstage,
        clock: SimulatedClock,
        days: BusinessDays,
        *,
        rate: float,
        faults: Faults | None = None,
    ) -> None:
        self.chain, self._doors, self._builder, self._verbs = chain, doors, builder, verbs
        self._backstage, self._clock, self._days, self._faults = backstage, clock, days, faults
        self.player = Player(verbs, clock, rate)

    async def trade(
        self,
        day: date,
        plan: Sequence[AnyIntent],
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Play a day until midnight has passed and nothing is under way."""
        start_us = to_us(self._days.start(day))
        helpers = self._trouble(day, start_us)
        try:
            await self.player.play(plan, start_us, progress)
        finally:
            await _cancel(helpers)
        await self._builder.close_shifts(self.chain)
        midnight_us = to_us(self._days.start(day + timedelta(days=1)))
        await self.player.until(midnight_us + int(NIGHT_S * US_PER_S))

    async def close(self, day: date) -> DayDone:
        """Close a day that was played, and check what the cards and the stores are worth."""
        tally = self._doors.tally
        figures = tally.new_day()
        opening = tally.run.change_fen - figures.change_fen
        transfers = await self.close_day(day)
        cards, cards_fen = await self.check_cards()
        await self.check_stores()
        done = DayDone(
            day, figures, opening, cards_fen, cards, transfers, self._backstage.memory_kb()
        )
        if done.cards_fen != done.closing_fen:
            tally.defect(
                f"{day}: the cards are worth {cards_fen} fen, by the answers {done.closing_fen}"
            )
        return done

    async def begin_day(self) -> None:
        """Open the tills."""
        await self._builder.open_shifts(self.chain)

    async def close_day(self, day: date) -> int:
        """Close a business day, as far as its bills are in; how many transfers it has."""
        reply = await self._doors.do(
            Ask(
                verb="close_day",
                path=f"/v1/clearing-days/{day}/close",
                token=self._verbs.keys.operator,
                body={},
                says=lambda _: Said("done"),
                journaled=False,
            )
        )
        kept_open = reply is not None and not reply.ok and reply.problem.code == "day_kept_open"
        if reply is None or not (reply.ok or kept_open):
            self._doors.tally.defect(f"{day} cannot be closed: {reply and reply.problem}")
            return 0
        page = await self._doors.see("/v1/ledger/days", self._verbs.keys.auditor, ClosedDays)
        return next(each.transfers for each in page.data if each.day == day)

    async def check_stores(self) -> None:
        """Whether the books owe, or have settled with, each store what its answers say."""
        figures = self._doors.tally.run.stores
        for shop in self.chain.shops:
            settled, found = await self._settled(shop.id), await self._books(shop.id)
            while settled != (settled := await self._settled(shop.id)):  # the night is at it
                found = await self._books(shop.id)
            mine = figures[shop.plan.index]
            expected = {"redeemed": mine.owed_fen - settled, "cash": mine.cash_fen}
            for account, fen in expected.items():
                if found.get(account, 0) != fen:
                    self._doors.tally.defect(
                        f"{shop.plan.name}: {account} is {found.get(account)} fen in the books, "
                        f"{fen} by the answers"
                    )

    async def _books(self, store: str) -> dict[str, int]:
        """A store's house accounts."""
        path = f"/v1/ledger/accounts?owner={store}"
        found = await self._doors.see(path, self._verbs.keys.auditor, Accounts)
        return {line.account: line.balance for line in found.data}

    async def _settled(self, store: str) -> int:
        """What was settled with a store so far."""
        total, cursor = 0, ""
        while True:
            path = f"/v1/settlements?store={store}&status=due&limit={PAGE}{cursor}"
            page = await self._doors.see(path, self._verbs.keys.auditor, SettlementPage)
            total += sum(line.redeemed - line.given_back for line in page.data)
            if page.next_cursor is None:
                return total
            cursor = f"&cursor={page.next_cursor}"

    async def check_cards(self) -> tuple[int, int]:
        """How many cards there are and what they are worth, by the platform's list.

        Each is compared with what its holder believes.
        """
        held = {
            card.id: card
            for wallet in self.chain.wallets
            for card in (wallet.card, wallet.second)
            if card is not None
        }
        count, total, cursor = 0, 0, ""
        while True:
            page = await self._doors.see(
                f"/v1/cards?limit={PAGE}{cursor}", self._verbs.keys.auditor, CardPage
            )
            count += len(page.data)
            for card in page.data:
                total += card.balance
                if card.id in held:
                    self._compare(held[card.id], card)
            if page.next_cursor is None:
                return count, total
            cursor = f"&cursor={page.next_cursor}"

    def _compare(self, held: Held, card: CardLine) -> None:
        """What a holder believes with what is true; from then on they know it."""
        if held.sure and held.available != card.available:
            self._doors.tally.defect(
                f"{card.id}: {card.available} fen are on it, {held.available} by the last answer"
            )
        held.available, held.contested = card.available, False
        if card.balance == card.available:
            held.holds, held.sure = 0, True

    def _trouble(self, day: date, start_us: int) -> list[asyncio.Task[Any]]:
        """The faults of a day, as tasks."""
        if self._faults is None:
            return []
        helpers: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._faults.hammer(self._backstage), name="hammer")
        ]
        if (at_s := self._faults.jump_s(day)) is not None:
            jump = self._faults.jump(self._backstage, self._clock, start_us, at_s)
            helpers.append(asyncio.create_task(jump, name="jump"))
        return helpers


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
