"""One effect per Idempotency-Key, and the same answer every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import Database

from .clocked import clocked
from .http import fresh_key
from .site import Site
from .world import Actors

pytestmark = pytest.mark.row("P-19")


async def test_the_same_key_is_the_same_answer_byte_for_byte(actors: Actors, site: Site) -> None:
    card, key = await actors.card(10_000), fresh_key()
    await site.spread(actors.http, 6)
    first = await actors.pay(card, 1_000, key=key)
    again = [await actors.pay(card, 1_000, key=key) for _ in range(12)]
    assert {(r.status, r.body) for r in again} == {(201, first.body)}
    assert len({r.process for r in again}) == 2
    assert await actors.balance(card) == (9_000, 9_000)
    # Also when the payment has gone on meanwhile: the first answer, not the state.
    await actors.act(first.json, "void")
    assert (await actors.pay(card, 1_000, key=key)).body == first.body


async def test_declines_are_kept_too(actors: Actors) -> None:
    card, key = await actors.card(1_000), fresh_key()
    first = await actors.pay(card, 2_000, key=key)
    await actors.load(card, 5_000)
    assert (await actors.pay(card, 2_000, key=key)).body == first.body
    assert first["decline_code"] == "insufficient_funds"
    assert (await actors.pay(card, 2_000))["status"] == "captured"


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 1_001},
        {"reference": "other"},
        {"capture": False},
        {"accept_partial": True},
        {"metadata": {"a": "b"}},
        {"cashier": None},
        {"terminal": None},
    ],
)
async def test_another_body_is_a_conflict(actors: Actors, other: dict[str, Any]) -> None:
    card, key = await actors.card(10_000), fresh_key()
    await actors.paid(card, 1_000, key=key)
    clash = await actors.merchant.post(
        "/v1/payments", actors.pay_body(card, 1_000) | other, key=key
    )
    assert (clash.status, clash.code) == (409, "idempotency_key_reused")
    assert await actors.balance(card) == (9_000, 9_000)


async def test_another_card_is_another_body(actors: Actors) -> None:
    card, other, key = await actors.card(10_000), await actors.card(10_000), fresh_key()
    await actors.paid(card, 1_000, key=key)
    for source in (other.by_number, card.by_barcode):
        clash = await actors.pay(source, 1_000, key=key)
        assert (clash.status, clash.code) == (409, "idempotency_key_reused")
    assert await actors.balance(card) == (9_000, 9_000)


async def test_a_key_does_not_tell_a_right_pin_from_a_wrong_one(actors: Actors) -> None:
    """Otherwise PINs could be guessed by repeating a request, and nothing would count."""
    card, key = await actors.card(10_000), fresh_key()
    first = await actors.merchant.post("/v1/payments", actors.pay_body(card, 1_000), key=key)
    again = actors.pay_body(card, 1_000) | {"source": card.guessed}
    assert (await actors.merchant.post("/v1/payments", again, key=key)).body == first.body
    assert await actors.balance(card) == (9_000, 9_000)


async def test_what_means_the_same_is_the_same_body(actors: Actors) -> None:
    card, key = await actors.card(10_000), fresh_key()
    body = actors.pay_body(card, 1_000)
    first = await actors.merchant.post("/v1/payments", body, key=key)
    spelled_out = dict(reversed(list((body | {"capture": True, "metadata": {}}).items())))
    assert (await actors.merchant.post("/v1/payments", spelled_out, key=key)).body == first.body


@pytest.mark.parametrize(
    ("key", "code"), [(None, "idempotency_key_missing"), ("x" * 256, "malformed")]
)
async def test_every_post_needs_a_usable_key(actors: Actors, key: str | None, code: str) -> None:
    card = await actors.card(1_000)
    paid = await actors.paid(card, 100)
    posts = [
        ("/v1/payments", actors.pay_body(card, 1)),
        (f"/v1/payments/{paid['id']}/refunds", {}),
        (f"/v1/payments/{paid['id']}/void", {}),
        ("/v1/reversals", {"original": {"payment": paid["id"]}}),
        ("/v1/topups", actors.topup_body(card, 1)),
    ]
    for path, body in posts:
        reply = await actors.merchant.post(path, body, key=key)
        assert (reply.status, reply.code) == (400, code), path
        assert reply["field"] == "Idempotency-Key"
    assert await actors.balance(card) == (900, 900)


async def test_an_inquiry_needs_no_key(actors: Actors) -> None:
    assert (await actors.inquire(await actors.card(1))).status == 200


async def test_keys_of_different_routes_do_not_meet(actors: Actors) -> None:
    card, key = await actors.card(10_000), fresh_key()
    paid = await actors.paid(card, 1_000, key=key)
    refund = await actors.act(paid, "refunds", key=key, amount=100)
    assert refund.status == 200
    topup = await actors.merchant.post("/v1/topups", actors.topup_body(card, 50), key=key)
    assert topup.status == 201
    assert await actors.balance(card) == (9_150, 9_150)


async def test_keys_of_different_companies_do_not_meet(db: Database, tmp_path: Path) -> None:
    """On a platform of its own: the journal of the others knows keys and no companies."""
    async with clocked(db, tmp_path) as at:
        actors, key = at.actors, fresh_key()
        card = await actors.card(10_000)
        await actors.paid(card, 1_000, key=key)
        there = {"store": actors.world.outside.id, "terminal": None, "cashier": None}
        other = await actors.stranger.post(
            "/v1/payments", actors.pay_body(card, 1_000, **there), key=key
        )
        assert other["decline_code"] == "store_outside_group"
        assert await actors.balance(card) == (9_000, 9_000)


@pytest.mark.parametrize("verb", ["capture", "void", "refunds"])
async def test_later_verbs_happen_once(actors: Actors, verb: str) -> None:
    card, key = await actors.card(10_000), fresh_key()
    payment = await (actors.held if verb == "capture" else actors.paid)(card, 4_000)
    body = {} if verb == "void" else {"amount": 1_000}
    first = await actors.act(payment, verb, key=key, **body)
    assert first.status == 200
    balance = await actors.balance(card)
    assert (await actors.act(payment, verb, key=key, **body)).body == first.body
    if verb != "void":
        clash = await actors.act(payment, verb, key=key, amount=999)
        assert (clash.status, clash.code) == (409, "idempotency_key_reused")
    elsewhere = await actors.paid(card, 1)
    clash = await actors.act(elsewhere, verb, key=key, **body)
    assert (clash.status, clash.code) == (409, "idempotency_key_reused")
    assert (await actors.balance(card))[0] == balance[0] - 1


async def test_top_ups_happen_once(actors: Actors) -> None:
    card, key = await actors.card(), fresh_key()
    body = actors.topup_body(card, 4_000)
    first = await actors.merchant.post("/v1/topups", body, key=key)
    assert (await actors.merchant.post("/v1/topups", body, key=key)).body == first.body
    clash = await actors.merchant.post("/v1/topups", body | {"amount": 4_001}, key=key)
    assert (clash.status, clash.code) == (409, "idempotency_key_reused")
    assert (await actors.see(card))["balance"] == 4_000


async def test_a_refusal_leaves_the_key_free(actors: Actors) -> None:
    """Only what has happened is kept: after a 422 the same key may be tried again."""
    card, key = await actors.card(10_000), fresh_key()
    paid = await actors.paid(card, 1_000)
    assert (await actors.act(paid, "refunds", key=key, amount=1_001)).status == 422
    assert (await actors.act(paid, "refunds", key=key, amount=1_000)).status == 200


async def test_the_secrets_of_a_new_card_are_repeated_for_its_key_only(actors: Actors) -> None:
    key = fresh_key()
    body = {"programme": actors.world.bearer, "carrier": "electronic", "holder": None}
    first = await actors.operator.post("/v1/cards", body, key=key)
    card = actors.keep(first.json)
    assert (await actors.operator.post("/v1/cards", body, key=key)).body == first.body
    assert card.number not in (await actors.operator.get(f"/v1/cards/{card.id}")).body.decode()
