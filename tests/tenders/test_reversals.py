"""A reversal by the key of a payment order undoes all of it, also before it has come (F-7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.world import made

from .make import Shop, by_card, cash, shop, told

WINDOW = timedelta(hours=72)


@pytest.fixture
async def s(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(database_url, tmp_path) as s:
        yield s


@pytest.mark.row("P-19", "P-16")
@pytest.mark.parametrize("captured", [True, False])
async def test_all_tenders_are_undone_once(s: Shop, captured: bool) -> None:
    a, b = await s.card(3_000, 500), await s.card(2_000)
    tenders = (by_card(a, 3_200), cash(800), by_card(b, 1_000))
    order = await s.open(5_000, *tenders, capture=captured, key="sale")
    undone = await made(s.reverse("sale", "undo"))
    assert (undone["status"], undone["amount"]) == ("reversed", 5_000)
    assert (undone["payment"], undone["payment_order"]) == (None, order["id"])
    shown = await s.see(order)
    assert told(shown) == ("cancelled", 5_000, 0, 0)
    assert shown["due_back_amount"] == 800
    assert await s.parts(a) == (3_000, 500)
    assert await s.worth(b) == (2_000, 2_000)
    assert await made(s.reverse("sale", "undo")) == undone
    again = await made(s.reverse("sale"))
    assert (again["status"], again["amount"]) == ("reversed", 0)
    assert (
        await made(
            s.w.merchant.post(
                "/v1/payment-orders", s.body(5_000, *tenders, capture=captured), "sale"
            )
        )
        == order
    )
    paid = await s.w.pay(a, 100)
    assert paid["status"] == "captured", "no payment's key was barred"


@pytest.mark.row("P-19")
async def test_an_order_that_comes_after_its_reversal_is_refused(s: Shop) -> None:
    card = await s.card(3_000)
    assert (await made(s.reverse("late")))["status"] == "barred"
    body = s.body(1_000, by_card(card))
    for _ in range(2):
        late = await s.w.merchant.post("/v1/payment-orders", body, "late")
        assert (late.status_code, late.json()["code"]) == (409, "idempotency_key_barred")
    assert await s.worth(card) == (3_000, 3_000)
    order = await s.open(1_000, cash(100))
    tender = await s.ask(order, "tenders", "late", **by_card(card))
    assert tender.json()["code"] == "idempotency_key_barred"
    assert (await made(s.reverse("late")))["status"] == "barred"


@pytest.mark.row("P-19")
async def test_an_order_at_work_is_undone_or_refused(s: Shop) -> None:
    """Whichever comes first, and however they meet: never half of it."""
    card = await s.card(10_000)
    for n in range(12):
        body = s.body(1_000, by_card(card, 900), cash())
        sale = s.w.merchant.post("/v1/payment-orders", body, f"race-{n}")
        first = (sale, s.reverse(f"race-{n}")) if n % 2 else (s.reverse(f"race-{n}"), sale)
        answers = await asyncio.gather(*first)
        undone = next(a.json() for a in answers if "payment_order" in a.json())
        opened = next(a.json() for a in answers if "payment_order" not in a.json())
        if undone["status"] == "barred":
            assert opened["code"] == "idempotency_key_barred"
        else:
            assert opened["id"] == undone["payment_order"]
        assert await s.worth(card) == (10_000, 10_000)


@pytest.mark.row("P-19")
async def test_reversals_at_once_undo_it_once(s: Shop) -> None:
    card = await s.card(3_000)
    await s.open(1_000, by_card(card), key="sale")
    keys = ["one", "one", "one", "two", "three"]
    answers = await asyncio.gather(*(made(s.reverse("sale", key)) for key in keys))
    assert {a["status"] for a in answers} == {"reversed"}
    assert answers[0] == answers[1] == answers[2]
    assert sorted(a["amount"] for a in answers[2:]) == [0, 0, 1_000]
    assert await s.worth(card) == (3_000, 3_000)


@pytest.mark.row("P-19")
async def test_a_key_of_a_later_verb_is_told(s: Shop) -> None:
    card = await s.card(3_000)
    order = await s.open(1_000, cash(100))
    await made(s.ask(order, "tenders", "added", **by_card(card)))
    await made(s.ask(order, "refunds", "back", amount=10))
    for key in ("added", "back"):
        refused = await s.reverse(key)
        assert (refused.status_code, refused.json()["code"]) == (409, "key_of_another_verb")
    assert told(await s.see(order)) == ("captured", 1_000, 1_000, 10)


async def test_what_cannot_be_undone_is_refused(s: Shop) -> None:
    card = await s.card(3_000)
    refunded = await s.open(1_000, by_card(card), key="refunded")
    await s.did(refunded, "refunds", amount=1)
    frozen = await s.open(500, by_card(card), key="frozen")
    await s.did(frozen, "freeze", reason="why")
    for key, code in (("refunded", "later_activity"), ("frozen", "payment_order_frozen")):
        refused = await s.reverse(key)
        assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert await s.worth(card) == (1_501, 1_501)


async def test_the_window_is_that_of_payments(s: Shop) -> None:
    card = await s.card(3_000)
    await s.open(1_000, by_card(card), key="in-time")
    await s.open(1_000, by_card(card), key="late")
    s.w.clock.advance(WINDOW)
    assert (await made(s.reverse("in-time")))["status"] == "reversed"
    s.w.clock.advance(timedelta(microseconds=1))
    late = await s.reverse("late")
    assert (late.status_code, late.json()["code"]) == (422, "reversal_window_over")
    assert late.json()["rule"] == "P-19"
    assert await s.worth(card) == (2_000, 2_000)


async def test_orders_of_other_stores_are_not_undone(s: Shop) -> None:
    """A company's keys share its Idempotency-Keys, not its stores."""
    order = await s.open(1_000, cash(), key="theirs")
    body = {"original": {"idempotency_key": "theirs"}}
    barred = await made(s.w.by("visiting-merchant").post("/v1/reversals", body))
    assert barred["status"] == "barred", "of another company, it is another key"
    assert told(await s.see(order)) == ("captured", 1_000, 1_000, 0)
