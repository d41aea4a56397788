"""Disputes through HTTP: who may, by when, who bears it, and what the card has at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kabao.audit.ops import audit
from kabao.disputes.ops import Disputes
from tests.app.world import World, made, world

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def paid(w: World, fen: int = 3_000, have: int = 10_000) -> tuple[Any, Any]:
    card = await w.card(await w.programme(), have)
    return card, await w.pay(card, fen)


async def opened(w: World, payment: Any, **more: Any) -> Any:
    body = {"payment": payment["id"], "reason": "not_recognised"} | more
    return await made(w.operator.post("/v1/disputes", body))


async def decided(w: World, dispute: Any, outcome: str, bearer: str | None = None) -> Any:
    body: dict[str, Any] = {"outcome": outcome, "reason": "looked into"}
    if bearer is not None:
        body["bearer"] = bearer
    asked = await made(w.operator.post(f"/v1/disputes/{dispute['id']}/outcome-requests", body))
    await made(w.approve(asked["id"]))
    return await made(w.operator.get(f"/v1/disputes/{dispute['id']}"))


async def balance(w: World, card: Any) -> int:
    shown = await made(w.auditor.get("/v1/ledger/accounts", card=card["id"]))
    return sum(line["balance"] for line in shown["data"])


async def account(w: World, owner: str, name: str) -> int:
    shown = await made(w.auditor.get("/v1/ledger/accounts", owner=owner, account=name))
    (line,) = shown["data"]
    return int(line["balance"])


async def sound(w: World) -> None:
    """The auditor finds nothing."""
    report = await audit(w.kabao.db.url)
    assert [line for line in report.lines if not line.holds] == []


@pytest.mark.row("C-04")
async def test_the_holder_is_right_and_the_store_is_charged(w: World) -> None:
    card, payment = await paid(w)
    dispute = await opened(w, payment, amount=2_000)
    assert (dispute["status"], dispute["amount"], dispute["lent"]) == ("opened", 2_000, 0)
    lent = await made(w.operator.post(f"/v1/disputes/{dispute['id']}/credit"))
    assert (lent["lent"], await balance(w, card)) == (2_000, 9_000)
    assert await account(w, w.company, "disputed") == 2_000
    again = await w.operator.post(f"/v1/disputes/{dispute['id']}/credit")
    assert again.json()["code"] == "dispute_state_forbids"
    await sound(w)
    asked = await made(w.operator.post(f"/v1/disputes/{dispute['id']}/ask-store"))
    assert (asked["status"], asked["evidence_due_on"]) == ("evidence_due", "2026-11-27")
    said = {"accepts": True, "note": "the till rang it up twice"}
    answered = await made(w.merchant.post(f"/v1/disputes/{dispute['id']}/answer", said))
    assert answered["accepted"] is True
    done = await decided(w, dispute, "holder", "store")
    assert (done["status"], done["given"], done["lent"]) == ("decided", 2_000, 0)
    assert await balance(w, card) == 9_000
    assert await account(w, w.company, "disputed") == 0
    assert await account(w, w.store, "redeemed") == 1_000
    await sound(w)


async def test_the_issuer_bears_it_without_a_credit_before(w: World) -> None:
    card, payment = await paid(w)
    done = await decided(w, await opened(w, payment), "holder", "issuer")
    assert (done["given"], await balance(w, card)) == (3_000, 10_000)
    assert await account(w, w.store, "redeemed") == 3_000
    assert await account(w, w.company, "loss") == -3_000
    await sound(w)


@pytest.mark.parametrize("spent", [0, 8_500])
async def test_against_the_holder_the_credit_goes_back_as_far_as_it_is_there(
    w: World, spent: int
) -> None:
    card, payment = await paid(w)
    dispute = await opened(w, payment)
    await made(w.operator.post(f"/v1/disputes/{dispute['id']}/credit"))
    if spent:
        await w.pay(card, spent)
    done = await decided(w, dispute, "store")
    owed = max(0, spent - 7_000)
    assert (done["taken_back"], done["owed"]) == (3_000 - owed, owed)
    assert await balance(w, card) == (0 if spent else 7_000)
    assert await account(w, w.company, "disputed") == 0
    assert await account(w, w.company, "receivable") == owed
    # It is as if it had never been disputed: all of it can be refunded.
    back = await made(w.merchant.post(f"/v1/payments/{payment['id']}/refunds", {"amount": 3_000}))
    assert back["amount"] == 3_000
    await sound(w)


async def test_refunds_and_disputes_never_give_back_more_than_was_paid(w: World) -> None:
    _, payment = await paid(w)
    dispute = await opened(w, payment, amount=2_000)
    await made(w.operator.post(f"/v1/disputes/{dispute['id']}/credit"))
    refunds = f"/v1/payments/{payment['id']}/refunds"
    refused = await w.merchant.post(refunds, {"amount": 1_001})
    assert refused.json()["code"] == "amount_exceeds_remaining"
    void = await w.merchant.post(f"/v1/payments/{payment['id']}/void")
    assert void.json()["code"] == "later_activity"
    undone = await w.merchant.post("/v1/reversals", {"original": {"payment": payment["id"]}})
    assert undone.json()["code"] == "later_activity"
    await made(w.merchant.post(refunds, {"amount": 1_000}))
    await decided(w, dispute, "holder", "store")
    again = await w.operator.post(
        "/v1/disputes", {"payment": payment["id"], "reason": "charged_twice"}
    )
    assert again.json()["code"] == "nothing_to_dispute"
    await sound(w)


async def test_what_the_store_gives_back_meanwhile_is_not_given_twice(w: World) -> None:
    card, payment = await paid(w)
    dispute = await opened(w, payment)
    await made(w.merchant.post(f"/v1/payments/{payment['id']}/refunds", {"amount": 2_500}))
    done = await decided(w, dispute, "holder", "store")
    assert (done["given"], await balance(w, card)) == (500, 10_000)
    await sound(w)
    other = await opened(w, await w.pay(card, 400))
    refunds = f"/v1/payments/{other['payment']}/refunds"
    await made(w.merchant.post(refunds, {"amount": 400}))
    done = await decided(w, other, "holder", "store")
    assert (done["given"], await account(w, w.store, "redeemed")) == (0, 0)
    await sound(w)


async def test_one_at_a_time_also_at_once(w: World) -> None:
    _, payment = await paid(w)
    body = {"payment": payment["id"], "reason": "not_recognised"}
    answers = await asyncio.gather(*(w.operator.post("/v1/disputes", body) for _ in range(4)))
    codes = sorted(a.json().get("code", "opened") for a in answers)
    assert codes == ["already_disputed"] * 3 + ["opened"]


async def test_a_credit_and_refunds_at_once(w: World) -> None:
    card, payment = await paid(w)
    dispute = await opened(w, payment)
    credit = w.operator.post(f"/v1/disputes/{dispute['id']}/credit")
    refunds = [
        w.merchant.post(f"/v1/payments/{payment['id']}/refunds", {"amount": 1_000})
        for _ in range(4)
    ]
    await asyncio.gather(credit, *refunds)
    assert await balance(w, card) == 10_000
    await sound(w)


@pytest.mark.row("C-04")
@pytest.mark.parametrize(("days", "code"), [(179, None), (180, None), (181, "dispute_window_over")])
async def test_papers_can_be_asked_for_180_days(
    database_url: str, tmp_path: Path, days: int, code: str | None
) -> None:
    async with world(database_url, tmp_path, datetime(2026, 1, 5, 10, tzinfo=SHANGHAI)) as w:
        _, payment = await paid(w)
        w.clock.advance(timedelta(days=days))
        body = {"payment": payment["id"], "reason": "not_recognised"}
        answer = (await w.operator.post("/v1/disputes", body)).json()
        assert (answer.get("code"), answer.get("rule")) == (code, "C-04" if code else None)


async def test_days_are_not_guessed(w: World) -> None:
    _, payment = await paid(w)
    w.clock.advance(timedelta(days=30))  # the days until the outcome lead into the next year
    body = {"payment": payment["id"], "reason": "not_recognised"}
    answer = (await w.operator.post("/v1/disputes", body)).json()
    assert (answer["code"], answer["rule"]) == ("calendar_unknown", "C-03")


@pytest.mark.parametrize(("fen", "code"), [(49_999, None), (50_000, "approval_needed")])
async def test_a_large_credit_takes_two_people(w: World, fen: int, code: str | None) -> None:
    card, payment = await paid(w, fen, have=80_000)
    dispute = await opened(w, payment)
    alone = await w.operator.post(f"/v1/disputes/{dispute['id']}/credit")
    assert alone.json().get("code") == code
    if code is None:
        return
    asked = await made(
        w.operator.post(f"/v1/disputes/{dispute['id']}/credit-requests", {"reason": "twice"})
    )
    assert await balance(w, card) == 80_000 - fen
    done = await made(w.approve(asked["id"]))
    assert (done["result"]["amount"], await balance(w, card)) == (fen, 80_000)


async def test_missed_days_become_one_case(w: World) -> None:
    _, payment = await paid(w)
    dispute = await opened(w, payment)
    await made(w.operator.post(f"/v1/disputes/{dispute['id']}/ask-store"))
    disputes: Disputes = w.kabao.disputes
    w.clock.advance(timedelta(days=5))  # the day it is due
    assert await disputes.tell_late() == 0
    w.clock.advance(timedelta(days=1))
    assert await disputes.tell_late() == 1
    assert await disputes.tell_late() == 0
    (case,) = (await made(w.operator.get("/v1/cases")))["data"]
    assert (case["kind"], case["subject"]) == ("dispute.overdue", dispute["id"])
    (late,) = (await made(w.operator.get("/v1/disputes", overdue="true")))["data"]
    assert late["id"] == dispute["id"]


@pytest.mark.row("C-04")
@pytest.mark.row("P-12")
async def test_the_evidence_pack(w: World) -> None:
    card, payment = await paid(w)
    dispute = await opened(w, payment)
    await made(w.operator.post(f"/v1/disputes/{dispute['id']}/credit"))
    (slip,) = (await made(w.merchant.get("/v1/receipts", payment=payment["id"])))["data"]
    url = f"/v1/disputes/{dispute['id']}/evidence"
    pack = await made(w.operator.get(url, verification_code=slip["verification_code"]))
    (receipt,) = pack["receipts"]
    assert receipt["code_matches"] is True
    assert receipt["receipt"]["serial"] == slip["receipt"]["serial"]
    wrong = await made(w.auditor.get(url, verification_code="00000000"))
    assert wrong["receipts"][0]["code_matches"] is False
    assert (pack["payment"]["captured"], pack["payment"]["lent"]) == (3_000, 3_000)
    whats = [line["what"] for line in pack["timeline"]]
    assert sorted(whats) == ["dispute_credit", "dispute_credited", "dispute_opened", "payment"]
    assert card["number"] not in str(pack) and card["pin"] not in str(pack)
    assert (pack["terminal_log"], pack["till"]) == ([], None)


@pytest.mark.row("P-12")
async def test_a_store_guesses_no_codes_at_the_evidence_pack(w: World) -> None:
    card, _ = await paid(w)
    dispute = await opened(w, await w.pay(card, 500, store=w.other_store))
    url, store = f"/v1/disputes/{dispute['id']}/evidence", w.by("other-auditor")
    assert (await store.get(url)).status_code == 200
    guess = await store.get(url, verification_code="00000000")
    assert (guess.status_code, guess.json()["code"]) == (403, "forbidden")


async def test_who_may(w: World) -> None:
    _, payment = await paid(w)
    body = {"payment": payment["id"], "reason": "not_recognised"}
    other = await w.by("other-operator").post("/v1/disputes", body)
    assert other.status_code == 404
    dispute = await opened(w, payment)
    url = f"/v1/disputes/{dispute['id']}"
    assert (await w.by("other-auditor").get(url)).status_code == 404
    assert (await made(w.by("other-auditor").get("/v1/disputes")))["data"] == []
    answer = {"accepts": False, "note": "no"}
    assert (await w.merchant.post(f"{url}/answer", answer)).json()["code"] == (
        "evidence_not_asked_for"
    )
    assert (await w.by("other-operator").post(f"{url}/answer", answer)).status_code == 404
    asked = {"outcome": "holder", "reason": "x"}
    said = await w.operator.post(f"{url}/outcome-requests", asked)
    assert said.json()["code"] == "invalid"
    await decided(w, dispute, "withdrawn")
    for verb in ("credit", "ask-store"):
        refused = await w.operator.post(f"{url}/{verb}")
        assert refused.json()["code"] == "dispute_state_forbids"
