"""Payment orders through the application: a till's split tender."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.world import made

from .make import CART, Shop, by_card, cash, guessed, shop, told, wechat


@pytest.fixture
async def s(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(database_url, tmp_path) as s:
        yield s


@pytest.mark.row("P-16")
async def test_cards_and_cash_make_up_one_sale(s: Shop) -> None:
    a, b = await s.card(3_000), await s.card(5_000)
    order = await s.open(10_000, by_card(a, 3_000), by_card(b, 5_000), cash(2_000))
    assert told(order) == ("captured", 10_000, 10_000, 0)
    assert [(t["type"], t["status"]) for t in order["tenders"]] == [
        ("card", "captured"),
        ("card", "captured"),
        ("cash", "captured"),
    ]
    assert (await s.worth(a), await s.worth(b)) == ((0, 0), (0, 0))
    assert order["invoiceable_amount"] == 2_000
    assert await s.see(order) == order


@pytest.mark.row("P-16")
async def test_after_too_little_on_a_card_the_till_adds_the_next_tender(s: Shop) -> None:
    card = await s.card(3_000)
    order = await s.open(10_000, by_card(card))
    assert told(order) == ("open", 0, 0, 0)
    [declined] = order["tenders"]
    assert (declined["decline_code"], declined["balance_after"]) == ("insufficient_funds", 3_000)
    order = await s.did(order, "tenders", **by_card(card, accept_partial=True))
    assert (order["status"], order["remaining_amount"]) == ("open", 7_000)
    assert await s.worth(card) == (3_000, 0)
    order = await s.did(order, "tenders", **cash())
    assert told(order) == ("captured", 10_000, 10_000, 0)
    assert order["tenders"][2]["captured_amount"] == 7_000
    assert await s.worth(card) == (0, 0)


@pytest.mark.row("P-16")
async def test_a_cancelled_order_undoes_every_tender(s: Shop) -> None:
    a, b = await s.card(3_000), await s.card(5_000)
    order = await s.open(10_000, by_card(a, 3_000), by_card(b, 5_000), cash(1_000))
    assert (await s.worth(a), await s.worth(b)) == ((3_000, 0), (5_000, 0))
    order = await s.did(order, "cancel")
    assert told(order) == ("cancelled", 9_000, 0, 0)
    assert order["due_back_amount"] == 1_000
    assert (await s.worth(a), await s.worth(b)) == ((3_000, 3_000), (5_000, 5_000))


async def test_the_same_day_a_captured_order_is_cancelled_whole(s: Shop) -> None:
    a, b = await s.card(3_000, 200), await s.card(5_000)
    order = await s.open(8_200, by_card(a, 3_200), by_card(b, 4_000), wechat(1_000))
    assert order["status"] == "captured"
    order = await s.did(order, "cancel")
    assert told(order) == ("cancelled", 8_200, 0, 0)
    assert order["due_back_amount"] == 1_000
    assert (await s.parts(a), await s.worth(b)) == ((3_000, 200), (5_000, 5_000))


@pytest.mark.row("P-16")
async def test_what_nobody_finishes_is_swept(s: Shop) -> None:
    card = await s.card(3_000)
    order = await s.open(10_000, by_card(card, 3_000), cash(500))
    await s.later(CART - CART / 1_000)
    assert (await s.see(order))["status"] == "open"
    await s.later(CART / 1_000)
    order = await s.see(order)
    assert told(order) == ("expired", 3_500, 0, 0)
    assert (order["due_back_amount"], order["expires_at"]) == (500, None)
    assert await s.worth(card) == (3_000, 3_000)
    late = await s.ask(order, "tenders", **cash(1))
    assert (late.status_code, late.json()["code"]) == (409, "payment_order_state_forbids")


async def test_over_and_not_yet_swept_is_over(s: Shop) -> None:
    order = await s.open(1_000, cash(500), capture=False)
    s.w.clock.advance(CART)
    for verb, body in (("tenders", cash(500)), ("capture", {})):
        late = await s.ask(order, verb, **body)
        assert (late.status_code, late.json()["code"]) == (422, "payment_order_over")


async def test_nothing_over_what_is_left(s: Shop) -> None:
    card = await s.card(9_000)
    order = await s.open(5_000, cash(1_000))
    over = await s.ask(order, "tenders", **by_card(card, 4_001))
    assert (over.status_code, over.json()["code"]) == (422, "exceeds_payment_order")
    whole = await s.w.merchant.post("/v1/payment-orders", s.body(5_000, cash(5_000), by_card(card)))
    assert (whole.status_code, whole.json()["code"]) == (422, "exceeds_payment_order")
    early = await s.w.merchant.post("/v1/payment-orders", s.body(5_000, by_card(card), cash(1)))
    assert (early.status_code, early.json()["code"]) == (422, "invalid")
    incomplete = await s.ask(order, "capture")
    assert (incomplete.status_code, incomplete.json()["code"]) == (422, "payment_order_incomplete")
    assert await s.worth(card) == (9_000, 9_000)


async def test_the_same_key_gets_the_same_answer(s: Shop) -> None:
    card = await s.card(3_000)
    body = s.body(2_000, by_card(card))
    first = await s.w.merchant.post("/v1/payment-orders", body, "one")
    again = await s.w.merchant.post("/v1/payment-orders", body, "one")
    assert (first.status_code, first.content) == (201, again.content)
    wrong = await s.w.merchant.post("/v1/payment-orders", s.body(2_000, guessed(card)), "one")
    assert wrong.content == first.content, "another PIN must not tell right from wrong"
    other = await s.w.merchant.post("/v1/payment-orders", s.body(2_001, by_card(card)), "one")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert await s.worth(card) == (1_000, 1_000)


@pytest.mark.row("ATK-3")
async def test_wrong_pins_are_counted_also_between_other_tenders(s: Shop) -> None:
    card = await s.card(3_000)
    for _ in range(3):
        order = await s.open(2_000, cash(500), guessed(card, 1_000), cash(500))
        declined = order["tenders"][1]
        assert declined["decline_code"] == "card_not_accepted"
        assert (declined["card"], declined["balance_after"], declined["rule"]) == (None, None, None)
    locked = await s.open(1_000, by_card(card))
    assert locked["tenders"][0]["decline_code"] == "card_not_accepted"
    await s.later(CART)


async def test_a_tender_is_touched_by_its_order_alone(s: Shop) -> None:
    card = await s.card(3_000)
    order = await s.open(4_000, by_card(card, 2_000))
    payment = order["tenders"][0]["payment"]
    for path, body in (
        (f"/v1/payments/{payment}/capture", {}),
        (f"/v1/payments/{payment}/void", {}),
        (f"/v1/payments/{payment}/refunds", {}),
        ("/v1/reversals", {"original": {"payment": payment}}),
        ("/v1/reversals", {"original": {"idempotency_key": payment.removeprefix("pay_")}}),
    ):
        refused = await s.w.merchant.post(path, body)
        assert (path, refused.status_code, refused.json()["code"]) == (
            path,
            409,
            "payment_of_an_order",
        )
    shown = (await s.w.merchant.get(f"/v1/payments/{payment}")).json()
    assert (shown["status"], shown["expires_at"]) == ("authorized", None)
    assert shown["metadata"] == {"payment_order": order["id"]}
    await s.did(order, "cancel")


async def test_as_many_tenders_as_policy_allows(s: Shop) -> None:
    order = await s.open(1_000, *[cash(1)] * 20)
    more = await s.ask(order, "tenders", **cash(1))
    assert (more.status_code, more.json()["code"], more.json()["rule"]) == (
        422,
        "too_many_tenders",
        "P-16",
    )
    many = await s.w.merchant.post("/v1/payment-orders", s.body(1_000, *[cash(1)] * 21))
    assert many.json()["code"] == "too_many_tenders"


async def test_found_by_reference_and_status(s: Shop) -> None:
    one = await s.open(100, cash(), reference="r-1")
    two = await s.open(100, reference="r-1")
    listed = (await s.w.merchant.get("/v1/payment-orders", reference="r-1")).json()["data"]
    assert [o["id"] for o in listed] == [two["id"], one["id"]]
    page = (await s.w.merchant.get("/v1/payment-orders", limit=1)).json()
    rest = await s.w.merchant.get("/v1/payment-orders", limit=1, cursor=page["next_cursor"])
    assert [o["id"] for o in page["data"] + rest.json()["data"]] == [two["id"], one["id"]]
    listed = (await s.w.merchant.get("/v1/payment-orders", status="open")).json()["data"]
    assert [o["id"] for o in listed] == [two["id"]]


@pytest.mark.row("P-14", "P-16")
async def test_a_pay_code_stays_with_its_order(s: Shop) -> None:
    card = await s.card(3_000)
    made_ = await made(s.w.merchant.post("/v1/pay-codes", {"card": card["id"]}))
    code = {"type": "card", "source": {"type": "pay_code", "code": made_["code"]}}
    order = await s.open(5_000, code)
    assert order["tenders"][0]["decline_code"] == "insufficient_funds"
    other = await s.open(100, code)
    [refused] = other["tenders"]
    assert (refused["decline_code"], refused["card"]) == ("pay_code_used", None)
    order = await s.did(order, "tenders", **code, accept_partial=True)
    assert (order["status"], order["remaining_amount"]) == ("open", 2_000)
    again = await s.did(order, "tenders", **code, amount=100)
    assert again["tenders"][2]["decline_code"] == "insufficient_funds"
    assert told(await s.did(order, "tenders", **cash())) == ("captured", 5_000, 5_000, 0)
    assert await s.worth(card) == (0, 0)
