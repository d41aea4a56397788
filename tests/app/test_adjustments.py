"""Manual adjustments through the doors: asked by one, agreed to by another, traced for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def ask(w: World, card: str, fen: int, **more: Any) -> httpx.Response:
    body = {"card": card, "amount": fen, "currency": "CNY", "reason": "wrong amount at the till"}
    return await w.operator.post("/v1/adjustments", body | more)


async def worth(w: World, card: str) -> tuple[int, int]:
    shown = await made(w.auditor.get(f"/v1/cards/{card}"))
    return shown["balance"], shown["available"]


@pytest.mark.row("ATK-11")
async def test_a_correction_waits_for_the_second_person(w: World) -> None:
    card = (await w.card(await w.programme(), 1_000))["id"]
    asked = await made(ask(w, card, 500))
    assert (asked["kind"], asked["state"]) == ("adjustment", "pending")
    assert asked["payload"] == {"card": card, "amount": 500, "currency": "CNY"}
    assert await worth(w, card) == (1_000, 1_000)
    own = await w.operator.post(f"/v1/approvals/{asked['id']}/approve")
    assert own.status_code == 403
    done = await made(w.approve(asked["id"]))
    assert done["state"] == "executed"
    assert done["result"] == {
        "operation": asked["id"].replace("apr_", "op_"),
        "card": card,
        "amount": 500,
        "currency": "CNY",
        "balance": 1_500,
        "available": 1_500,
    }
    assert await worth(w, card) == (1_500, 1_500)
    again = await w.approve(asked["id"])
    assert again.status_code == 409
    assert await worth(w, card) == (1_500, 1_500)


async def test_both_ways_and_where_it_went(w: World) -> None:
    card = (await w.card(await w.programme(), 1_000))["id"]
    for fen in (500, -700):
        await made(w.approve((await made(ask(w, card, fen)))["id"]))
    [take, add, _] = (await made(w.auditor.get(f"/v1/cards/{card}/activities")))["data"]
    assert (add["type"], add["change"]) == ("adjust_increment", 500)
    assert (take["type"], take["change"]) == ("adjust_decrement", -700)
    asked = {"owner": w.company, "account": "adjustment"}
    accounts = await made(w.auditor.get("/v1/ledger/accounts", **asked))
    assert accounts["data"][0]["balance"] == 200
    lots = (await made(w.auditor.get("/v1/ledger/lots", card=card)))["data"]
    told = [(lot["channel"], lot["principal"], lot["principal_left"]) for lot in lots]
    assert told == [("cash", 1_000, 300), ("adjustment", 500, 500)]


async def test_a_frozen_card_can_be_corrected(w: World) -> None:
    card = (await w.card(await w.programme(), 1_000))["id"]
    await made(w.operator.post(f"/v1/cards/{card}/freeze", {"reason": "risk"}))
    await made(w.approve((await made(ask(w, card, -400)))["id"]))
    assert await worth(w, card) == (600, 600)


@pytest.mark.row("CR-12")
async def test_what_is_refused_when_it_is_asked(w: World) -> None:
    programme = await w.programme()
    card = await w.card(programme, 10_000)
    await w.pay(card, 9_000, capture=False)
    for fen, code, rule in (
        (90_001, "over_balance_limit", "CR-12"),
        (-1_001, "adjustment_exceeds_balance", "P-16"),
        (0, "invalid", None),
    ):
        answer = await ask(w, card["id"], fen)
        told = (fen, answer.status_code, answer.json()["code"], answer.json().get("rule"))
        assert told == (fen, 422, code, rule)
    for fen in (90_000, -1_000):
        assert (await ask(w, card["id"], fen)).status_code == 201
    empty = await w.card(programme)
    await made(
        w.operator.post(
            f"/v1/cards/{empty['id']}/close",
            {"claim": {"type": "possession", "source": source(empty)}},
        )
    )
    ended = await ask(w, empty["id"], 1)
    assert (ended.status_code, ended.json()["code"]) == (422, "card_cannot_be_adjusted")


async def test_what_changed_since_it_was_asked_counts(w: World) -> None:
    card = await w.card(await w.programme(), 1_000)
    asked = await made(ask(w, card["id"], -1_000))
    await w.pay(card, 1)
    late = await w.approve(asked["id"])
    assert (late.status_code, late.json()["code"]) == (422, "adjustment_exceeds_balance")
    pending = await made(w.auditor.get(f"/v1/approvals/{asked['id']}"))
    assert pending["state"] == "pending"
    assert await worth(w, card["id"]) == (999, 999)


async def test_whose_cards_may_be_corrected(w: World) -> None:
    card = (await w.card(await w.programme(), 1_000))["id"]
    body = {"card": card, "amount": 1, "currency": "CNY", "reason": "why"}
    outside = await w.by("other-operator").post("/v1/adjustments", body)
    unknown = await w.operator.post("/v1/adjustments", body | {"card": "card_" + "0" * 32})
    assert (outside.status_code, unknown.status_code) == (404, 404)
    for who in (w.approver, w.merchant, w.auditor):
        assert (await who.post("/v1/adjustments", body)).status_code == 403
    for change, status in (
        ({"amount": 1.5}, 400),
        ({"amount": 2**53}, 422),
        ({"currency": "USD"}, 422),
        ({"reason": ""}, 422),
        ({"more": 1}, 400),
    ):
        answer = await w.operator.post("/v1/adjustments", body | change)
        assert (change, answer.status_code) == (change, status)


def source(card: dict[str, Any]) -> dict[str, Any]:
    return {"type": "card_number", "number": card["number"], "pin": card["pin"]}
