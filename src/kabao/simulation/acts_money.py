"""What honest people do with money: pay, reserve, load, ask, bring goods back."""

from __future__ import annotations

import msgspec

from kabao.simulation.actor import Actor
from kabao.simulation.answers import Paid
from kabao.simulation.chain import Held, Shop, Wallet
from kabao.simulation.doors import Ask
from kabao.simulation.intents import Ask as AskBalance
from kabao.simulation.intents import Buy, End, Later, Load, Reserve, WhenShort
from kabao.simulation.world import Class, Means

SHORT = "insufficient_funds"
LIMIT_FEN = {Class.BEARER: 100_000, Class.REGISTERED: 500_000}
"""What a card may hold (CR-12); customers are told so at the counter."""

TOP_UP_STEP_FEN = 10_000

SILENCE_S = 0.002
"""Real seconds a till waits before it gives up on an answer: some are under way by then."""


class MoneyActs(Actor):
    """Acts of honest customers at tills."""

    async def buy(self, intent: Buy) -> None:
        """Pay at a till, whatever it takes; cash if the card will not do."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                self.tally.cash_sale(shop.plan.index, intent.amount_fen, split=False)
                return
            if intent.looks_first and card.sure and card.available < intent.amount_fen:
                await self._load_enough(card, intent.amount_fen, shop, intent.till)
            await self._mistype(card, intent, shop)
            if intent.typed_fen is not None:
                await self._correct(card, intent, shop, intent.typed_fen)
            paid = await self._pay_or_settle(card, intent, shop)
        if paid is not None and paid.approved:
            await self._bring_back(wallet, paid, intent.returns, shop)

    async def _mistype(self, card: Held, intent: Buy, shop: Shop) -> None:
        for _ in range(intent.wrong_pins):
            ask = self.verbs.pay_ask(
                card.source(Means.NUMBER, card.wrong_pin()), shop, intent.till, intent.amount_fen
            )
            paid = await self.verbs.pay(ask, shop, Means.NUMBER)
            if paid is not None and paid.approved:
                self.tally.defect(f"{paid.id}: approved with a wrong PIN")

    async def _correct(self, card: Held, intent: Buy, shop: Shop, typed: int) -> None:
        """The wrong amount was typed: void it at once."""
        paid = await self.pay(card, shop, intent.till, typed, intent.means)
        if paid is not None and paid.approved:
            await self.void(card, paid, shop)

    async def _pay_or_settle(self, card: Held, intent: Buy, shop: Shop) -> Paid | None:
        store, amount = shop.plan.index, intent.amount_fen
        paid = await self.pay(
            card, shop, intent.till, amount, intent.means, partial=intent.offers_partial
        )
        if paid is None:
            return None
        if paid.decline_code == SHORT:
            return await self._when_short(card, intent, shop)
        if not paid.approved:
            self.tally.cash_sale(store, amount, split=False)
        elif paid.approved_amount < amount:
            self.tally.cash_sale(store, amount - paid.approved_amount, split=True)
        return paid

    async def _when_short(self, card: Held, intent: Buy, shop: Shop) -> Paid | None:
        """Split the payment, load the card, or leave (P-16)."""
        store, amount = shop.plan.index, intent.amount_fen
        if intent.when_short is WhenShort.LEAVE:
            return None
        if intent.when_short is WhenShort.TOP_UP:
            await self._load_enough(card, amount, shop, intent.till)
        paid = await self.pay(card, shop, intent.till, amount, intent.means, partial=True)
        rest = amount - (paid.approved_amount if paid is not None else 0)
        if rest:
            self.tally.cash_sale(store, rest, split=rest < amount)
        return paid

    async def _load_enough(self, card: Held, amount: int, shop: Shop, till: int) -> None:
        """Load what is missing in round notes, and some more."""
        missing = max(0, amount - card.available)
        notes = -(-missing // TOP_UP_STEP_FEN)
        await self.load(card, (notes + 2) * TOP_UP_STEP_FEN, shop, till)

    async def _bring_back(
        self, wallet: Wallet, paid: Paid, returns: tuple[Later, ...], shop: Shop
    ) -> None:
        """Bring goods back, whole or in parts, and sometimes too much."""
        left, gone_s = paid.approved_amount, 0.0
        for later in returns:
            await self.wait(later.after_s - gone_s)
            gone_s = later.after_s
            amount = max(1, int(paid.approved_amount * later.share))
            async with wallet.busy:
                back = await self.verbs.refund(paid.id, amount, shop)
                if back is not None and amount > left:
                    self.tally.defect(f"{paid.id}: refunded {amount} fen of {left}")
                if back is not None:
                    left -= amount
                    self._refunded(wallet, back.payment.balance_after)

    def _refunded(self, wallet: Wallet, available: int | None) -> None:
        """The card may have been replaced meanwhile, so nothing is compared."""
        if wallet.card is not None and available is not None:
            wallet.card.sure = False

    # Parts that others use

    async def pay(
        self,
        card: Held,
        shop: Shop,
        till: int,
        amount: int,
        means: Means,
        *,
        capture: bool = True,
        partial: bool = False,
        label: str | None = None,
    ) -> Paid | None:
        """Pay or hold with one's card, and remember what is left on it."""
        ask = self.verbs.pay_ask(
            card.source(means),
            shop,
            till,
            amount,
            capture=capture,
            partial=partial,
            label=label,
        )
        mischief = self.verbs.doors.mischief
        if label is None and mischief.reverses_first():
            ask = await self._reversed_first(ask, shop, means)
        elif label is None and mischief.reverses():
            ask = await self._reversed_after_silence(ask, shop)
        paid = await self.verbs.pay(ask, shop, means)
        if paid is None:
            card.sure = False
        else:
            self.saw(card, paid.balance_after, -paid.approved_amount)
        return paid

    async def _reversed_first(self, ask: Ask, shop: Shop, means: Means) -> Ask:
        """The reversal overtakes its payment, which is then refused; pay anew (F-7)."""
        undone = await self.verbs.reverse(ask.key, shop)
        paid = await self.verbs.pay(ask, shop, means)
        if undone is not None and paid is not None and paid.approved:
            self.tally.defect(f"{paid.id}: approved after its reversal")
        return msgspec.structs.replace(ask, key=self.verbs.doors.key())

    async def _reversed_after_silence(self, ask: Ask, shop: Shop) -> Ask:
        """The till does not wait for the answer: it reverses, and pays anew (P-17)."""
        await self.verbs.doors.send_and_hang_up(ask, SILENCE_S)
        await self.verbs.reverse(ask.key, shop)
        return msgspec.structs.replace(ask, key=self.verbs.doors.key())

    async def void(self, card: Held, paid: Paid, shop: Shop, label: str | None = None) -> bool:
        """Undo a payment, or set a hold free."""
        voided = await self.verbs.void(paid.id, paid.captured_amount, shop, label)
        if voided is None:
            card.sure = False
            return False
        self.saw(card, voided.balance_after, paid.approved_amount)
        return True

    async def load(
        self, card: Held, amount: int, shop: Shop, till: int, label: str | None = None
    ) -> str | None:
        """Load a card with cash; the top-up's id, or None."""
        room = LIMIT_FEN[card.card_class] - card.available
        if card.sure and amount > room:
            amount = room - room % TOP_UP_STEP_FEN
            if amount <= 0:
                return None
        loaded = await self.verbs.top_up(card, amount, shop, till, label)
        if loaded is None:
            card.sure = False
            return None
        self.saw(card, loaded.balance_after, amount)
        return loaded.id

    # Holds

    async def reserve(self, intent: Reserve) -> None:
        """Have goods set aside; fetch them, call it off, or forget it."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                return
            held = await self.pay(
                card, shop, intent.till, intent.amount_fen, intent.means, capture=False
            )
            if held is None or not held.approved:
                return
            card.holds += 1
            card.sure = False
        if intent.end is End.FORGOTTEN:
            return
        await self.wait(intent.after_s)
        async with wallet.busy:
            card.sure = False
            if await self._settle(intent, held, shop):
                card.holds -= 1

    async def _settle(self, intent: Reserve, held: Paid, shop: Shop) -> bool:
        """Call it off, or take it whole or in parts. Whether nothing is set aside any more."""
        if intent.end is End.CANCELLED:
            return await self.verbs.void(held.id, 0, shop) is not None
        taken = max(1, int(held.approved_amount * intent.share))
        if intent.end is End.IN_PARTS and taken > 1:
            first = taken // 2
            if await self.verbs.capture(held.id, first, shop, final=False) is None:
                return False
            taken -= first
        return await self.verbs.capture(held.id, taken, shop, final=True) is not None

    # Counters

    async def top_up(self, intent: Load) -> None:
        """Load the card; a wrong amount is voided by the supervisor and done again."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                return
            if intent.mistaken_fen is not None:
                loaded = await self.verbs.top_up(card, intent.mistaken_fen, shop, intent.till)
                if loaded is not None:
                    await self.verbs.void_top_up(loaded, shop, intent.till)
                card.sure = False
            await self.load(card, intent.amount_fen, shop, intent.till)

    async def ask(self, intent: AskBalance) -> None:
        """Ask what is on the card."""
        wallet, shop = self.wallet(intent.person), self.shop(intent.store)
        async with wallet.busy:
            card = wallet.card
            if card is None:
                return
            for _ in range(intent.wrong_pins):
                wrong = card.source(Means.NUMBER, card.wrong_pin())
                if await self.verbs.inquire(wrong, shop) is not None:
                    self.tally.defect(f"{card.id}: a balance was told for a wrong PIN")
            worth = await self.verbs.inquire(card.source(intent.means), shop)
            if worth is not None:
                if worth.balance == worth.available:
                    card.holds = 0
                self.saw(card, worth.available, 0)
