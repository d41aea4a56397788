"""What a cashier does to a card of the same person is flagged, whichever door it came by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.base import outbox
from tests.app.world import World, all_told, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def customer(w: World) -> str:
    body = {"company": w.company, "party": "person", "name": "张三丰", "phone": "13812345678"}
    return str((await made(w.operator.post("/v1/customers", body)))["id"])


async def cashier(w: World, code: str) -> str:
    body = {"store": w.store, "code": code, "name": "张三丰"}
    return str((await made(w.operator.post("/v1/cashiers", body)))["id"])


async def flags(w: World, name: str = "auditor") -> list[dict[str, Any]]:
    await w.kabao.own_cards.watch()
    found: list[dict[str, Any]] = (await made(w.by(name).get("/v1/own-card-flags")))["data"]
    return found


async def held_card(w: World, holder: str) -> dict[str, Any]:
    body = {"programme": await w.programme(), "carrier": "electronic", "holder": holder}
    return await made(w.operator.post("/v1/cards", body))


async def load(w: World, card: str, fen: int, cashier: str) -> None:
    body = {"card": card, "amount": fen, "currency": "CNY", "channel": "cash", "store": w.store}
    await made(w.operator.post("/v1/topups", body | {"cashier": cashier}))


@pytest.mark.row("ATK-11")
async def test_refunds_and_loads_to_an_own_card_are_flagged_once(w: World) -> None:
    person, mine, other = await customer(w), await cashier(w, "01"), await cashier(w, "02")
    own, strange = await held_card(w, person), await w.card(await w.programme())
    linked = await made(w.operator.post(f"/v1/cashiers/{mine}/link", {"customer": person}))
    assert linked["customer"] == person
    for card in (own, strange):
        for who in (mine, other):
            await load(w, card["id"], 1_000, who)
        paid = await w.pay(card, 600, cashier=mine)
        path = f"/v1/payments/{paid['id']}/refunds"
        for who, fen in ((mine, 100), (other, 200)):
            await made(w.merchant.post(path, {"amount": fen, "cashier": who}))
    for _ in range(2):
        found = await flags(w)
        assert {(one["deed"], one["amount"]) for one in found} == {("refund", 100), ("load", 1_000)}
        assert len(found) == 2
        assert {one["cashier"] for one in found} == {mine}
        assert {one["card"] for one in found} == {own["id"]}
        assert {one["store"] for one in found} == {w.store}
    await all_told(w.kabao.db)
    async with w.kabao.db.read() as conn:
        told = [
            event.payload
            for event in await outbox.read(conn, "test")
            if event.type == "cashier.own_card_flagged"
        ]
    assert sorted(one["deed"] for one in told) == ["load", "refund"]
    assert await flags(w, "other-auditor") == []


async def test_a_link_may_come_late_or_be_undone(w: World) -> None:
    person, mine = await customer(w), await cashier(w, "01")
    own = await held_card(w, person)
    await load(w, own["id"], 1_000, mine)
    assert await flags(w) == []
    link = f"/v1/cashiers/{mine}/link"
    await made(w.operator.post(link, {"customer": person}))
    assert [one["deed"] for one in await flags(w)] == ["load"]
    await made(w.operator.post(link, {"customer": None}))
    await load(w, own["id"], 500, mine)
    assert len(await flags(w)) == 1, "what was flagged stays"
    unknown = await w.operator.post(link, {"customer": "cus_" + "0" * 32})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.row("ATK-11")
async def test_a_refund_of_a_payment_order_is_flagged_too(w: World) -> None:
    person, mine = await customer(w), await cashier(w, "01")
    own = await held_card(w, person)
    await load(w, own["id"], 1_000, await cashier(w, "02"))
    await made(w.operator.post(f"/v1/cashiers/{mine}/link", {"customer": person}))
    source = {"type": "card_number", "number": own["number"], "pin": own["pin"]}
    body = {"amount": 600, "currency": "CNY", "store": w.store}
    tenders = [{"type": "card", "source": source}]
    order = await made(w.merchant.post("/v1/payment-orders", body | {"tenders": tenders}))
    path = f"/v1/payment-orders/{order['id']}/refunds"
    await made(w.merchant.post(path, {"amount": 200, "cashier": mine}))
    assert [(one["deed"], one["amount"], one["cashier"]) for one in await flags(w)] == [
        ("refund", 200, mine)
    ]
