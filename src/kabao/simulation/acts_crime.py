"""What dishonest people and cashiers do. Every request of theirs carries its label."""

from __future__ import annotations

import asyncio

import msgspec

from kabao.simulation.acts_card import CardActs
from kabao.simulation.chain import Held
from kabao.simulation.intents import Drain, Guess, Label, SelfRefund, Steal, VoidAfterCash
from kabao.simulation.world import Means


class CrimeActs(CardActs):
    """Acts against others. Nobody waits for the victim's wallet to be free."""

    async def guess(self, intent: Guess) -> None:
        """Try PINs on somebody's number, faster than anybody types."""
        card = self.wallet(intent.victim).card
        shop = self.shop(intent.store)
        if card is None:
            return
        self.contest(card)
        for pin in intent.pins:
            if pin == card.pin:
                continue
            ask = self.verbs.pay_ask(
                card.source(Means.NUMBER, pin),
                shop,
                intent.till,
                5_000,
                label=Label.PIN_GUESSING,
            )
            paid = await self.verbs.pay(ask, shop, Means.NUMBER)
            if paid is not None and (paid.approved or paid.balance_after is not None):
                self.tally.defect(f"{paid.id}: a guessed PIN was told something")
            await self.wait(8)

    async def steal(self, intent: Steal) -> None:
        """Shop with a stolen card until its owner has it stopped."""
        victim = self.wallet(intent.victim)
        if victim.card is None:
            return
        self.contest(victim.card)
        stolen = msgspec.structs.replace(victim.card)
        await asyncio.gather(self._spree(intent, stolen), self._notice(intent))

    async def _spree(self, intent: Steal, card: Held) -> None:
        gone_s = 0.0
        for theft in intent.thefts:
            await self.wait(theft.after_s - gone_s)
            gone_s = theft.after_s
            await self.pay(
                card,
                self.shop(theft.store),
                theft.till,
                theft.amount_fen,
                Means.NUMBER,
                partial=True,
                label=Label.STOLEN_CARD,
            )

    async def _notice(self, intent: Steal) -> None:
        """The owner misses the card, has it stopped and gets another one."""
        await self.wait(intent.reported_after_s)
        victim, shop = self.wallet(intent.victim), self.shop(intent.thefts[0].store)
        async with victim.busy:
            card = victim.card
            if card is None:
                return
            if await self.report(victim, card, shop, "stolen") and victim.customer is not None:
                await self.replace(victim, card, shop, "stolen")

    async def drain(self, intent: Drain) -> None:
        """Wait for a load, then empty the card whose secret was copied."""
        victim, shop = self.wallet(intent.victim), self.shop(intent.store)
        async with victim.busy:
            card = victim.card
            if card is None:
                return
            await self.load(card, intent.load_fen, shop, intent.till)
        await self.wait(intent.after_s)
        self.contest(card)
        copied = msgspec.structs.replace(card)
        await self.pay(
            copied,
            shop,
            intent.till,
            max(1, copied.available),
            Means.NUMBER,
            partial=True,
            label=Label.CARD_DRAINING,
        )

    async def self_refund(self, intent: SelfRefund) -> None:
        """Pay with the own card, and refund it later though the goods are gone."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                return
            paid = await self.pay(
                card,
                shop,
                intent.till,
                intent.amount_fen,
                Means.BARCODE,
                label=Label.CASHIER_SELF_REFUND,
            )
        if paid is None or not paid.approved:
            return
        await self.wait(intent.after_s)
        async with wallet.busy:
            card.sure = False
            await self.verbs.refund(paid.id, paid.approved_amount, shop, Label.CASHIER_SELF_REFUND)

    async def void_after_cash(self, intent: VoidAfterCash) -> None:
        """Take a customer's cash for a load, and void it when they have left."""
        victim, shop = self.wallet(intent.person), self.shop(intent.store)
        async with victim.busy:
            card = victim.card
            if card is None:
                return
            loaded = await self.verbs.top_up(
                card, intent.amount_fen, shop, intent.till, Label.CASHIER_VOID_AFTER_CASH
            )
            self.contest(card)
        if loaded is None:
            return
        await self.wait(intent.after_s)
        await self.verbs.void_top_up(loaded, shop, intent.till, Label.CASHIER_VOID_AFTER_CASH)
