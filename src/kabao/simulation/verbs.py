"""What clients of the platform do, and what they count of the answers."""

from __future__ import annotations

from typing import Any, TypeVar

from kabao.simulation.answers import Allowed, GivenBack, Loaded, Paid, Undone, Worth
from kabao.simulation.chain import Chain, Held, Keys, Shop
from kabao.simulation.doors import Ask, Doors, Reply, Said
from kabao.simulation.tally import Flow
from kabao.simulation.world import Means

T = TypeVar("T")

CURRENCY = "CNY"


def _payment(reply: Reply) -> Said:
    paid = reply.read(Paid)
    code = paid.decline_code
    return Said(paid.status, paid.id, None, paid.approved_amount, code=code)


def _later(reply: Reply) -> Said:
    """A capture or a void: the answer names the payment, not what was done to it."""
    paid = reply.read(Paid)
    return Said(paid.status, None, paid.id, None)


def _refund(reply: Reply) -> Said:
    back = reply.read(GivenBack)
    return Said("refunded", back.id, back.payment.id, back.amount)


def _reversal(reply: Reply) -> Said:
    undone = reply.read(Undone)
    payment = undone.payment.id if undone.payment else None
    return Said(undone.status, undone.id, payment, undone.amount)


def _topup(reply: Reply) -> Said:
    loaded = reply.read(Loaded)
    return Said(loaded.status, loaded.id, None, loaded.amount, card=loaded.card.id)


def _topup_void(reply: Reply) -> Said:
    loaded = reply.read(Loaded)
    return Said(loaded.status, None, loaded.id, loaded.amount, card=loaded.card.id)


def _done(reply: Reply) -> Said:
    del reply
    return Said("done")


class Verbs:
    """The verbs of trading. None stands for: refused, or its outcome is not known."""

    def __init__(self, doors: Doors, keys: Keys, chain: Chain) -> None:
        self.doors, self.keys, self.chain = doors, keys, chain
        self.tally = doors.tally

    # Payments

    def pay_ask(
        self,
        source: dict[str, Any],
        shop: Shop,
        till: int,
        amount: int,
        *,
        capture: bool = True,
        partial: bool = False,
        label: str | None = None,
        key: str = "",
    ) -> Ask:
        """A request to pay or to hold."""
        body = {
            "amount": amount,
            "currency": CURRENCY,
            "source": source,
            "capture": capture,
            "accept_partial": partial,
            **shop.place(till),
        }
        return Ask(
            verb="pay" if capture else "hold",
            path="/v1/payments",
            token=self.keys.merchant,
            body=body,
            says=_payment,
            amount=amount,
            store=shop.id,
            label=label,
            key=key or self.doors.key(),
        )

    async def pay(self, ask: Ask, shop: Shop, means: Means) -> Paid | None:
        """Pay or hold. An outcome that stays unknown is reversed, as a till must."""
        reply = await self.doors.do(ask)
        if reply is None or reply.status >= 500:
            await self.reverse(ask.key, shop, label=ask.label)
            return None
        if not reply.ok:
            self._unexpected(ask.verb, reply)
            return None
        paid = reply.read(Paid)
        self.count_payment(paid, shop, means, captured=ask.verb == "pay")
        return paid

    def count_payment(self, paid: Paid, shop: Shop, means: Means, *, captured: bool) -> None:
        """Count a payment's first answer."""
        if not paid.approved:
            self.tally.declined(paid.decline_code or "", paid.rule)
            return
        hour = int(paid.created_at[11:13])
        self.tally.paid(shop.plan.index, hour, paid.approved_amount, means)
        if captured:
            self.tally.moved(Flow.SPENT, shop.plan.index, paid.approved_amount)

    async def capture(self, payment: str, amount: int, shop: Shop, *, final: bool) -> Paid | None:
        """Take part or all of a hold."""
        body = {"amount": amount, "final": final}
        paid = await self._after("capture", payment, body, shop, Paid, _later, amount)
        if paid is not None:
            self.tally.moved(Flow.SPENT, shop.plan.index, amount)
        return paid

    async def void(
        self, payment: str, captured: int, shop: Shop, label: str | None = None
    ) -> Paid | None:
        """Undo a payment whole, or set a hold free (`captured` 0)."""
        paid = await self._after("void", payment, {}, shop, Paid, _later, captured, label=label)
        if paid is not None:
            self.tally.moved(Flow.VOIDED, shop.plan.index, captured)
        return paid

    async def refund(
        self, payment: str, amount: int, shop: Shop, label: str | None = None
    ) -> GivenBack | None:
        """Give back part or all of what was captured."""
        back = await self._after(
            "refund",
            payment,
            {"amount": amount},
            shop,
            GivenBack,
            _refund,
            amount,
            path="refunds",
            label=label,
        )
        if back is not None:
            flow = Flow.REFUNDED if back.destination == "card" else Flow.SUSPENDED
            self.tally.moved(flow, shop.plan.index, back.amount)
        return back

    async def reverse(
        self, key: str, shop: Shop, *, counted: bool = False, label: str | None = None
    ) -> Undone | None:
        """Undo a payment by its key, whether or not it has come.

        Args:
            key: the payment's.
            shop: where it was.
            counted: whether its answer was seen and counted as spent.
            label: what kind of dishonest act it is part of.
        """
        reply = await self.doors.do(
            Ask(
                verb="reverse",
                path="/v1/reversals",
                token=self.keys.merchant,
                body={"original": {"idempotency_key": key}},
                says=_reversal,
                store=shop.id,
                original=key,
                label=label,
            )
        )
        if reply is None or not reply.ok:
            if reply is not None:
                self._unexpected("reverse", reply)
            return None
        undone = reply.read(Undone)
        if undone.amount:
            if not counted:
                self.tally.moved(Flow.SPENT, shop.plan.index, undone.amount)
            self.tally.moved(Flow.REVERSED, shop.plan.index, undone.amount)
        return undone

    async def inquire(self, source: dict[str, Any], shop: Shop) -> Worth | None:
        """Ask what a card is worth."""
        reply = await self.doors.do(
            Ask(
                verb="inquire",
                path="/v1/balance-inquiries",
                token=self.keys.merchant,
                body={"source": source},
                says=_done,
                store=shop.id,
                journaled=False,
            )
        )
        return reply.read(Worth) if reply is not None and reply.ok else None

    # Top-ups

    async def top_up(
        self, card: Held, amount: int, shop: Shop, till: int, label: str | None = None
    ) -> Loaded | None:
        """Load a card with cash."""
        body = {
            "card": card.id,
            "amount": amount,
            "currency": CURRENCY,
            "channel": "cash",
            **shop.place(till),
        }
        reply = await self.doors.do(
            Ask(
                verb="topup",
                path="/v1/topups",
                token=self.keys.merchant,
                body=body,
                says=_topup,
                amount=amount,
                store=shop.id,
                label=label,
            )
        )
        if reply is None or not reply.ok:
            return None
        loaded = reply.read(Loaded)
        self.tally.moved(Flow.LOADED, shop.plan.index, amount)
        self.tally.cash(shop.plan.index, taken_fen=amount)
        return loaded

    async def void_top_up(
        self, loaded: Loaded, shop: Shop, till: int, label: str | None = None
    ) -> Loaded | None:
        """Undo a top-up; the supervisor comes to the till and allows it."""
        here = shop.place(till)
        allowed = await self._allowed(loaded, shop, here["cashier"])
        if allowed is None:
            return None
        reply = await self.doors.do(
            Ask(
                verb="topup_void",
                path=f"/v1/topups/{loaded.id}/void",
                token=self.keys.merchant,
                body={
                    "terminal": here["terminal"],
                    "cashier": here["cashier"],
                    "override": allowed.id,
                },
                says=_topup_void,
                amount=loaded.amount,
                store=shop.id,
                label=label,
            )
        )
        if reply is None or not reply.ok:
            return None
        self.tally.moved(Flow.LOAD_VOIDED, shop.plan.index, loaded.amount)
        self.tally.cash(shop.plan.index, given_fen=loaded.amount)
        return reply.read(Loaded)

    async def _allowed(self, loaded: Loaded, shop: Shop, cashier: str) -> Allowed | None:
        reply = await self.doors.do(
            Ask(
                verb="override",
                path="/v1/overrides",
                token=self.keys.merchant,
                body={
                    "verb": "topup_void",
                    "store": shop.id,
                    "cashier": cashier,
                    "subject": loaded.id,
                    "amount": loaded.amount,
                    "supervisor": shop.supervisor,
                    "pin": shop.supervisor_pin,
                },
                says=_done,
                journaled=False,
            )
        )
        return reply.read(Allowed) if reply is not None and reply.ok else None

    # A card's life

    async def card_verb(
        self,
        card: str,
        verb: str,
        body: dict[str, Any],
        kind: type[T],
        *,
        token: str = "",
        label: str | None = None,
    ) -> T | None:
        """Any verb of `/v1/cards/{card}/…`; by the operator unless said otherwise."""
        reply = await self.doors.do(
            Ask(
                verb=verb,
                path=f"/v1/cards/{card}/{verb}",
                token=token or self.keys.operator,
                body=body,
                says=_done,
                store=body.get("store"),
                label=label,
            )
        )
        return reply.read(kind) if reply is not None and reply.ok else None

    # Shared

    async def _after(
        self,
        verb: str,
        payment: str,
        body: dict[str, Any],
        shop: Shop,
        kind: type[T],
        says: Any,
        amount: int,
        *,
        path: str = "",
        label: str | None = None,
    ) -> T | None:
        reply = await self.doors.do(
            Ask(
                verb=verb,
                path=f"/v1/payments/{payment}/{path or verb}",
                token=self.keys.merchant,
                body=body,
                says=says,
                amount=amount,
                store=shop.id,
                label=label,
            )
        )
        return reply.read(kind) if reply is not None and reply.ok else None

    def _unexpected(self, verb: str, reply: Reply) -> None:
        """A well-formed payment is never refused: it is declined."""
        problem = reply.problem
        self.tally.defect(f"{verb} was refused: {reply.status} {problem.code}: {problem.detail}")
