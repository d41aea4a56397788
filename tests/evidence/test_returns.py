"""Goods returned with the slip and without the card."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.audit.ops import audit
from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


class Slip:
    """A payment's slip in somebody's hand, and the counter that takes goods back on it."""

    def __init__(self, w: World, payment: dict[str, Any]) -> None:
        self.w, self.payment = w, payment

    async def gather(self) -> None:
        self.cashier = await self.w.person("01")
        self.boss = await self.w.person("90", "supervisor")
        shown = await made(self.w.merchant.get(f"/v1/receipts/{self.payment['id']}"))
        self.code = str(shown["verification_code"])

    async def allowed(self, amount: int, **more: str) -> str:
        who = {"cashier": self.cashier, "boss": self.boss, "subject": self.payment["id"]} | more
        return await self.w.allowed("return", fen=amount, **who)

    async def body(self, amount: int | None = None, **more: Any) -> dict[str, Any]:
        """What the counter asks for, with the supervisor's leave."""
        said = {"code": self.code, "cashier": self.cashier} | ({"amount": amount} if amount else {})
        leave = {} if "override" in more else {"override": await self.allowed(amount or 3_000)}
        return said | leave | more

    async def ask(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        return await self.w.merchant.post(f"/v1/receipts/{self.payment['id']}/returns", body, key)

    async def give_back(self, amount: int | None = None, **more: Any) -> httpx.Response:
        return await self.ask(await self.body(amount, **more))


async def slip(w: World, card: dict[str, Any]) -> Slip:
    slip = Slip(w, await w.pay(card, 3_000))
    await slip.gather()
    return slip


async def worth(w: World, card: str) -> tuple[int, int]:
    shown = await made(w.auditor.get(f"/v1/cards/{card}"))
    return shown["balance"], shown["available"]


async def balanced(w: World) -> None:
    report = await audit(w.kabao.db.url)
    assert report.holds, [line for line in report.lines if not line.holds]


@pytest.mark.row("P-12", "CR-20")
async def test_a_refund_to_a_new_card(w: World) -> None:
    programme = await w.programme()
    card = await w.card(programme, 10_000)
    at = await slip(w, card)
    paid = at.payment
    done = await made(at.give_back(1_000))
    new = done["card"]
    assert (done["payment"], done["amount"], done["principal"]) == (paid["id"], 1_000, 1_000)
    assert new["programme"] == programme
    assert new["id"] != card["id"]
    assert await worth(w, card["id"]) == (7_000, 7_000), "the lost card gets nothing"
    assert await worth(w, new["id"]) == (1_000, 1_000)
    again = await w.pay(new, 400)
    assert (again["status"], again["balance_after"]) == ("captured", 600)

    shown = await made(w.merchant.get(f"/v1/payments/{paid['id']}"))
    assert shown["refunded_amount"] == 1_000
    receipt = (await made(w.merchant.get(f"/v1/receipts/{done['refund']}")))["receipt"]
    assert (receipt["kind"], receipt["amount"], receipt["destination"]) == (
        "refund",
        1_000,
        "new_card",
    )
    log = (await made(w.auditor.get("/v1/audit-log")))["data"]
    assert [(row["subject"], row["reason"]) for row in log if row["verb"] == "receipts:return"] == [
        (done["refund"], f"allowed by {at.boss}")
    ]
    await balanced(w)


async def test_the_rest_and_no_more(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    await made(w.merchant.post(f"/v1/payments/{at.payment['id']}/refunds", {"amount": 1}))
    over = await at.give_back(3_000)
    assert over.json()["code"] == "amount_exceeds_remaining"
    assert (await made(at.give_back()))["amount"] == 2_999
    none = await at.give_back()
    assert (none.status_code, none.json()["code"]) == (422, "amount_exceeds_remaining")
    await balanced(w)


async def test_at_once_it_is_given_back_once(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    bodies = [await at.body(2_000) for _ in range(3)]
    answers = await asyncio.gather(*(at.ask(body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    await balanced(w)


async def test_the_same_key_gives_the_same_card(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    body = await at.body()
    first = await made(at.ask(body, "one"))
    await made(w.operator.post(f"/v1/cashiers/{at.cashier}/dismiss"))
    for _ in range(7):
        assert await made(at.ask(body, "one")) == first, "answered, whoever works there now"
    wrong = await at.ask(body | {"code": at.code[::-1]}, "one")
    assert wrong.json()["code"] == "verification_code_wrong", "a guess with an old key counts too"
    w.clock.advance(timedelta(days=2))
    later = await at.ask(body, "one")
    assert later.json()["code"] == "secret_already_shown"


@pytest.mark.row("P-12")
async def test_guessing_the_code_is_stopped(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    wrong = f"{(int(at.code) + 1) % 10**8:08d}"
    for _ in range(5):
        refused = await at.give_back(code=wrong)
        assert refused.json()["code"] == "verification_code_wrong"
    for said in (wrong, at.code):
        refused = await at.give_back(code=said)
        assert refused.status_code == 429
        assert refused.json()["rule"] == "P-12"
    w.clock.advance(timedelta(minutes=60))
    await made(at.give_back())


@pytest.mark.row("ATK-11")
async def test_who_may_and_on_what(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    good = await at.body()
    for missing in ("override", "cashier"):
        refused = await at.ask({name: said for name, said in good.items() if name != missing})
        assert (refused.status_code, refused.json()["code"]) == (422, "override_needed")
        assert (refused.json()["field"], refused.json()["rule"]) == (missing, "CR-20")
    other = await w.pay(card, 100)
    for override in (
        await at.allowed(2_999),
        await at.allowed(3_000, subject=other["id"]),
        await w.allowed("refund", at.payment["id"], 3_000, at.cashier, at.boss),
        "ovr_" + "0" * 32,
    ):
        refused = await at.give_back(override=override)
        assert (refused.status_code, refused.json()["code"]) == (422, "override_not_valid")
    topup = Slip(w, await w.top_up(card["id"], 100))
    refused = await topup.ask(good)
    assert refused.json()["code"] == "receipt_not_returnable"
    path = f"/v1/receipts/{at.payment['id']}/returns"
    assert (await w.auditor.post(path, good)).status_code == 403
    assert (await w.by("other-operator").post(path, good)).status_code == 404
    assert await worth(w, card["id"]) == (7_000, 7_000)
    await made(at.ask(good))
    twice = await at.ask(good)
    assert twice.json()["code"] == "amount_exceeds_remaining"


async def test_a_card_that_was_lost_meanwhile(w: World) -> None:
    """What the refund passes through may be stopped; the new card may not."""
    card = await w.card(await w.programme(), 10_000)
    at = await slip(w, card)
    await made(w.operator.post(f"/v1/cards/{card['id']}/freeze", {"reason": "risk"}))
    done = await made(at.give_back())
    assert await worth(w, done["card"]["id"]) == (3_000, 3_000)
    assert await worth(w, card["id"]) == (7_000, 7_000)
    await balanced(w)
