"""The store shows a code, the customer's wallet pays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.world import World, made, world

from .test_codes import card_with


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def store_code(w: World, **more: Any) -> str:
    shown = await made(w.merchant.post("/v1/pay-codes/static", {"store": w.store} | more))
    return str(shown["code"])


def body(code: str, card: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    return {"code": code, "currency": "CNY", "source": source} | more


PAY = "/v1/pay-codes/static/payments"


@pytest.mark.row("P-08")
async def test_a_wallet_pays_what_its_customer_says(w: World) -> None:
    card = await card_with(w, 1000)
    code = await store_code(w)
    seen = await made(w.merchant.get("/v1/pay-codes/static", code=code))
    assert (seen["store"], seen["store_name"], seen["company_name"], seen["amount"]) == (
        w.store,
        "Store",
        "Group",
        None,
    )
    first = await made(w.merchant.post(PAY, body(code, card, amount=300), key="k"))
    assert (first["status"], first["store"], first["balance_after"]) == ("captured", w.store, 700)
    assert await made(w.merchant.post(PAY, body(code, card, amount=300), key="k")) == first
    other = await w.merchant.post(PAY, body(code, card, amount=301), key="k")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    undone = await made(w.merchant.post("/v1/reversals", {"original": {"idempotency_key": "k"}}))
    assert undone["payment"]["id"] == first["id"]
    by_id = body(code, card, amount=1000) | {"source": {"type": "card", "id": card["id"]}}
    assert (await made(w.merchant.post(PAY, by_id)))["status"] == "captured"


async def test_a_code_may_say_how_much(w: World) -> None:
    card = await card_with(w, 1000)
    terminal = (await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "X1"})))[
        "id"
    ]
    code = await store_code(w, terminal=terminal, amount=250)
    for amount in ({}, {"amount": 250}):
        paid = await made(w.merchant.post(PAY, body(code, card, **amount)))
        assert (paid["approved_amount"], paid["terminal"]) == (250, terminal)
    for amount in (249, 251):
        refused = await w.merchant.post(PAY, body(code, card, amount=amount))
        assert (refused.status_code, refused.json()["code"]) == (422, "store_code_amount")
    free = await w.merchant.post(PAY, body(await store_code(w), card))
    assert free.json()["code"] == "store_code_amount"


async def test_no_sign_of_a_code_can_be_changed(w: World) -> None:
    """Above all not into another store's, another till's, another amount."""
    card = await card_with(w, 1000)
    code = await store_code(w, amount=250)
    forged = {
        code[:at] + ("0" if sign != "0" else "1") + code[at + 1 :] for at, sign in enumerate(code)
    }
    store, theirs = w.store.removeprefix("sto_").upper(), w.other_store.removeprefix("sto_").upper()
    forged |= {code.replace(store, theirs), code.replace(":250:", "::"), code + "0", code[:-1]}
    forged |= {code.replace("::250", f":{'0' * 32}:250"), code.replace(":250:", ":0250:")}
    for text in sorted(forged - {code}):
        refused = await w.merchant.post(PAY, body(text, card, amount=250))
        assert (refused.status_code, refused.json()["code"]) == (422, "store_code_invalid"), text
        seen = await w.merchant.get("/v1/pay-codes/static", code=text)
        assert seen.json()["code"] == "store_code_invalid"


async def test_a_code_can_be_drawn(w: World) -> None:
    for image, head in (("svg", "data:image/svg+xml"), ("png", "data:image/png;base64,")):
        path = f"/v1/pay-codes/static?format={image}"
        shown = await made(w.merchant.post(path, {"store": w.store}))
        assert shown["image"].startswith(head)


async def test_a_wrong_pin_is_counted_here_too(w: World) -> None:
    card = await card_with(w, 1000)
    code = await store_code(w)
    for _ in range(3):
        paid = await made(w.merchant.post(PAY, body(code, card | {"pin": "000001"}, amount=1)))
        assert paid["decline_code"] == "card_not_accepted"
    paid = await made(w.merchant.post(PAY, body(code, card, amount=1)))
    assert paid["decline_code"] == "card_not_accepted"


async def test_a_store_outside_the_keys_scope_is_unknown(w: World) -> None:
    code = await store_code(w)
    theirs = w.by("other-operator")
    assert (await theirs.post("/v1/pay-codes/static", {"store": w.store})).status_code == 403
    unknown = await w.merchant.post("/v1/pay-codes/static", {"store": "sto_" + "0" * 32})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_store")
    assert (await w.auditor.get("/v1/pay-codes/static", code=code)).status_code == 403
