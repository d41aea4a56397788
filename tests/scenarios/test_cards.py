"""A card's life over HTTP, and what it means at the till."""

from __future__ import annotations

from typing import Any

import pytest

from .world import Actors, Card


def possession(card: Card) -> dict[str, Any]:
    return {"claim": {"type": "possession", "source": card.by_number}}


def held_by(customer: str) -> dict[str, Any]:
    return {"claim": {"type": "holder", "customer": customer}}


def counter(actors: Actors) -> dict[str, Any]:
    north = actors.world.north
    return {"store": north.id, "terminal": north.terminal, "cashier": north.cashier}


async def do(actors: Actors, card: Card, verb: str, **body: Any) -> Any:
    return await actors.operator.made(f"/v1/cards/{card.id}/{verb}", body)


# Who holds it


@pytest.mark.row("L-13", "CR-07")
async def test_a_registered_card_is_in_use_only_with_somebody_identified(
    actors: Actors,
) -> None:
    nobody = await actors.card(programme=actors.world.registered)
    assert (await actors.see(nobody))["status"] == "inactive"
    assert (await actors.pay(nobody, 1))["decline_code"] == "card_not_accepted"
    unverified = await actors.person(verified=False)
    for holder in (None, unverified):
        reply = await actors.operator.post(
            f"/v1/cards/{nobody.id}/activate", {} if holder is None else {"holder": holder}
        )
        assert (reply.status, reply.code, reply["rule"]) == (422, "holder_not_identified", "CR-07")
    await do(actors, nobody, "activate", holder=await actors.person())
    await actors.load(nobody, 1_000)
    await actors.paid(nobody, 1)


@pytest.mark.row("L-13", "CR-07")
async def test_issuing_to_somebody_unknown_does_not_activate(actors: Actors) -> None:
    unverified = await actors.person(verified=False)
    reply = await actors.operator.post(
        "/v1/cards",
        {"programme": actors.world.registered, "carrier": "electronic", "holder": unverified},
    )
    assert reply.status in {201, 422}
    if reply.status == 201:
        assert reply["status"] == "inactive"
        actors.keep(reply.json)


# Lost, replaced


@pytest.mark.row("P-15", "P-02")
async def test_a_lost_card_is_stopped_at_once_and_replaced_with_its_value(
    actors: Actors,
) -> None:
    holder = await actors.person()
    card = await actors.card(5_000, programme=actors.world.registered, holder=holder)
    hold = await actors.held(card, 1_000)
    await do(actors, card, "report-loss", **held_by(holder))
    assert (await actors.pay(card, 1))["decline_code"] == "card_lost"
    issued = await do(actors, card, "replace", **held_by(holder), carrier="electronic")
    fresh = actors.keep(issued)
    assert (issued["balance"], issued["available"]) == (5_000, 4_000)
    assert (await actors.paid(fresh, 4_000))["balance_after"] == 0
    for source in (card.by_number, card.by_track, card.by_barcode):
        assert (await actors.pay(source, 1))["decline_code"] == "card_not_accepted"
    # What was under way goes on: the value is the same.
    assert (await actors.act(hold, "capture"))["status"] == "captured"
    assert (await actors.see(fresh))["balance"] == 0


@pytest.mark.row("P-15")
async def test_a_lost_bearer_card_is_stopped_and_never_replaced(actors: Actors) -> None:
    """Nobody can prove who has it; whoever does may have it made anew, unless it is lost."""
    card = await actors.card(1_000)
    await do(actors, card, "report-loss", claim={"type": "purchase", "reference": "receipt"})
    path = f"/v1/cards/{card.id}/replace"
    refused = await actors.operator.post(path, possession(card) | {"carrier": "electronic"})
    assert (refused.status, refused.code) == (422, "bearer_card_not_replaced")
    assert (await actors.see(card))["balance"] == 1_000


@pytest.mark.row("P-15")
async def test_a_card_that_was_found_pays_again(actors: Actors) -> None:
    card = await actors.card(1_000)
    await do(actors, card, "report-loss", claim={"type": "purchase", "reference": "receipt"})
    assert (await actors.pay(card, 1))["decline_code"] == "card_lost"
    await do(actors, card, "withdraw-loss", **possession(card))
    await actors.paid(card, 1)


@pytest.mark.row("P-15", "CR-28")
async def test_a_registered_card_obeys_its_holder(actors: Actors) -> None:
    holder, other = await actors.person(), await actors.person()
    card = await actors.card(1_000, programme=actors.world.registered, holder=holder)
    path = f"/v1/cards/{card.id}/report-loss"
    for claim in (held_by(other), possession(card)):
        refused = await actors.operator.post(path, claim)
        assert refused.status == 422, repr(refused)
    await do(actors, card, "report-loss", **held_by(holder))
    issued = await do(actors, card, "replace", **held_by(holder), carrier="electronic")
    assert (await actors.paid(actors.keep(issued), 1_000))["balance_after"] == 0


# PINs


async def test_a_changed_pin_is_the_pin(actors: Actors) -> None:
    card = await actors.card(1_000)
    wrong = await actors.operator.post(
        f"/v1/cards/{card.id}/pin", {"old_pin": card.guessed["pin"], "new_pin": "820461937520"}
    )
    assert wrong.status == 422
    await do(actors, card, "pin", old_pin=card.pin, new_pin="820461937520")
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"
    await actors.paid(card.with_pin("820461937520"), 1)
    weak = await actors.operator.post(
        f"/v1/cards/{card.id}/pin", {"old_pin": "820461937520", "new_pin": "1" * 12}
    )
    assert (weak.status, weak["rule"]) == (422, "R-01")


async def test_a_forgotten_pin_is_reset_by_two_people(actors: Actors) -> None:
    holder = await actors.person()
    card = await actors.card(1_000, programme=actors.world.registered, holder=holder)
    body = held_by(holder) | counter(actors)
    alone = await actors.operator.post(f"/v1/cards/{card.id}/pin-reset", body)
    assert (alone.status, alone.code) == (422, "approval_needed")
    asked = await do(actors, card, "pin-reset/requests", reason="forgotten")
    await actors.approver.made(f"/v1/approvals/{asked['id']}/approve", {})
    fresh = await do(actors, card, "pin-reset", **body)
    actors.world.secrets.add(fresh["pin"])
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"
    await actors.paid(card.with_pin(fresh["pin"]), 1)
    again = await actors.operator.post(f"/v1/cards/{card.id}/pin-reset", body)
    assert (again.status, again.code) == (422, "approval_needed")


# From hand to hand


@pytest.mark.row("CR-27")
async def test_a_card_given_away_obeys_its_new_holder_alone(actors: Actors) -> None:
    giver, taker = await actors.person(), await actors.person()
    card = await actors.card(1_000, programme=actors.world.registered, holder=giver)
    given = await do(actors, card, "transfer", **held_by(giver), to=taker)
    fresh = actors.keep(given)
    assert given["holder"] == taker
    assert (await actors.paid(fresh, 400))["balance_after"] == 600
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"
    back = await actors.operator.post(f"/v1/cards/{fresh.id}/report-loss", held_by(giver))
    assert (back.status, back.code) == (422, "not_the_holder")


@pytest.mark.row("CR-20")
async def test_cards_are_merged_and_every_load_stays_known(actors: Actors) -> None:
    one, other = await actors.card(1_000), await actors.card(2_000)
    await actors.paid(one, 300)
    merged = await do(actors, one, "merge", **possession(one), into=other.id)
    assert (merged["amount"], merged["source"]["status"]) == (700, "closed")
    assert merged["target"]["balance"] == 2_700
    assert (await actors.pay(one, 1))["decline_code"] == "card_closed"
    lots = (await actors.auditor.got("/v1/ledger/lots", card=other.id))["data"]
    assert sorted(lot["principal_left"] for lot in lots) == [700, 2_000]
    await actors.paid(other, 2_700)


@pytest.mark.row("CR-12")
@pytest.mark.parametrize(("second", "status"), [(39_999, 200), (40_000, 200), (40_001, 422)])
async def test_a_merge_keeps_to_the_limit(actors: Actors, second: int, status: int) -> None:
    one, other = await actors.card(60_000), await actors.card(second)
    reply = await actors.operator.post(
        f"/v1/cards/{other.id}/merge", possession(other) | {"into": one.id}
    )
    assert reply.status == status
    left = (await actors.see(one))["balance"] + (await actors.see(other))["balance"]
    assert left == 60_000 + second


@pytest.mark.row("L-15", "CR-21")
@pytest.mark.parametrize(("balance", "status"), [(9_999, 200), (10_000, 200), (10_001, 422)])
async def test_a_small_remainder_is_paid_in_cash(actors: Actors, balance: int, status: int) -> None:
    card, payee = await actors.card(balance), await actors.person()
    reply = await actors.operator.post(
        f"/v1/cards/{card.id}/cash-out",
        possession(card) | counter(actors) | {"payee": payee, "close": True},
    )
    assert reply.status == status, repr(reply)
    if status == 200:
        assert (reply["amount"], reply["card"]["status"]) == (balance, "closed")
        assert (await actors.pay(card, 1))["decline_code"] == "card_closed"
    else:
        assert reply["rule"] == "CR-21"
        assert (await actors.see(card))["balance"] == balance


async def test_a_card_with_value_is_not_closed(actors: Actors) -> None:
    card = await actors.card(1)
    reply = await actors.operator.post(f"/v1/cards/{card.id}/close", possession(card))
    assert (reply.status, reply.code) == (422, "card_not_empty")
    await actors.paid(card, 1)
    assert (await do(actors, card, "close", **possession(card)))["status"] == "closed"


async def test_a_freeze_is_lifted_by_a_weightier_reason_only(actors: Actors) -> None:
    card = await actors.card(100)
    await do(actors, card, "freeze", reason="authority")
    for reason in ("dispute_closed", "risk_cleared"):
        reply = await actors.operator.post(f"/v1/cards/{card.id}/unfreeze", {"reason": reason})
        assert (reply.status, reply.code) == (422, "card_freeze_held")
    await do(actors, card, "unfreeze", reason="authority_released")
    await actors.paid(card, 1)
    changes = (await actors.operator.got(f"/v1/cards/{card.id}/changes"))["data"]
    assert [c["verb"] for c in changes] == ["unfreeze", "freeze"]
