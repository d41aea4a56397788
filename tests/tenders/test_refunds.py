"""Refunds of payment orders: each tender gets back at most what it gave, as it gave it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.app.world import made

from .make import Shop, by_card, cash, shop, told, wechat


@pytest.fixture
async def s(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(database_url, tmp_path) as s:
        yield s


def parts(refund: dict[str, Any]) -> list[tuple[str, int]]:
    return [(part["destination"], part["amount"]) for part in refund["parts"]]


@pytest.mark.row("CR-20")
async def test_cards_get_theirs_first_and_cash_the_rest(s: Shop) -> None:
    a, b = await s.card(3_000), await s.card(2_000)
    order = await s.open(10_000, cash(4_000), by_card(a, 3_000), by_card(b, 2_000), wechat(1_000))
    first = await s.did(order, "refunds", amount=4_000)
    assert parts(first) == [("card", 3_000), ("card", 1_000)]
    second = await s.did(order, "refunds", amount=5_500)
    assert parts(second) == [("cash", 4_000), ("card", 1_000), ("channel", 500)]
    rest = await s.did(order, "refunds")
    assert parts(rest) == [("channel", 500)]
    assert rest["parts"][0]["refund"] is None
    order = await s.see(order)
    assert told(order) == ("captured", 10_000, 10_000, 10_000)
    assert (order["due_back_amount"], order["invoiceable_amount"]) == (5_000, 0)
    assert (await s.worth(a), await s.worth(b)) == ((3_000, 3_000), (2_000, 2_000))
    listed = (await s.w.merchant.get(f"/v1/payment-orders/{order['id']}/refunds")).json()["data"]
    assert listed == [first, second, rest]


async def test_bonus_goes_back_to_bonus(s: Shop) -> None:
    card = await s.card(1_000, 600)
    order = await s.open(2_000, by_card(card, 1_500), cash())
    spent = await s.parts(card)
    await s.did(order, "refunds", amount=100)
    await s.did(order, "refunds", amount=1_400)
    assert spent == (100, 0)
    assert await s.parts(card) == (1_000, 600)


async def test_never_more_than_was_captured(s: Shop) -> None:
    card = await s.card(3_000)
    order = await s.open(3_000, by_card(card), capture=False)
    early = await s.ask(order, "refunds", amount=1)
    assert (early.status_code, early.json()["code"]) == (409, "payment_order_state_forbids")
    await s.did(order, "capture", amount=2_000)
    over = await s.ask(order, "refunds", amount=2_001)
    assert (over.status_code, over.json()["code"]) == (422, "exceeds_payment_order")
    await s.did(order, "refunds", amount=2_000)
    for amount in ({}, {"amount": 1}):
        none = await s.ask(order, "refunds", **amount)
        assert (none.status_code, none.json()["code"]) == (422, "exceeds_payment_order")
    assert await s.worth(card) == (3_000, 3_000)


async def test_a_refunded_order_is_not_cancelled(s: Shop) -> None:
    order = await s.open(1_000, cash())
    await s.did(order, "refunds", amount=1)
    refused = await s.ask(order, "cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "later_activity")


async def test_the_next_day_it_is_refunded_and_not_cancelled(s: Shop) -> None:
    card = await s.card(1_000)
    order = await s.open(1_500, by_card(card, 1_000), cash())
    await s.later(timedelta(days=1))
    refused = await s.ask(order, "cancel")
    assert (refused.status_code, refused.json()["code"]) == (422, "void_window_over")
    assert told(await s.see(order)) == ("captured", 1_500, 1_500, 0)
    assert parts(await s.did(order, "refunds")) == [("card", 1_000), ("cash", 500)]


async def test_cash_alone_is_not_cancelled_for_ever(s: Shop) -> None:
    same_day, next_day = await s.open(700, cash()), await s.open(700, cash())
    assert told(await s.did(same_day, "cancel")) == ("cancelled", 700, 0, 0)
    settles = await s.open(700, cash(), capture=False)
    await s.did(settles, "capture", amount=300, final=False)
    await s.later(timedelta(days=1))
    for order in (next_day, settles):
        refused = await s.ask(order, "cancel")
        assert (refused.status_code, refused.json()["code"]) == (422, "void_window_over")
        assert refused.json()["rule"] == "MF-07"
    assert told(await s.see(next_day)) == ("captured", 700, 700, 0)


@pytest.mark.row("ruling 19")
async def test_what_fits_no_card_waits_in_suspense(s: Shop) -> None:
    card = await s.card(100_000)
    order = await s.open(60_000, by_card(card, 50_000), cash())
    await s.w.top_up(card["id"], 50_000)
    refund = await s.did(order, "refunds", amount=40_000)
    assert parts(refund) == [("suspense", 40_000)]
    assert await s.worth(card) == (100_000, 100_000)


@pytest.mark.row("ATK-11")
async def test_the_back_office_refunds_below_a_sum(s: Shop) -> None:
    order = await s.open(150_000, by_card(await s.card(60_000), 60_000), cash())
    path = f"/v1/payment-orders/{order['id']}/refunds"
    for amount, status in ((100_000, 422), (99_999, 200), (1, 422)):
        answer = await s.w.operator.post(path, {"amount": amount})
        assert answer.status_code == status, answer.text
        if status == 422:
            assert (answer.json()["code"], answer.json()["rule"]) == ("approval_needed", "ATK-11")
    assert (await s.ask(order, "refunds")).status_code == 200, "a till's key may"


@pytest.mark.row("ATK-11")
async def test_two_persons_refund_more(s: Shop) -> None:
    card = await s.card(60_000)
    order = await s.open(150_000, by_card(card, 60_000), cash())
    path = f"/v1/payment-orders/{order['id']}/refund-requests"
    why = {"reason": "goods are back"}
    over = await s.w.operator.post(path, why | {"amount": 150_001})
    assert over.json()["code"] == "exceeds_payment_order"
    asked = await made(s.w.operator.post(path, why))
    assert (asked["kind"], asked["payload"]) == (
        "order_refund",
        {"payment_order": order["id"], "amount": 150_000},
    )
    late = await made(s.w.operator.post(path, why))
    assert told(await s.see(order)) == ("captured", 150_000, 150_000, 0)
    own = await s.w.operator.post(f"/v1/approvals/{asked['id']}/approve")
    assert own.status_code == 403, "nobody agrees to the own request"
    done = await made(s.w.approve(asked["id"]))
    assert (done["state"], done["result"]["amount"]) == ("executed", 150_000)
    assert done["result"]["due_back"] == 90_000
    assert told(await s.see(order)) == ("captured", 150_000, 150_000, 150_000)
    assert await s.worth(card) == (60_000, 60_000)
    twice = await s.w.approve(late["id"])
    assert twice.json()["code"] == "exceeds_payment_order"
    assert (await s.w.operator.post(path, why)).json()["code"] == "exceeds_payment_order"


async def crew(s: Shop) -> tuple[str, dict[str, str]]:
    """A cashier, and what a supervisor says to allow something."""
    people = []
    for code, role in (("01", "cashier"), ("90", "supervisor")):
        body = {"store": s.w.store, "code": code, "name": "李四", "role": role}
        people.append((await made(s.w.operator.post("/v1/cashiers", body)))["id"])
    cashier, boss = people
    pin = (await made(s.w.operator.post(f"/v1/cashiers/{boss}/pin")))["pin"]
    asks = {"store": s.w.store, "cashier": cashier, "supervisor": boss, "pin": pin}
    return cashier, asks


@pytest.mark.row("ATK-11")
async def test_a_cashier_takes_a_supervisor(s: Shop) -> None:
    cashier, asks = await crew(s)
    order, other = await s.open(60_000, cash()), await s.open(60_000, cash())

    async def allowed(verb: str, amount: int) -> str:
        body = asks | {"verb": verb, "subject": order["id"], "amount": amount}
        return str((await made(s.w.merchant.post("/v1/overrides", body)))["id"])

    piece = await s.ask(order, "refunds", "piece", amount=49_999, cashier=cashier)
    assert piece.status_code == 200
    more = await s.ask(order, "refunds", amount=1, cashier=cashier)
    assert (more.status_code, more.json()["code"]) == (422, "override_needed")
    again = await s.ask(order, "refunds", "piece", amount=49_999, cashier=cashier)
    assert again.json() == piece.json(), "a repetition is answered"
    given = await allowed("refund", 1)
    wrong = await s.ask(other, "refunds", cashier=cashier, override=given)
    assert wrong.json()["code"] == "override_not_valid"
    assert parts(await s.did(order, "refunds", amount=1, cashier=cashier, override=given))
    s.w.clock.advance(timedelta(minutes=31))
    order = other
    late = await s.ask(order, "cancel", cashier=cashier)
    assert (late.status_code, late.json()["code"]) == (422, "override_needed")
    given = await allowed("void", 60_000)
    done = await s.did(order, "cancel", cashier=cashier, override=given)
    assert done["status"] == "cancelled"
