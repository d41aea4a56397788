"""A till and a shop that sell against payment orders, through the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from kabao.audit.ops import audit
from kabao.ledger.model import Account, Act, Decision, Lot, Moment, Move, Purpose, Root
from tests.app.world import World, made, world

CART = timedelta(minutes=30)
"""How long a cart's hold lasts by default."""


class Shop:
    """Somebody who sells, and looks into the books afterwards."""

    def __init__(self, w: World, bearer: str) -> None:
        self.w, self.bearer = w, bearer

    async def card(self, fen: int = 0, bonus_fen: int = 0) -> dict[str, Any]:
        card = await self.w.card(self.bearer, fen)
        if bonus_fen:
            await self._give(card["id"], bonus_fen)
        return card

    async def _give(self, card: str, fen: int) -> None:
        kabao = self.w.kabao

        def run(root: Root | None, _moment: Moment) -> Decision:
            assert root is not None
            move = Move(Account.BONUS_COST, Account.BONUS, fen, Purpose.BONUS, root.issuer)
            lot = Lot(0, fen, 0, _moment.day, None, None, "promotion")
            return Decision(result={}, moves=(move,), lot=lot)

        async with kabao.db.transaction() as conn:
            found = await kabao.cards.find_card(conn, card.removeprefix("card_"))
            act = Act(
                company=self.w.company.removeprefix("com_"),
                operation=kabao.ids.new(),
                root=found.root,
                run=run,
            )
            await kabao.ledger.post_in(conn, [act])

    async def open(
        self, amount: int, *tenders: dict[str, Any], key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        body = self.body(amount, *tenders, **more)
        return await made(self.w.merchant.post("/v1/payment-orders", body, key))

    async def reverse(self, original: str, key: str | None = None) -> httpx.Response:
        """Undo what was asked for with a key."""
        body = {"original": {"idempotency_key": original}}
        return await self.w.merchant.post("/v1/reversals", body, key)

    def body(self, amount: int, *tenders: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "amount": amount,
            "currency": "CNY",
            "store": self.w.store,
            "tenders": list(tenders),
        } | more

    async def ask(
        self, order: dict[str, Any], verb: str, key: str | None = None, **body: Any
    ) -> httpx.Response:
        return await self.w.merchant.post(f"/v1/payment-orders/{order['id']}/{verb}", body, key)

    async def did(self, order: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
        return await made(self.ask(order, verb, **body))

    async def see(self, order: dict[str, Any]) -> dict[str, Any]:
        return await made(self.w.merchant.get(f"/v1/payment-orders/{order['id']}"))

    async def worth(self, card: dict[str, Any]) -> tuple[int, int]:
        """Balance and available."""
        shown = await made(self.w.operator.get(f"/v1/cards/{card['id']}"))
        return shown["balance"], shown["available"]

    async def parts(self, card: dict[str, Any]) -> tuple[int, int]:
        """Principal and bonus that are free."""
        kabao = self.w.kabao
        async with kabao.db.read() as conn:
            found = await kabao.cards.find_card(conn, card["id"].removeprefix("card_"))
            root = await kabao.ledger.root(conn, found.root)
        assert root is not None
        return root.principal_fen, root.bonus_fen

    async def later(self, by: timedelta) -> None:
        """Time passes, and the worker does what falls due."""
        self.w.clock.advance(by)
        await self.w.kabao.payments.expire_holds()
        await self.w.kabao.tenders.sweep()
        await self.w.kabao.tenders.settle()


def by_card(card: dict[str, Any], amount: int | None = None, **more: Any) -> dict[str, Any]:
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    return {"type": "card", "source": source} | ({"amount": amount} if amount else {}) | more


def guessed(card: dict[str, Any], amount: int | None = None) -> dict[str, Any]:
    """With a wrong PIN."""
    pin = card["pin"]
    wrong = f"{(int(pin) + 1) % 10 ** len(pin):0{len(pin)}}"
    return by_card(card | {"pin": wrong}, amount)


def cash(amount: int | None = None) -> dict[str, Any]:
    return {"type": "cash"} | ({"amount": amount} if amount else {})


def wechat(amount: int) -> dict[str, Any]:
    return {"type": "channel", "channel": "wechat", "reference": "wx-1", "amount": amount}


def told(order: dict[str, Any]) -> tuple[str, int, int, int]:
    """Status, tendered, captured, refunded."""
    return (
        order["status"],
        order["tendered_amount"],
        order["captured_amount"],
        order["refunded_amount"],
    )


@asynccontextmanager
async def shop(url: str, folder: Path, **terms: Any) -> AsyncIterator[Shop]:
    """A shop on a platform of its own; afterwards the audit must hold."""
    async with world(url, folder) as w:
        yield Shop(w, await w.programme(**terms))
    report = await audit(url)
    assert report.holds, [line for line in report.lines if not line.holds]
