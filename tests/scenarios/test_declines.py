"""Why a payment is declined, and to whom it is told: only to who has the right secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .http import Reply
from .world import Actors, Card, everywhere, programme


async def frozen(actors: Actors, card: Card) -> None:
    await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "dispute"})


async def lost(actors: Actors, card: Card) -> None:
    await actors.operator.made(
        f"/v1/cards/{card.id}/report-loss",
        {"claim": {"type": "possession", "source": card.by_number}},
    )


async def closed(actors: Actors, card: Card) -> None:
    await actors.paid(card, 1_000)
    await actors.operator.made(
        f"/v1/cards/{card.id}/close", {"claim": {"type": "possession", "source": card.by_number}}
    )


@pytest.mark.row("P-10", "P-15")
@pytest.mark.parametrize(
    ("befalls", "code", "rule", "left"),
    [
        (frozen, "card_frozen", "P-10", 1_000),
        (lost, "card_lost", "P-15", 1_000),
        (closed, "card_closed", "P-10", 0),
    ],
)
async def test_a_stopped_card_is_told_after_the_right_secret_only(
    actors: Actors,
    befalls: Callable[[Actors, Card], Awaitable[None]],
    code: str,
    rule: str,
    left: int,
) -> None:
    card = await actors.card(1_000)
    await befalls(actors, card)
    told = await actors.pay(card, 1)
    assert (told["decline_code"], told["rule"], told["balance_after"]) == (code, rule, left)
    assert told["card"]["id"] == card.id
    guess = await actors.pay(card.guessed, 1)
    assert (guess["decline_code"], guess["rule"], guess["card"]) == (
        "card_not_accepted",
        None,
        None,
    )
    asked = await actors.inquire(card)
    assert (asked.status, asked["card_status"]) == (200, code.removeprefix("card_"))
    assert (await actors.inquire(card.guessed)).code == "card_not_accepted"


@pytest.mark.row("P-10")
async def test_more_than_one_payment_may_be(actors: Actors) -> None:
    """The order of the checks: state, limits, money."""
    card = await actors.card(1_000)
    over = await actors.pay(card, 500_001)
    assert (over["decline_code"], over["rule"]) == ("over_single_limit", "P-10")
    assert (await actors.pay(card, 500_000))["decline_code"] == "insufficient_funds"


@pytest.mark.row("L-12")
async def test_a_store_outside_the_group_is_refused(actors: Actors) -> None:
    card = await actors.card(1_000)
    outside = actors.world.outside
    there = {"store": outside.id, "terminal": outside.terminal, "cashier": outside.cashier}
    reply = await actors.stranger.post("/v1/payments", actors.pay_body(card, 100, **there))
    assert (reply.status, reply["decline_code"], reply["rule"]) == (
        201,
        "store_outside_group",
        "CX8",
    )
    guess = await actors.stranger.post("/v1/payments", actors.pay_body(card.guessed, 100, **there))
    assert guess["decline_code"] == "card_not_accepted"
    daughter = actors.world.east
    there = {"store": daughter.id, "terminal": daughter.terminal, "cashier": None}
    assert (await actors.paid(card, 100, **there))["balance_after"] == 900


async def test_a_closed_store_takes_no_cards(actors: Actors) -> None:
    card = await actors.card(1_000)
    store = await actors.operator.made(
        "/v1/stores",
        {"company": actors.world.founded.group, "name": "gone", "code": f"g{card.id[-8:]}"},
    )
    await actors.operator.made(f"/v1/stores/{store['id']}/close", {})
    reply = await everywhere(
        lambda: actors.pay(card, 1, store=store["id"], terminal=None, cashier=None),
        lambda reply: reply.status == 201 and reply["status"] == "declined",
    )
    assert reply["decline_code"] == "store_closed"


@pytest.mark.row("R-06", "T-22", "P-02")
async def test_payments_are_stopped_at_once_and_released_by_two_people(actors: Actors) -> None:
    stoppable = await programme(actors.operator, actors.world.founded.group)
    card = await actors.card(1_000, programme=stoppable)
    other = await actors.card(1_000)
    await actors.paid(card, 1)
    wanted = {"switch": "stop_pay", "programme": stoppable, "reason": "drill"}
    stop = await actors.operator.post("/v1/switches", wanted)
    assert stop.status == 201, repr(stop)
    reply = await everywhere(lambda: actors.pay(card, 1), _declined)
    assert reply["decline_code"] == "payments_stopped"
    assert reply["rule"] == stop["rule"]
    assert (await actors.pay(card.guessed, 1))["decline_code"] == "card_not_accepted"
    await actors.paid(other, 1)  # nobody else is touched
    asked = await actors.operator.made("/v1/switches/release", wanted | {"reason": "over"})
    own = await actors.operator.post(f"/v1/approvals/{asked['approval']}/approve", {})
    assert own.status == 403
    await actors.approver.made(f"/v1/approvals/{asked['approval']}/approve", {})
    await everywhere(lambda: actors.pay(card, 1), lambda reply: not _declined(reply))


def _declined(reply: Reply) -> bool:
    return bool(reply["status"] == "declined")


# A stripe with a PIN


async def test_half_the_secret_tells_nothing(actors: Actors) -> None:
    card = await actors.card(1_000, programme=actors.world.swipe)
    half = await actors.pay(card.by_track, 100)
    assert (half["decline_code"], half["rule"]) == ("pin_required", "P-07")
    assert half["balance_after"] is None
    await frozen(actors, card)
    assert (await actors.pay(card.by_track, 100))["decline_code"] == "pin_required"
    whole = await actors.pay(card.by_track | {"pin": card.pin}, 100)
    assert (whole["decline_code"], whole["balance_after"]) == ("card_frozen", 1_000)
    assert (await actors.inquire(card.by_track)).code == "card_not_accepted"


async def test_a_swipe_with_its_pin_pays(actors: Actors) -> None:
    card = await actors.card(1_000, programme=actors.world.swipe)
    paid = await actors.paid(card.by_track | {"pin": card.pin}, 100)
    assert paid["balance_after"] == 900
    wrong = await actors.pay(card.by_track | {"pin": card.guessed["pin"]}, 100)
    assert wrong["decline_code"] == "card_not_accepted"


# Nothing of a decline moves money


async def test_a_decline_is_kept_and_moves_nothing(actors: Actors) -> None:
    card = await actors.card(1_000)
    declined = (await actors.pay(card, 2_000, reference="too-much")).json
    seen: Any = await actors.merchant.got(f"/v1/payments/{declined['id']}")
    assert seen == declined
    assert (seen["captured_amount"], seen["approved_amount"]) == (0, 0)
    assert len(await actors.activities(card)) == 1
