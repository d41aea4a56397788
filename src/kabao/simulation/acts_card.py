"""What happens to cards themselves: lost, frozen, given away, merged, a new PIN."""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.simulation.acts_money import LIMIT_FEN, MoneyActs
from kabao.simulation.chain import Held, Shop, Wallet
from kabao.simulation.intents import ChangePin, Combine, Give, Lose, Pause
from kabao.simulation.world import Class, Means


class CardState(msgspec.Struct, frozen=True):
    """A card as the answer to one of its verbs tells it."""

    id: str
    status: str
    available: int


class Renewed(msgspec.Struct, frozen=True):
    """A card with new secrets."""

    id: str
    status: str
    available: int
    number: str
    pin: str
    track2: str
    barcode: str


class Merged(msgspec.Struct, frozen=True):
    """Two cards after their merge."""

    source: CardState
    target: CardState
    amount: int


class CardActs(MoneyActs):
    """Acts at the service counter."""

    async def lose(self, intent: Lose) -> None:
        """Report a loss; find the card again, get another one, or wait."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None or not await self.report(wallet, card, shop, "lost"):
                return
            if intent.found_after_s is None and wallet.customer is not None:
                await self.replace(wallet, card, shop, "lost")
                return
        if intent.found_after_s is None:
            async with wallet.busy:
                wallet.card = None if wallet.card is card else wallet.card
            return
        await self.wait(intent.found_after_s)
        async with wallet.busy:
            body = {"claim": self._claim(wallet, card), **shop.place(0)}
            await self._change(card, "withdraw-loss", body)

    async def report(
        self, wallet: Wallet, card: Held, shop: Shop, reason: str, label: str | None = None
    ) -> bool:
        """Have a card stopped."""
        body = {"claim": self._claim(wallet, card), "reason": reason, **shop.place(0)}
        return await self._change(card, "report-loss", body, label=label)

    async def replace(self, wallet: Wallet, card: Held, shop: Shop, reason: str) -> None:
        """Another number and PIN for the same value."""
        body = {
            "claim": self._claim(wallet, card),
            "carrier": "electronic",
            "reason": reason,
            **shop.place(0),
        }
        fresh = await self.verbs.card_verb(card.id, "replace", body, Renewed)
        if fresh is not None:
            wallet.card = self._renewed(card, fresh)

    async def pause(self, intent: Pause) -> None:
        """Have the card frozen, and unfrozen later."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        card = wallet.card
        if card is None:
            return
        body = {"reason": "holder_request", **shop.place(0)}
        async with wallet.busy:
            claim = self._claim(wallet, card)
            if not await self._change(card, "freeze", {**body, "claim": claim}):
                return
        await self.wait(intent.after_s)
        async with wallet.busy:
            claim = self._claim(wallet, card)
            await self._change(card, "unfreeze", {**body, "claim": claim})

    async def give(self, intent: Give) -> None:
        """Give the card to somebody, who keeps it as a second one."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        to = self.wallet(intent.to)
        async with wallet.busy:
            card = wallet.card
            if card is None or to.customer is None or card.card_class is not Class.REGISTERED:
                return
            body = {"claim": self._claim(wallet, card), "to": to.customer, **shop.place(0)}
            fresh = await self.verbs.card_verb(card.id, "transfer", body, Renewed)
            if fresh is None:
                return
            given = self._renewed(card, fresh)
            wallet.card, wallet.second = wallet.second, None
        async with to.busy:
            if to.card is None:
                to.card = given
            elif to.second is None:
                to.second = given

    async def combine(self, intent: Combine) -> None:
        """Merge the second card into the first."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card, second = wallet.card, wallet.second
            if card is None or second is None or card.card_class is not second.card_class:
                return
            if card.available + second.available > LIMIT_FEN[card.card_class]:
                return
            body = {
                "claim": self._claim(wallet, second),
                "into": card.id,
                **shop.place(0),
            }
            merged = await self.verbs.card_verb(second.id, "merge", body, Merged)
            if merged is None:
                card.sure = second.sure = False
                return
            wallet.second = None
            self.saw(card, merged.target.available, merged.amount)

    async def change_pin(self, intent: ChangePin) -> None:
        """Choose another PIN; a weak one is refused."""
        wallet = self.wallet(intent.person)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                return
            body = {"old_pin": card.pin, "new_pin": intent.digits}
            changed = await self.verbs.card_verb(card.id, "pin", body, CardState)
            if changed is not None:
                card.pin = intent.digits

    def _claim(self, wallet: Wallet, card: Held) -> dict[str, Any]:
        """Why the platform should do as this person says."""
        if wallet.customer is not None and card.card_class is Class.REGISTERED:
            return {"type": "holder", "customer": wallet.customer}
        return {"type": "possession", "source": card.source(Means.NUMBER)}

    async def _change(
        self, card: Held, verb: str, body: dict[str, Any], label: str | None = None
    ) -> bool:
        done = await self.verbs.card_verb(card.id, verb, body, CardState, label=label)
        if done is None:
            card.sure = False
        return done is not None

    def _renewed(self, old: Held, fresh: Renewed) -> Held:
        card = Held(fresh.id, fresh.number, fresh.pin, fresh.track2, fresh.barcode, old.card_class)
        card.available, card.sure = fresh.available, old.sure
        card.holds, card.contested = old.holds, old.contested
        return card
