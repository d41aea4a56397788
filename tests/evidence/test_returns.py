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


async def staff(w: World, role: str) -> str:
    body = {"store": w.store, "code": role, "name": "李雷", "role": role}
    return str((await made(w.operator.post("/v1/cashiers", body)))["id"])


async def code_of(w: World, payment: dict[str, Any]) -> str:
    return str((await made(w.merchant.get(f"/v1/receipts/{payment['id']}")))["verification_code"])


async def give_back(w: World, payment: dict[str, Any], **body: Any) -> httpx.Response:
    return await w.merchant.post(f"/v1/receipts/{payment['id']}/returns", body)


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
    paid = await w.pay(card, 3_000)
    boss, code = await staff(w, "supervisor"), await code_of(w, paid)
    done = await made(give_back(w, paid, code=code, amount=1_000, supervisor=boss))
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
        (done["refund"], f"confirmed by {boss}")
    ]
    await balanced(w)


async def test_the_rest_and_no_more(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    boss, code = await staff(w, "supervisor"), await code_of(w, paid)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 1}))
    over = await give_back(w, paid, code=code, amount=3_000, supervisor=boss)
    assert over.json()["code"] == "amount_exceeds_remaining"
    assert (await made(give_back(w, paid, code=code, supervisor=boss)))["amount"] == 2_999
    none = await give_back(w, paid, code=code, supervisor=boss)
    assert none.status_code == 422
    await balanced(w)


async def test_at_once_it_is_given_back_once(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    boss, code = await staff(w, "supervisor"), await code_of(w, paid)
    answers = await asyncio.gather(
        *(give_back(w, paid, code=code, amount=2_000, supervisor=boss) for _ in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    await balanced(w)


async def test_the_same_key_gives_the_same_card(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    body = {"code": await code_of(w, paid), "supervisor": await staff(w, "supervisor")}
    path = f"/v1/receipts/{paid['id']}/returns"
    first = await made(w.merchant.post(path, body, key="one"))
    assert await made(w.merchant.post(path, body, key="one")) == first
    w.clock.advance(timedelta(days=2))
    later = await w.merchant.post(path, body, key="one")
    assert later.json()["code"] == "secret_already_shown"


@pytest.mark.row("P-12")
async def test_guessing_the_code_is_stopped(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    boss, code = await staff(w, "supervisor"), await code_of(w, paid)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _ in range(5):
        refused = await give_back(w, paid, code=wrong, supervisor=boss)
        assert refused.json()["code"] == "verification_code_wrong"
    for said in (wrong, code):
        refused = await give_back(w, paid, code=said, supervisor=boss)
        assert refused.status_code == 429
        assert refused.json()["rule"] == "P-12"
    w.clock.advance(timedelta(minutes=60))
    await made(give_back(w, paid, code=code, supervisor=boss))


async def test_who_may_and_on_what(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    boss, cashier = await staff(w, "supervisor"), await staff(w, "cashier")
    code = await code_of(w, paid)
    for body in ({}, {"supervisor": cashier}, {"supervisor": boss, "cashier": boss}):
        refused = await give_back(w, paid, code=code, **body)
        assert (refused.status_code, refused.json()["code"]) == (422, "supervisor_needed")
    topup = await w.top_up(card["id"], 100)
    refused = await give_back(w, topup, code=code, supervisor=boss)
    assert refused.json()["code"] == "receipt_not_returnable"
    body = {"code": code, "supervisor": boss}
    path = f"/v1/receipts/{paid['id']}/returns"
    assert (await w.auditor.post(path, body)).status_code == 403
    assert (await w.by("other-operator").post(path, body)).status_code == 404
    assert await worth(w, card["id"]) == (7_100, 7_100)


async def test_a_card_that_was_lost_meanwhile(w: World) -> None:
    """What the refund passes through may be stopped; the new card may not."""
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    await made(w.operator.post(f"/v1/cards/{card['id']}/freeze", {"reason": "risk"}))
    boss, code = await staff(w, "supervisor"), await code_of(w, paid)
    done = await made(give_back(w, paid, code=code, supervisor=boss))
    assert await worth(w, done["card"]["id"]) == (3_000, 3_000)
    assert await worth(w, card["id"]) == (7_000, 7_000)
    await balanced(w)
