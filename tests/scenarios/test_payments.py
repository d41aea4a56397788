"""A sale: issue, fund, recognise, verify, deduct; and what the till is told."""

from __future__ import annotations

from typing import Any

import pytest

from .site import Site
from .world import Actors, Card, programme


@pytest.mark.row("P-01", "P-03", "P-04", "P-02", "T-20")
async def test_a_card_from_issue_to_the_books(actors: Actors, site: Site) -> None:
    card = await actors.card()
    topup = await actors.load(card, 10_000)
    assert (topup["status"], topup["balance_after"]) == ("confirmed", 10_000)
    paid = await actors.paid(card, 1_234, reference="order-1", metadata={"till": "4"})
    assert paid["card"] == {"id": card.id, "last4": card.number[-4:]}
    assert {
        name: paid[name]
        for name in ("status", "requested_amount", "approved_amount", "captured_amount")
    } == {
        "status": "captured",
        "requested_amount": 1_234,
        "approved_amount": 1_234,
        "captured_amount": 1_234,
    }
    assert (paid["balance_after"], paid["currency"], paid["refunded_amount"]) == (8_766, "CNY", 0)
    assert (paid["tender"], paid["invoiceable_amount"]) == ("stored_value", 0)
    assert (paid["decline_code"], paid["rule"]) == (None, None)
    north = actors.world.north
    assert (paid["store"], paid["terminal"], paid["cashier"]) == (
        north.id,
        north.terminal,
        north.cashier,
    )
    assert (paid["reference"], paid["metadata"]) == ("order-1", {"till": "4"})
    assert await actors.merchant.got(f"/v1/payments/{paid['id']}") == paid
    assert await actors.balance(card) == (8_766, 8_766)
    loaded, spent = await actors.activities(card)
    assert (loaded["type"], loaded["change"], loaded["balance_after"]) == ("load", 10_000, 10_000)
    assert (spent["type"], spent["change"], spent["balance_after"]) == ("payment", -1_234, 8_766)
    assert spent["operation"].removeprefix("op_") == paid["id"].removeprefix("pay_")
    page = await actors.auditor.got("/v1/ledger/transfers", card=card.id)
    assert [t["amount"] for t in page["data"]] == [1_234, 10_000]


@pytest.mark.row("P-22", "P-07", "P-13")
async def test_every_carrier_pays(actors: Actors) -> None:
    card = await actors.card(10_000)
    for n, source in enumerate((card.by_number, card.by_track, card.by_barcode, card.by_id)):
        assert (await actors.paid(source, 100))["balance_after"] == 10_000 - 100 * (n + 1)


@pytest.mark.row("P-22")
async def test_a_copied_number_is_worth_nothing_without_the_cards_own_value(
    actors: Actors,
) -> None:
    card, other = await actors.card(10_000), await actors.card(10_000)
    middle = len(card.track2) // 2
    forged = [
        {"type": "track", "track2": _nudged(card.track2, place)}
        for place in (-1, -4, middle, middle + 2)
    ]
    forged += [
        {"type": "barcode", "data": _nudged(card.barcode, place)}
        for place in (-1, len(card.barcode) // 2)
    ]
    # One card's number with what the other card's key has made.
    forged.append({"type": "track", "track2": card.track2[:19] + other.track2[19:]})
    for source in forged:
        reply = await actors.pay(source, 100)
        assert reply["decline_code"] == "card_not_accepted", source
    assert (await actors.see(card))["balance"] == 10_000
    assert (await actors.see(other))["balance"] == 10_000


def _nudged(text: str, place: int) -> str:
    """One digit changed."""
    digit = text[place]
    if not digit.isdigit():
        return _nudged(text, place - 1)
    at = place % len(text)
    return text[:at] + str((int(digit) + 1) % 10) + text[at + 1 :]


@pytest.mark.row("P-16", "P-10")
@pytest.mark.parametrize(("amount", "status"), [(999, "captured"), (1_000, "captured")])
async def test_money_up_to_the_last_fen(actors: Actors, amount: int, status: str) -> None:
    card = await actors.card(1_000)
    assert (await actors.pay(card, amount))["status"] == status


@pytest.mark.row("P-16", "P-10")
async def test_too_little_money_is_told_with_what_there_is(actors: Actors) -> None:
    card = await actors.card(1_000)
    reply = await actors.pay(card, 1_001)
    assert reply.status == 201
    told = ("status", "approved_amount", "decline_code", "rule", "balance_after")
    assert [reply[name] for name in told] == ["declined", 0, "insufficient_funds", "P-16", 1_000]
    assert reply["card"]["id"] == card.id
    # Combined payment: the till takes what is there, and cash for the rest.
    assert (await actors.paid(card, reply["balance_after"]))["balance_after"] == 0


@pytest.mark.row("P-16")
async def test_a_part_is_approved_where_both_sides_want_it(actors: Actors) -> None:
    card = await actors.card(1_000)
    part = await actors.paid(card, 1_500, accept_partial=True)
    assert (part["status"], part["requested_amount"], part["approved_amount"]) == (
        "captured",
        1_500,
        1_000,
    )
    assert part["balance_after"] == 0
    empty = await actors.pay(card, 1, accept_partial=True)
    assert (empty["decline_code"], empty["balance_after"]) == ("insufficient_funds", 0)


async def test_a_programme_may_forbid_parts(actors: Actors) -> None:
    strict = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"pay.partial_allowed": False}},
    )
    card = await actors.card(1_000, programme=strict)
    reply = await actors.pay(card, 1_500, accept_partial=True)
    assert (reply["decline_code"], reply["balance_after"]) == ("insufficient_funds", 1_000)


@pytest.mark.row("P-10", "P-04")
async def test_an_inquiry_tells_state_money_and_limit(actors: Actors) -> None:
    card = await actors.card(5_000)
    await actors.held(card, 1_500)
    reply = await actors.inquire(card)
    assert reply.status == 200
    told = reply.json
    expires_on = told.pop("expires_on")
    assert told == {
        "card": card.id,
        "card_status": "active",
        "balance": 5_000,
        "available": 3_500,
        "single_limit": 500_000,
        "currency": "CNY",
    }
    assert expires_on == (await actors.see(card))["expires_on"]


@pytest.mark.row("P-19")
async def test_a_payment_is_found_by_the_tills_own_number(actors: Actors) -> None:
    card = await actors.card(10_000)
    reference = f"serial-{card.id[-8:]}"
    paid = [await actors.paid(card, 100 + n, reference=reference) for n in range(5)]
    await actors.paid(card, 99, reference=reference + "x")
    found = await _pages(actors, reference=reference, limit=2)
    assert [p["id"] for p in found] == [p["id"] for p in reversed(paid)]
    south = await actors.operator.made(
        "/v1/terminals", {"store": actors.world.south.id, "model": "X2"}
    )
    assert await _pages(actors, terminal=south["id"]) == []
    both = await _pages(actors, reference=reference, terminal=actors.world.north.terminal)
    assert len(both) == 5


async def _pages(actors: Actors, **query: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = await actors.merchant.got("/v1/payments", **query, **more)
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.row("T-18", "B-12")
async def test_what_one_process_has_answered_every_other_knows(actors: Actors, site: Site) -> None:
    """Data delay: none. Each answer is compared with one from another connection."""
    card: Card = await actors.card(100_000)
    await site.spread(actors.http, 12)
    processes, left = set(), 100_000
    for amount in range(1, 41):
        reply = await actors.pay(card, amount)
        left -= amount
        assert reply["balance_after"] == left
        asked = await actors.inquire(card)
        assert asked["available"] == left
        processes |= {reply.process, asked.process}
    assert len(processes) == 2
