"""Codes of a card through HTTP, with time standing still until it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.app.world import World, made, world

LIFE_S = 65
TIE_S = 180


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        w.terminals = [  # type: ignore[attr-defined]
            (await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "X1"})))["id"]
            for _ in range(2)
        ]
        await w.kabao.merchants.refresh()
        yield w


def pass_time(w: World, seconds: float) -> None:
    w.clock.advance(timedelta(seconds=seconds))


async def card_with(w: World, fen: int) -> dict[str, Any]:
    return await w.card(await w.programme(), fen)


async def new_code(w: World, card: dict[str, Any]) -> str:
    made_ = await made(w.merchant.post("/v1/pay-codes", {"card": card["id"]}))
    assert made_["card"] == {"id": card["id"], "last4": card["last4"]}
    return str(made_["code"])


async def pay(
    w: World, code: str, fen: int = 100, till: int = 0, order: str | None = "o1", **more: Any
) -> dict[str, Any]:
    terminals: list[str] = w.terminals  # type: ignore[attr-defined]
    key = more.pop("key", None)
    body = {
        "amount": fen,
        "currency": "CNY",
        "source": {"type": "pay_code", "code": code},
        "store": w.store,
        "terminal": terminals[till],
        "reference": order,
    }
    return await made(w.merchant.post("/v1/payments", body | more, key=key))


def no(payment: dict[str, Any]) -> tuple[str | None, str | None]:
    """How it was declined; nothing else about the card is told."""
    if payment["status"] != "declined":
        return None, None
    if str(payment["decline_code"]).startswith("pay_code"):
        assert payment["card"] is None
        assert payment["balance_after"] is None
        assert payment["rule"] == "P-14"
    return payment["decline_code"], payment["rule"]


EXPIRED = ("pay_code_expired", "P-14")
USED = ("pay_code_used", "P-14")


@pytest.mark.row("P-08", "P-13")
async def test_a_code_pays_once(w: World) -> None:
    card = await card_with(w, 1000)
    code = await new_code(w, card)
    assert len(code) == 18
    assert code.startswith("83")
    assert code[-17:] not in card["number"]
    first = await pay(w, code)
    assert (first["status"], first["balance_after"]) == ("captured", 900)
    assert first["card"]["id"] == card["id"]
    assert no(await pay(w, code)) == USED
    assert no(await pay(w, code, 1)) == USED
    assert no(await pay(w, code, order="o2")) == USED
    assert no(await pay(w, code, till=1)) == USED


async def test_the_same_key_gets_the_first_answer_again(w: World) -> None:
    code = await new_code(w, await card_with(w, 1000))
    first = await pay(w, code, key="once")
    pass_time(w, 600)
    assert await pay(w, code, key="once") == first


@pytest.mark.row("P-14")
@pytest.mark.parametrize(
    ("seconds", "answer"),
    [(LIFE_S - 0.001, (None, None)), (LIFE_S, EXPIRED), (LIFE_S + 0.001, EXPIRED)],
)
async def test_a_code_is_shown_in_time_or_never(
    w: World, seconds: float, answer: tuple[str | None, str | None]
) -> None:
    code = await new_code(w, await card_with(w, 1000))
    pass_time(w, seconds)
    assert no(await pay(w, code)) == answer


@pytest.mark.row("P-14")
async def test_a_new_code_bars_the_older_ones(w: World) -> None:
    card = await card_with(w, 1000)
    screenshot = await new_code(w, card)
    fresh = await new_code(w, card)
    assert no(await pay(w, screenshot)) == EXPIRED
    assert no(await pay(w, fresh)) == (None, None)
    assert no(await pay(w, screenshot)) == EXPIRED


@pytest.mark.row("P-14", "P-16")
async def test_after_too_little_money_the_same_code_goes_on_at_its_till(w: World) -> None:
    card = await card_with(w, 60)
    code = await new_code(w, card)
    short = await pay(w, code, 100)
    assert (short["decline_code"], short["balance_after"]) == ("insufficient_funds", 60)
    await new_code(w, card)  # the wallet shows the next one meanwhile
    pass_time(w, 120)
    assert no(await pay(w, code, 60, till=1)) == USED
    assert no(await pay(w, code, 60, order="o2")) == USED
    assert (await pay(w, code, 60))["status"] == "captured"
    assert no(await pay(w, code, 1)) == USED


async def test_a_partial_approval_leaves_the_rest_to_pay(w: World) -> None:
    card = await card_with(w, 60)
    code = await new_code(w, card)
    part = await pay(w, code, 100, accept_partial=True)
    assert part["approved_amount"] == 60
    await w.top_up(card["id"], 500)
    assert no(await pay(w, code, 41)) == USED
    assert no(await pay(w, code, 40, till=1)) == USED
    assert (await pay(w, code, 40))["status"] == "captured"
    assert no(await pay(w, code, 1)) == USED


@pytest.mark.parametrize("undo", ["void", "reverse"])
async def test_what_was_undone_can_be_tried_again(w: World, undo: str) -> None:
    code = await new_code(w, await card_with(w, 1000))
    first = await pay(w, code, key="first")
    if undo == "void":
        await made(w.merchant.post(f"/v1/payments/{first['id']}/void"))
    else:
        original = {"original": {"idempotency_key": "first"}}
        await made(w.merchant.post("/v1/reversals", original))
    assert no(await pay(w, code, till=1)) == USED
    assert (await pay(w, code))["status"] == "captured"
    assert no(await pay(w, code)) == USED


@pytest.mark.parametrize(("seconds", "answer"), [(TIE_S - 0.001, (None, None)), (TIE_S, EXPIRED)])
async def test_a_tie_ends_after_three_minutes(
    w: World, seconds: float, answer: tuple[str | None, str | None]
) -> None:
    code = await new_code(w, await card_with(w, 60))
    await pay(w, code, 100)
    pass_time(w, seconds)
    assert no(await pay(w, code, 60)) == answer


async def test_a_hold_and_its_capture(w: World) -> None:
    code = await new_code(w, await card_with(w, 1000))
    held = await pay(w, code, capture=False)
    assert held["status"] == "authorized"
    assert no(await pay(w, code)) == USED
    captured = await made(w.merchant.post(f"/v1/payments/{held['id']}/capture"))
    assert captured["status"] == "captured"


async def test_digits_that_are_no_code_are_any_unknown_card(w: World) -> None:
    await card_with(w, 1000)
    for digits in ("830000000000000000", "840000000000000000", "134567890123456789"):
        answer = await pay(w, digits)
        assert no(answer) == ("card_not_accepted", None)
        assert answer["card"] is None
    for digits in ("83", "8" * 19, "83000000000000000x"):
        body = {"source": {"type": "pay_code", "code": digits}}
        refused = await w.merchant.post("/v1/balance-inquiries", body)
        assert refused.status_code == 422


async def test_a_code_of_a_frozen_card_pays_nothing(w: World) -> None:
    card = await card_with(w, 1000)
    code = await new_code(w, card)
    await made(w.operator.post(f"/v1/cards/{card['id']}/freeze", {"reason": "risk"}))
    assert no(await pay(w, code)) == ("card_frozen", "P-10")
    refused = await w.merchant.post("/v1/pay-codes", {"card": card["id"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "card_not_active")


async def test_an_inquiry_ties_nothing_and_ends_with_the_first_presentation(w: World) -> None:
    code = await new_code(w, await card_with(w, 60))
    body = {"source": {"type": "pay_code", "code": code}}
    told = await made(w.merchant.post("/v1/balance-inquiries", body))
    assert told["balance"] == 60
    await pay(w, code, 100, till=1)
    refused = await w.merchant.post("/v1/balance-inquiries", body)
    assert refused.json()["code"] == "card_not_accepted"
    assert (await pay(w, code, 60, till=1))["status"] == "captured"


async def test_an_inquiry_with_an_old_code_tells_nothing(w: World) -> None:
    card = await card_with(w, 60)
    code = await new_code(w, card)
    await new_code(w, card)
    body = {"source": {"type": "pay_code", "code": code}}
    refused = await w.merchant.post("/v1/balance-inquiries", body)
    assert refused.json()["code"] == "card_not_accepted"


async def test_whoever_shows_the_card_gets_a_code(w: World) -> None:
    card = await card_with(w, 1000)
    shown = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    code = await made(w.merchant.post("/v1/pay-codes", {"source": shown}))
    assert (await pay(w, code["code"]))["status"] == "captured"
    wrong = shown | {"pin": "000001"}
    for _ in range(3):
        refused = await w.merchant.post("/v1/pay-codes", {"source": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "card_not_accepted")
    refused = await w.merchant.post("/v1/pay-codes", {"source": shown})
    assert refused.json()["code"] == "card_not_accepted", "wrong PINs were counted"


async def test_who_may_make_codes(w: World) -> None:
    card = await card_with(w, 1000)
    body = {"card": card["id"]}
    assert (await w.auditor.post("/v1/pay-codes", body)).status_code == 403
    for wrong in ({}, body | {"source": {"type": "card", "id": card["id"]}}):
        refused = await w.merchant.post("/v1/pay-codes", wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    unknown = await w.merchant.post("/v1/pay-codes", {"card": "card_" + "0" * 32})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_the_same_key_makes_the_same_code(w: World) -> None:
    card = await card_with(w, 1000)
    body = {"card": card["id"]}
    first = await made(w.merchant.post("/v1/pay-codes", body, key="c1"))
    assert await made(w.merchant.post("/v1/pay-codes", body, key="c1")) == first
    assert (await w.merchant.post("/v1/pay-codes?format=svg", body, key="c1")).status_code == 409
    pass_time(w, 24 * 3600)
    gone = await w.merchant.post("/v1/pay-codes", body, key="c1")
    assert gone.json()["code"] == "secret_already_shown"


async def test_a_code_can_be_drawn(w: World) -> None:
    card = await card_with(w, 1000)
    body = {"card": card["id"]}
    svg = (await made(w.merchant.post("/v1/pay-codes?format=svg", body)))["image"]
    assert svg.startswith("data:image/svg+xml")
    png = (await made(w.merchant.post("/v1/pay-codes?format=png", body)))["image"]
    assert png.startswith("data:image/png;base64,iVBOR")
    assert (await made(w.merchant.post("/v1/pay-codes", body)))["image"] is None
    assert (await w.merchant.post("/v1/pay-codes?format=gif", body)).status_code in {400, 422}


async def test_codes_are_forgotten_an_hour_after_their_end(w: World) -> None:
    card = await card_with(w, 1000)
    code = await new_code(w, card)
    pass_time(w, 3600 + LIFE_S)
    assert await w.kabao.paycodes.forget() == 0
    assert no(await pay(w, code)) == EXPIRED
    pass_time(w, 1)
    assert await w.kabao.paycodes.forget() == 1
    assert no(await pay(w, code)) == ("card_not_accepted", None)
    # The series goes on: what comes after is newer than what was.
    assert (await pay(w, await new_code(w, card)))["status"] == "captured"
