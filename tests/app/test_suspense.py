"""Refunds that take two persons, and the way out of suspense, through the doors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.audit.ops import audit
from tests.app.world import World, made, world

FULL = 100_000
"""What a bearer card may hold, and from which sum on a refund by hand takes two."""

POOL = 12
"""Connections that a process shares."""


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w
    told = await audit(database_url)
    assert told.holds, [line for line in told.lines if line.breaches]


async def refund(w: World, payment: dict[str, Any], who: str, **body: Any) -> httpx.Response:
    return await w.by(who).post(f"/v1/payments/{payment['id']}/refunds", body)


@pytest.mark.row("ATK-11")
async def test_a_refund_by_hand_takes_two_from_a_sum_on(w: World) -> None:
    card = await w.card(await w.programme(), FULL)
    paid = await w.pay(card, FULL)
    whole = await refund(w, paid, "operator")
    assert (whole.status_code, whole.json()["code"]) == (422, "approval_needed")
    assert (whole.json()["rule"], whole.json()["field"]) == ("ATK-11", "amount")
    most = await refund(w, paid, "operator", amount=FULL - 1)
    assert most.status_code == 200
    pieces = await refund(w, paid, "operator", amount=1)
    assert pieces.json()["code"] == "approval_needed"
    asked = await made(
        w.operator.post(f"/v1/payments/{paid['id']}/refund-requests", {"reason": "goods are back"})
    )
    assert (asked["kind"], asked["payload"]["amount"]) == ("goods_refund", 1)
    done = await made(w.approve(asked["id"]))
    assert (done["state"], done["result"]["destination"]) == ("executed", "card")
    shown = await made(w.auditor.get(f"/v1/payments/{paid['id']}"))
    assert shown["refunded_amount"] == FULL
    again = await w.operator.post(
        f"/v1/payments/{paid['id']}/refund-requests", {"reason": "once more"}
    )
    assert again.json()["code"] == "amount_exceeds_remaining"


async def test_an_approved_refund_needs_one_connection(w: World) -> None:
    """As many approvals at once as there are connections must not wait for each other."""
    paid = await w.pay(await w.card(await w.programme(), FULL), FULL)
    path = f"/v1/payments/{paid['id']}/refund-requests"
    asked = await made(w.operator.post(path, {"reason": "goods are back"}))
    async with AsyncExitStack() as others:
        for _ in range(POOL - 1):
            await others.enter_async_context(w.kabao.db.read())
        done = await made(w.approve(asked["id"]))
    assert done["state"] == "executed"


async def test_a_till_refunds_by_itself(w: World) -> None:
    card = await w.card(await w.programme(), FULL)
    assert (await refund(w, await w.pay(card, FULL), "merchant")).status_code == 200


async def suspended(w: World, fen: int = 1_000) -> tuple[dict[str, Any], str]:
    """A full card, and the operation of a refund that did not fit on it."""
    card = await w.card(await w.programme(), FULL)
    paid = await w.pay(card, fen)
    await w.top_up(card["id"], fen)
    done = await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {}))
    assert done["destination"] == "suspense"
    return card, done["id"].replace("ref_", "op_")


async def ask(w: World, card: str, operation: str, **more: Any) -> httpx.Response:
    body = {"card": card, "operation": operation, "to": "card", "reason": "the case is decided"}
    return await w.operator.post("/v1/suspense-releases", body | more)


async def waiting(w: World) -> int:
    asked = {"owner": w.company, "account": "suspense"}
    accounts = await made(w.auditor.get("/v1/ledger/accounts", **asked))
    return int(accounts["data"][0]["balance"])


@pytest.mark.row("CR-20", "CR-12")
async def test_back_to_the_card_when_there_is_room(w: World) -> None:
    card, operation = await suspended(w)
    full = await ask(w, card["id"], operation)
    assert (full.status_code, full.json()["code"]) == (422, "over_balance_limit")
    await w.pay(card, 1_000)
    asked = await made(ask(w, card["id"], operation))
    assert await waiting(w) == 1_000
    own = await w.operator.post(f"/v1/approvals/{asked['id']}/approve")
    assert own.status_code == 403
    done = await made(w.approve(asked["id"]))
    assert (done["result"]["principal"], done["result"]["balance"]) == (1_000, FULL)
    assert await waiting(w) == 0
    twice = await ask(w, card["id"], operation)
    assert (twice.status_code, twice.json()["code"]) == (422, "nothing_suspended")
    lots = (await made(w.auditor.get("/v1/ledger/lots", card=card["id"])))["data"]
    assert sum(lot["principal_left"] for lot in lots) == FULL


async def test_agreed_twice_it_leaves_once(w: World) -> None:
    card, operation = await suspended(w)
    await w.pay(card, 2_000)
    one, two = [await made(ask(w, card["id"], operation)) for _ in range(2)]
    await made(w.approve(one["id"]))
    late = await w.approve(two["id"])
    assert (late.status_code, late.json()["code"]) == (422, "nothing_suspended")


@pytest.mark.row("CR-21")
async def test_paid_out_to_an_identified_person(w: World) -> None:
    card, operation = await suspended(w)
    person = await made(
        w.operator.post(
            "/v1/customers",
            {
                "party": "person",
                "name": "张三丰",
                "identity": {"type": "resident_id", "number": "11010519491231002X"},
            },
        )
    )
    paid_out = {"to": "payee", "payee": person["id"]}
    unknown = await ask(w, card["id"], operation, **paid_out)
    assert unknown.json()["code"] == "holder_not_identified"
    await made(
        w.operator.post(
            f"/v1/customers/{person['id']}/verifications", {"method": "document_at_counter"}
        )
    )
    for odd in ({"to": "payee"}, {"payee": person["id"]}):
        assert (await ask(w, card["id"], operation, **odd)).status_code in {400, 422}
    done = await made(w.approve((await made(ask(w, card["id"], operation, **paid_out)))["id"]))
    assert (done["result"]["principal"], done["result"]["balance"]) == (1_000, FULL)
    assert await waiting(w) == 0
    out = await made(w.auditor.get("/v1/ledger/accounts", owner=w.company, account="paid_out"))
    assert out["data"][0]["balance"] == 1_000


async def test_whose_suspense_it_is(w: World) -> None:
    card, operation = await suspended(w)
    body = {"card": card["id"], "operation": operation, "to": "card", "reason": "why"}
    outside = await w.by("other-operator").post("/v1/suspense-releases", body)
    nobodys = await w.operator.post("/v1/suspense-releases", body | {"card": "card_" + "0" * 32})
    assert (outside.status_code, nobodys.status_code) == (404, 404)
    another = await ask(w, card["id"], "op_" + "0" * 32)
    assert another.json()["code"] == "nothing_suspended"
