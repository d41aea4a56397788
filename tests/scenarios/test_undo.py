"""Void, refund, reverse: what was paid comes back, once, and never more than it was."""

from __future__ import annotations

import pytest

from .http import fresh_key
from .site import Site
from .world import Actors


@pytest.mark.row("P-19")
async def test_a_void_undoes_the_whole(actors: Actors) -> None:
    card = await actors.card(10_000)
    paid = await actors.paid(card, 4_000)
    voided = await actors.act(paid, "void")
    assert voided.status == 200
    assert (voided["status"], voided["captured_amount"], voided["balance_after"]) == (
        "voided",
        0,
        10_000,
    )
    again = await actors.act(paid, "void")
    assert (again.status, again.code) == (409, "payment_state_forbids")
    refund = await actors.act(paid, "refunds")
    assert (refund.status, refund.code) == (409, "payment_state_forbids")
    assert await actors.balance(card) == (10_000, 10_000)


@pytest.mark.row("P-19")
async def test_refunds_in_parts_and_never_more_than_the_original(actors: Actors) -> None:
    card = await actors.card(10_000)
    paid = await actors.paid(card, 4_000)
    first = await actors.act(paid, "refunds", amount=1_500)
    assert first.status == 200
    assert (first["amount"], first["destination"], first["rule"]) == (1_500, "card", None)
    assert (first["payment"]["status"], first["payment"]["refunded_amount"]) == ("captured", 1_500)
    assert first["payment"]["balance_after"] == 7_500
    for amount in (2_501, 4_000, 2**53 - 1):
        over = await actors.act(paid, "refunds", amount=amount)
        assert (over.status, over.code) == (422, "amount_exceeds_remaining")
    rest = await actors.act(paid, "refunds")
    assert (rest["amount"], rest["payment"]["refunded_amount"]) == (2_500, 4_000)
    over = await actors.act(paid, "refunds", amount=1)
    assert (over.status, over.code) == (422, "amount_exceeds_remaining")
    listed = await actors.merchant.got(f"/v1/payments/{paid['id']}/refunds")
    assert [r["amount"] for r in listed["data"]] == [1_500, 2_500]
    assert await actors.balance(card) == (10_000, 10_000)


async def test_what_was_refunded_in_part_is_not_undone_whole(actors: Actors) -> None:
    card = await actors.card(10_000)
    paid = await actors.paid(card, 4_000)
    await actors.act(paid, "refunds", amount=1)
    void = await actors.act(paid, "void")
    assert (void.status, void.code) == (409, "later_activity")
    reverse = await actors.reverse(payment=paid["id"])
    assert (reverse.status, reverse.code) == (409, "later_activity")
    assert await actors.balance(card) == (6_001, 6_001)


async def test_a_refund_to_a_card_that_is_closed_waits_in_suspense(actors: Actors) -> None:
    card = await actors.card(1_000)
    paid = await actors.paid(card, 1_000)
    await actors.operator.made(
        f"/v1/cards/{card.id}/close", {"claim": {"type": "possession", "source": card.by_number}}
    )
    refund = await actors.act(paid, "refunds", amount=400)
    assert (refund.status, refund["destination"], refund["rule"]) == (200, "suspense", "CR-20")
    assert refund["payment"]["balance_after"] == 0
    assert (await actors.see(card))["balance"] == 0


@pytest.mark.parametrize(("over", "destination"), [(0, "card"), (1, "suspense")])
async def test_a_refund_over_the_cards_limit_waits_in_suspense(
    actors: Actors, over: int, destination: str
) -> None:
    card = await actors.card(100_000)
    paid = await actors.paid(card, 40_000)
    await actors.load(card, 30_000 + over)
    refund = await actors.act(paid, "refunds", amount=10_000)
    assert (refund["destination"], refund["rule"]) == (
        destination,
        "CR-12" if over else None,
    )
    assert (await actors.see(card))["balance"] == (90_001 if over else 100_000)


@pytest.mark.parametrize("verb", ["void", "reverse"])
async def test_undoing_whole_is_exempt_from_the_limit(actors: Actors, verb: str) -> None:
    """Ruling 19: a void or reversal must always succeed."""
    card = await actors.card(100_000)
    paid = await actors.paid(card, 40_000)
    await actors.load(card, 40_000)
    if verb == "void":
        reply = await actors.act(paid, "void")
    else:
        reply = await actors.reverse(payment=paid["id"])
    assert reply.status in {200, 201}
    assert (await actors.see(card))["balance"] == 140_000


# Reversals


@pytest.mark.row("P-17", "P-19")
@pytest.mark.parametrize("by", ["idempotency_key", "payment"])
async def test_a_payment_is_reversed_by_its_key_or_its_id(actors: Actors, by: str) -> None:
    card, key = await actors.card(10_000), fresh_key()
    paid = await actors.paid(card, 4_000, key=key)
    original = {by: key if by == "idempotency_key" else paid["id"]}
    reversal = await actors.reverse(**original)
    assert reversal.status == 201
    assert (reversal["status"], reversal["amount"]) == ("reversed", 4_000)
    assert (reversal["payment"]["status"], reversal["payment"]["balance_after"]) == (
        "reversed",
        10_000,
    )
    assert await actors.balance(card) == (10_000, 10_000)
    again = await actors.reverse(**original)
    assert (again.status, again["amount"], again["payment"]["status"]) == (201, 0, "reversed")
    assert await actors.balance(card) == (10_000, 10_000)


@pytest.mark.row("P-17")
async def test_a_hold_is_reversed(actors: Actors) -> None:
    card, key = await actors.card(10_000), fresh_key()
    await actors.held(card, 4_000, key=key)
    reversal = await actors.reverse(idempotency_key=key)
    assert (reversal["amount"], reversal["payment"]["status"]) == (4_000, "reversed")
    assert await actors.balance(card) == (10_000, 10_000)


@pytest.mark.row("P-17", "P-19")
async def test_a_reversal_before_its_original_bars_it(actors: Actors, site: Site) -> None:
    card, key = await actors.card(10_000), fresh_key()
    reversal = await actors.reverse(idempotency_key=key)
    assert reversal.status == 201
    assert (reversal["status"], reversal["amount"], reversal["payment"]) == ("barred", 0, None)
    late = await actors.pay(card, 4_000, key=key)
    assert (late.status, late["status"], late["decline_code"]) == (
        201,
        "declined",
        "reversed_before",
    )
    # It tells nothing of the card, which nobody has looked at.
    assert (late["card"], late["balance_after"]) == (None, None)
    assert (await actors.pay(card, 4_000, key=key)).body == late.body
    other = await actors.pay(card, 4_001, key=key)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    again = await actors.reverse(idempotency_key=key)
    assert (again.status, again["status"], again["amount"]) == (201, "barred", 0)
    assert await actors.balance(card) == (10_000, 10_000)


async def test_a_reversal_is_answered_alike_whenever_its_key_comes(actors: Actors) -> None:
    card, key, own = await actors.card(10_000), fresh_key(), fresh_key()
    before = await actors.reverse(idempotency_key=key, key=own)
    await actors.pay(card, 4_000, key=key)
    assert (await actors.reverse(idempotency_key=key, key=own)).body == before.body
    clash = await actors.reverse(idempotency_key=fresh_key(), key=own)
    assert (clash.status, clash.code) == (409, "idempotency_key_reused")


async def test_what_was_declined_or_voided_is_reversed_to_nothing(actors: Actors) -> None:
    card = await actors.card(1_000)
    keys = [fresh_key(), fresh_key(), fresh_key()]
    assert (await actors.pay(card, 2_000, key=keys[0]))["status"] == "declined"
    assert (await actors.pay(card.guessed, 10, key=keys[1]))["status"] == "declined"
    await actors.act(await actors.paid(card, 500, key=keys[2]), "void")
    for key in keys:
        reversal = await actors.reverse(idempotency_key=key)
        assert (reversal.status, reversal["amount"]) == (201, 0), repr(reversal)
    assert await actors.balance(card) == (1_000, 1_000)


async def test_an_original_is_named_in_exactly_one_way(actors: Actors) -> None:
    for original in ({}, {"payment": "pay_" + "0" * 32, "idempotency_key": "k"}):
        reply = await actors.reverse(**original)
        assert (reply.status, reply["field"]) == (422, "original")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("verb", ["capture", "void", "refunds"])
async def test_a_declined_payment_has_no_later_verbs(
    actors: Actors, known: bool, verb: str
) -> None:
    """The same answer whether or not there is such a card."""
    card = await actors.card(1_000)
    guess = card.guessed if known else card.guessed | {"number": "88" + card.number[2:][::-1]}
    declined = await actors.pay(guess, 10)
    assert declined["decline_code"] == "card_not_accepted"
    reply = await actors.act(declined.json, verb)
    assert (reply.status, reply.code) == (409, "payment_state_forbids")
    assert reply["detail"] == "The payment is declined."
