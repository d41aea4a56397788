"""Shop orders: held at checkout, captured on dispatch, frozen on an exception."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from .make import CART, Shop, by_card, cash, shop, told, wechat

FREEZE = timedelta(minutes=30)


@pytest.fixture
async def s(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(database_url, tmp_path) as s:
        yield s


@pytest.mark.row("P-06", "ruling 20")
async def test_held_at_checkout_and_captured_on_dispatch(s: Shop) -> None:
    card = await s.card(8_000)
    order = await s.open(10_000, wechat(2_000), by_card(card), capture=False)
    assert (order["status"], order["remaining_amount"]) == ("open", 0)
    assert await s.worth(card) == (8_000, 0)
    first = await s.did(order, "capture", amount=5_000, final=False)
    assert told(first) == ("partially_captured", 10_000, 5_000, 0)
    assert [t["captured_amount"] for t in first["tenders"]] == [2_000, 3_000]
    assert await s.worth(card) == (5_000, 0)
    over = await s.ask(order, "capture", amount=5_001)
    assert (over.status_code, over.json()["code"]) == (422, "exceeds_payment_order")
    last = await s.did(order, "capture", amount=1_000)
    assert told(last) == ("captured", 10_000, 6_000, 0)
    assert await s.worth(card) == (4_000, 4_000)


@pytest.mark.row("P-06")
async def test_what_was_paid_outside_and_not_sent_is_due_back(s: Shop) -> None:
    card = await s.card(8_000)
    order = await s.open(10_000, by_card(card, 8_000), wechat(2_000), capture=False)
    order = await s.did(order, "capture", amount=500)
    assert told(order) == ("captured", 10_000, 500, 0)
    assert order["due_back_amount"] == 1_500
    assert [t["status"] for t in order["tenders"]] == ["released", "captured"]
    assert await s.worth(card) == (8_000, 8_000)


@pytest.mark.row("P-06")
async def test_the_rest_is_released_on_request_or_when_time_is_over(s: Shop) -> None:
    cards = [await s.card(8_000) for _ in range(2)]
    orders = [await s.open(8_000, by_card(card), capture=False) for card in cards]
    for order in orders:
        await s.did(order, "capture", amount=3_000, final=False)
    released = await s.did(orders[0], "release")
    assert told(released) == ("captured", 8_000, 3_000, 0)
    await s.later(CART)
    assert told(await s.see(orders[1])) == ("captured", 8_000, 3_000, 0)
    for card in cards:
        assert await s.worth(card) == (5_000, 5_000)
    again = await s.ask(orders[0], "release")
    assert (again.status_code, again.json()["code"]) == (409, "payment_order_state_forbids")


@pytest.mark.row("P-06", "ruling 20")
async def test_a_programme_says_how_long_its_holds_last(database_url: str, tmp_path: Path) -> None:
    async with shop(database_url, tmp_path, limits={"hold.cart_minutes": 3 * 24 * 60}) as s:
        long = await s.card(5_000)
        order = await s.open(5_000, by_card(long), capture=False)
        await s.later(timedelta(days=3, seconds=-1))
        assert (await s.see(order))["status"] == "open"
        assert (await s.did(order, "capture"))["status"] == "captured"


@pytest.mark.row("P-06", "ruling 20")
async def test_a_frozen_order_neither_moves_nor_expires(s: Shop) -> None:
    card = await s.card(8_000)
    order = await s.open(8_000, by_card(card), capture=False)
    await s.later(timedelta(minutes=20))
    frozen = await s.did(order, "freeze", reason="address unknown")
    assert (frozen["frozen"], frozen["freeze_reason"]) == (True, "address unknown")
    for verb in ("capture", "cancel", "release"):
        refused = await s.ask(order, verb)
        assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
            409,
            "payment_order_frozen",
            "ruling 20",
        )
    await s.later(FREEZE - timedelta(seconds=1))
    assert (await s.see(order))["frozen"] is True
    await s.later(timedelta(seconds=1))
    thawed = await s.see(order)
    assert (thawed["frozen"], thawed["status"]) == (False, "open")
    # Ten minutes were left when it was frozen, and ten minutes are left now.
    await s.later(timedelta(minutes=10, seconds=-1))
    assert (await s.see(order))["status"] == "open"
    await s.later(timedelta(seconds=1))
    assert (await s.see(order))["status"] == "expired"
    assert await s.worth(card) == (8_000, 8_000)


@pytest.mark.row("P-06", "ruling 20")
async def test_an_unknown_outcome_is_never_released_by_itself(s: Shop) -> None:
    card = await s.card(8_000)
    order = await s.open(10_000, by_card(card, 8_000), capture=False)
    await s.did(order, "freeze", reason="wechat did not answer", outcome_unknown=True)
    await s.later(timedelta(days=60))
    kept = await s.see(order)
    assert (kept["status"], kept["frozen"]) == ("open", True)
    assert await s.worth(card) == (8_000, 0)
    await s.did(order, "unfreeze")
    order = await s.did(order, "tenders", **wechat(2_000))
    assert told(await s.did(order, "capture")) == ("captured", 10_000, 10_000, 0)


@pytest.mark.row("P-06")
async def test_settled_a_day_after_its_capture_unless_frozen(s: Shop) -> None:
    card = await s.card(8_000)
    orders = [await s.open(1_000, by_card(card)) for _ in range(2)]
    await s.did(orders[1], "freeze", reason="dispute", outcome_unknown=True)
    await s.later(timedelta(hours=13))
    assert (await s.see(orders[0]))["settled_on"] is None
    await s.later(timedelta(hours=1))
    assert (await s.see(orders[0]))["settled_on"] == "2026-11-23"
    assert (await s.see(orders[1]))["settled_on"] is None
    late = await s.ask(orders[0], "freeze", reason="late")
    assert (late.status_code, late.json()["code"]) == (409, "payment_order_state_forbids")
    await s.did(orders[1], "unfreeze")
    await s.later(timedelta(seconds=1))
    assert (await s.see(orders[1]))["settled_on"] == "2026-11-23"


async def test_only_what_is_frozen_is_unfrozen(s: Shop) -> None:
    order = await s.open(1_000, cash(500))
    refused = await s.ask(order, "unfreeze")
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_order_state_forbids")
    await s.did(order, "freeze", reason="one")
    again = await s.did(order, "freeze", reason="two", outcome_unknown=True)
    assert (again["freeze_reason"], again["outcome_unknown"]) == ("two", True)
    assert (await s.did(order, "unfreeze"))["expires_at"] == order["expires_at"]
