"""Value set aside first and taken later: in part, in several parts, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from .world import Actors

pytestmark = pytest.mark.row("P-06")


def told(payment: Any) -> tuple[str, int, int]:
    return payment["status"], payment["captured_amount"], payment["balance_after"]


async def test_a_hold_sets_aside_and_spends_nothing(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    assert told(hold) == ("authorized", 0, 4_000)
    assert hold["approved_amount"] == 6_000
    assert hold["expires_at"] > hold["created_at"]
    assert await actors.balance(card) == (10_000, 4_000)
    over = await actors.pay(card, 4_001)
    assert (over["decline_code"], over["balance_after"]) == ("insufficient_funds", 4_000)
    assert (await actors.paid(card, 4_000))["balance_after"] == 0


async def test_the_whole_is_taken(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    captured = await actors.act(hold, "capture")
    assert captured.status == 200
    assert told(captured.json) == ("captured", 6_000, 4_000)
    assert await actors.balance(card) == (4_000, 4_000)
    assert [a["type"] for a in await actors.activities(card)] == ["load", "hold", "capture"]


async def test_a_part_is_taken_and_the_rest_set_free(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    captured = await actors.act(hold, "capture", amount=2_500)
    assert told(captured.json) == ("captured", 2_500, 7_500)
    assert await actors.balance(card) == (7_500, 7_500)
    again = await actors.act(hold, "capture", amount=1)
    assert (again.status, again.code) == (409, "payment_state_forbids")


async def test_several_parts_and_a_last_one(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    first = await actors.act(hold, "capture", amount=1_000, final=False)
    assert told(first.json) == ("partially_captured", 1_000, 4_000)
    second = await actors.act(hold, "capture", amount=2_000, final=False)
    assert told(second.json) == ("partially_captured", 3_000, 4_000)
    assert await actors.balance(card) == (7_000, 4_000)
    last = await actors.act(hold, "capture", amount=500, final=True)
    assert told(last.json) == ("captured", 3_500, 6_500)
    assert await actors.balance(card) == (6_500, 6_500)


async def test_the_last_fen_ends_the_hold(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    await actors.act(hold, "capture", amount=5_999, final=False)
    last = await actors.act(hold, "capture", amount=1, final=False)
    assert told(last.json) == ("captured", 6_000, 4_000)


@pytest.mark.parametrize("amount", [6_001, 2**53 - 1])
async def test_never_more_than_was_set_aside(actors: Actors, amount: int) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    reply = await actors.act(hold, "capture", amount=amount)
    assert (reply.status, reply.code) == (422, "amount_exceeds_remaining")
    assert await actors.merchant.got(f"/v1/payments/{hold['id']}") == hold
    assert await actors.balance(card) == (10_000, 4_000)


async def test_a_hold_is_set_free_by_a_void(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    voided = await actors.act(hold, "void")
    assert told(voided.json) == ("voided", 0, 10_000)
    assert await actors.balance(card) == (10_000, 10_000)
    late = await actors.act(hold, "capture")
    assert (late.status, late.code) == (409, "payment_state_forbids")


async def test_a_void_also_gives_back_what_was_taken_in_part(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    await actors.act(hold, "capture", amount=1_000, final=False)
    voided = await actors.act(hold, "void")
    assert told(voided.json) == ("voided", 0, 10_000)
    assert await actors.balance(card) == (10_000, 10_000)


async def test_a_hold_can_be_for_a_part(actors: Actors) -> None:
    card = await actors.card(1_000)
    hold = await actors.held(card, 1_500, accept_partial=True)
    assert (hold["approved_amount"], hold["balance_after"]) == (1_000, 0)
    assert told((await actors.act(hold, "capture")).json) == ("captured", 1_000, 0)


async def test_a_hold_outlives_a_freeze(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "risk"})
    assert (await actors.pay(card, 1))["decline_code"] == "card_frozen"
    assert told((await actors.act(hold, "capture", amount=4_000)).json)[0] == "captured"
    assert (await actors.see(card))["balance"] == 6_000


async def test_a_captured_hold_is_refunded_like_any_payment(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    await actors.act(hold, "capture", amount=5_000)
    refund = await actors.act(hold, "refunds", amount=5_000)
    assert (refund["amount"], refund["payment"]["refunded_amount"]) == (5_000, 5_000)
    over = await actors.act(hold, "refunds", amount=1)
    assert (over.status, over.code) == (422, "amount_exceeds_remaining")


async def test_a_plain_payment_has_nothing_to_capture(actors: Actors) -> None:
    paid = await actors.paid(await actors.card(1_000), 500)
    reply = await actors.act(paid, "capture")
    assert (reply.status, reply.code) == (409, "payment_state_forbids")
