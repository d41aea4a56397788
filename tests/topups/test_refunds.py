"""Money of a top-up that goes back, or that its channel takes back from us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit

from .money import Money, made, money


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    """Alipay alone; afterwards the books are sound."""
    async with money(database_url, tmp_path, "alipay") as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


async def refunded(at: Money, topup: dict[str, Any], **more: Any) -> dict[str, Any]:
    return await made(at.refund(topup, **more))


@pytest.mark.row("CR-23", "T-20")
async def test_the_whole_goes_back_the_way_it_came(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    refund = await refunded(at, topup)
    assert (refund["status"], refund["amount"], refund["kept"], refund["bonus_taken"]) == (
        "pending",
        10_000,
        0,
        0,
    )
    assert await at.balance(card) == (10_000, 0), "it is set aside at once"
    assert (await at.see(topup))["status"] == "refunding"
    await at.passes(1)
    after = await at.see(topup)
    assert (after["status"], after["refunded"]) == ("refunded", 10_000)
    assert await at.balance(card) == (0, 0)
    assert (await at.accounts()).get("collected", 0) == 0
    (kept,) = (await made(at.home.operator.get(f"/v1/topups/{topup['id']}/refunds")))["data"]
    assert (kept["status"], kept["done_at"] is not None) == ("done", True)
    again = await at.refund(topup)
    assert (again.status_code, again.json()["code"]) == (409, "topup_not_refundable")


@pytest.mark.row("CR-24", "A-11")
async def test_bonus_goes_back_in_parts(at: Money) -> None:
    programme = await at.home.programme()
    rule = await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    assert await at.balance(card) == (12_000, 12_000)
    part = await refunded(at, topup, amount=4_000)
    assert (part["amount"], part["bonus_taken"]) == (4_000, 800)
    await at.passes(1)
    assert (await at.see(topup))["status"] == "confirmed"
    assert await at.balance(card) == (7_200, 7_200)
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 1_200
    await refunded(at, topup)
    await at.passes(1)
    assert ((await at.see(topup))["status"], await at.balance(card)) == ("refunded", (0, 0))
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 0


@pytest.mark.row("CR-24", "CR-25")
@pytest.mark.parametrize(
    ("fault", "amount", "kept"), [("payer", 8_000, 2_000), ("issuer", 8_333, 1_667)]
)
async def test_bonus_that_was_spent_is_paid_for(
    at: Money, fault: str, amount: int, kept: int
) -> None:
    """100 yuan were paid and 20 given; 20 were spent, bonus first."""
    programme = await at.home.programme()
    await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    await at.home.pay(card, 2_000)
    may = await made(at.home.operator.get(f"/v1/topups/{topup['id']}/refunds"))
    assert (may["refundable"], may["refundable_at_our_fault"]) == (8_000, 8_333)
    over = await at.refund(topup, fault=fault, amount=amount + 1)
    assert (over.status_code, over.json()["code"], over.json()["rule"]) == (
        422,
        "topup_refund_too_large",
        "CR-24",
    )
    refund = await refunded(at, topup, fault=fault)
    assert (refund["amount"], refund["kept"], refund["bonus_taken"]) == (amount, kept, 0)
    await at.passes(1)
    assert await at.balance(card) == (0, 0)
    assert (await at.accounts())["bonus_cost"] == 2_000 - kept


@pytest.mark.row("CR-24")
@pytest.mark.parametrize("order", ["bonus_first", "principal_first", "pro_rata"])
@pytest.mark.parametrize("takes", [True, False])
async def test_at_our_fault_the_order_of_spending_takes_nothing(
    at: Money, order: str, takes: bool
) -> None:
    """100 yuan were paid and 20 given; 60 of goods cost 50."""
    programme = await at.home.programme(limits={"card.spend.order": order})
    rule = await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    await at.home.pay(card, 6_000)
    host, trade = await at.trade(topup)
    if not takes:
        assert host.party.book.refund(trade, "by-hand", 9_000, trade.number) is not None
    refund = await refunded(at, topup, fault="issuer")
    assert refund["amount"] == 5_000
    assert refund["from_bonus"] == (1_000 if order == "principal_first" else 0)
    await at.passes(1)
    if not takes:
        assert await at.balance(card) == (6_000, 6_000), "all is as it was"
        return
    assert await at.balance(card) == (0, 0)
    accounts = await at.accounts()
    assert (accounts["collected"], accounts["bonus_cost"]) == (5_000, 1_000)
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 1_000


@pytest.mark.row("T-20")
async def test_a_channel_that_refuses_leaves_the_value_on_the_card(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    host, trade = await at.trade(topup)
    # At the party's own desk half of it was given back already.
    assert host.party.book.refund(trade, "by-hand", 5_000, trade.number) is not None
    await refunded(at, topup)
    assert await at.balance(card) == (10_000, 0)
    await at.passes(1)
    (seen,) = (await made(at.home.operator.get(f"/v1/topups/{topup['id']}/refunds")))["data"]
    assert (seen["status"], seen["refusal"] is not None) == ("refused", True)
    after = await at.see(topup)
    assert (after["status"], after["refunded"]) == ("confirmed", 0)
    assert await at.balance(card) == (10_000, 10_000)
    (lot,) = (await made(at.home.auditor.get("/v1/ledger/lots", card=card["id"])))["data"]
    assert lot["principal_left"] == 10_000


@pytest.mark.row("P-16")
async def test_what_a_payment_holds_stays(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    await at.home.pay(card, 1, capture=False)
    refused = await at.refund(topup)
    assert (refused.status_code, refused.json()["code"]) == (409, "topup_value_held")
    assert (await refunded(at, topup, amount=9_999))["amount"] == 9_999


async def test_cash_is_not_refunded_through_a_channel(at: Money) -> None:
    card = await at.card()
    topup = await at.home.top_up(card["id"], 1_000)
    refused = await at.refund(topup)
    assert (refused.status_code, refused.json()["code"]) == (422, "topup_was_cash")
    paid = await at.paid(card)
    voided = await at.home.operator.post(f"/v1/topups/{paid['id']}/void")
    assert (voided.status_code, voided.json()["code"]) == (409, "topup_not_cash")


@pytest.mark.row("P-10")
@pytest.mark.parametrize(
    ("verb", "fault", "status"),
    [
        ("freeze", "payer", 422),
        ("freeze", "issuer", 422),
        ("lost", "payer", 422),
        ("lost", "issuer", 201),
    ],
)
async def test_nothing_goes_back_from_a_stopped_card(
    at: Money, verb: str, fault: str, status: int
) -> None:
    card = await at.card()
    topup = await at.paid(card)
    await stopped(at, card, verb)
    reply = await at.refund(topup, fault=fault)
    assert reply.status_code == status, reply.text
    if status == 422:
        assert (reply.json()["code"], reply.json()["rule"]) == ("topup_card_stopped", "P-10")
        assert (await at.see(topup))["status"] == "confirmed"


async def stopped(at: Money, card: dict[str, Any], verb: str) -> None:
    if verb == "freeze":
        await made(at.home.operator.post(f"/v1/cards/{card['id']}/freeze", {"reason": "risk"}))
        return
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    claim = {"claim": {"type": "possession", "source": source}}
    await made(at.home.operator.post(f"/v1/cards/{card['id']}/report-loss", claim))


async def recalled(
    at: Money, topup: dict[str, Any], fen: int | None = None, nth: str = ""
) -> dict[str, Any]:
    """The channel took money back; the recall."""
    reference = f"cb-{topup['id'][-6:]}{nth}"
    body: dict[str, Any] = {"reference": reference, "reason": "charge-back"}
    if fen is not None:
        body["amount"] = fen
    path = f"/v1/collections/{topup['collection']}/recalls"
    await made(at.home.operator.post(path, body))
    found = await made(at.home.operator.get(f"/v1/topups/{topup['id']}/recalls"))
    recall: dict[str, Any] = found["data"][-1]
    return recall


async def settled(at: Money, recall: dict[str, Any], *, won: bool) -> dict[str, Any]:
    path = f"/v1/recalls/{recall['id']}/settlements"
    asked = await made(at.home.operator.post(path, {"won": won, "reason": "the bank's letter"}))
    done = await at.home.approve(asked["id"])
    assert done.is_success, done.text
    found = await made(at.home.operator.get(f"/v1/topups/{recall['topup']}/recalls"))
    ended: dict[str, Any] = found["data"][-1]
    return ended


@pytest.mark.row("T-20")
async def test_a_charge_back_freezes_what_is_left(at: Money) -> None:
    card = await at.card(5_000)
    topup = await at.paid(card)
    await at.home.pay(card, 9_000)  # 5,000 of the cash, 4,000 of this
    recall = await recalled(at, topup)
    assert (recall["status"], recall["amount"], recall["frozen"], recall["owed"]) == (
        "open",
        10_000,
        6_000,
        4_000,
    )
    assert await at.balance(card) == (6_000, 0)
    assert (await at.see(topup))["status"] == "recalled"
    accounts = await at.accounts()
    assert (accounts["collected"], accounts["receivable"]) == (6_000, 4_000)
    cases = (await made(at.home.operator.get("/v1/cases")))["data"]
    assert [case["kind"] for case in cases] == ["funding.recalled"]
    lost = await settled(at, recall, won=False)
    assert lost["status"] == "lost"
    assert await at.balance(card) == (0, 0)
    accounts = await at.accounts()
    assert (accounts["collected"], accounts["receivable"]) == (0, 4_000)
    again = await at.home.operator.post(
        f"/v1/recalls/{recall['id']}/settlements", {"won": True, "reason": "x"}
    )
    assert (again.status_code, again.json()["code"]) == (409, "recall_settled")


@pytest.mark.row("T-20")
async def test_a_charge_back_that_is_won(at: Money) -> None:
    programme = await at.home.programme()
    await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    await at.home.pay(card, 5_000)  # 2,000 of bonus, 3,000 of what was paid
    recall = await recalled(at, topup)
    assert (recall["frozen"], recall["frozen_bonus"], recall["owed"]) == (7_000, 0, 3_000)
    won = await settled(at, recall, won=True)
    assert won["status"] == "won"
    assert await at.balance(card) == (7_000, 7_000)
    accounts = await at.accounts()
    assert (accounts["collected"], accounts["receivable"]) == (10_000, 0)
    (lot,) = (await made(at.home.auditor.get("/v1/ledger/lots", card=card["id"])))["data"]
    assert (lot["principal_left"], lot["bonus_left"]) == (7_000, 0)
    assert (await at.see(topup))["status"] == "confirmed"


async def test_frozen_bonus_goes_with_the_money(at: Money) -> None:
    programme = await at.home.programme()
    rule = await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    recall = await recalled(at, topup, 5_000)
    assert (recall["frozen"], recall["frozen_bonus"]) == (5_000, 1_000)
    assert await at.balance(card) == (12_000, 6_000)
    await settled(at, recall, won=False)
    assert await at.balance(card) == (6_000, 6_000)
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 1_000


@pytest.mark.row("T-20")
@pytest.mark.parametrize("first", ["recall", "refund"])
async def test_no_bonus_stays_when_all_is_taken_in_parts(at: Money, first: str) -> None:
    programme = await at.home.programme()
    rule = await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    if first == "recall":
        await recalled(at, topup, 5_000, "a")
    else:
        await refunded(at, topup, amount=5_000)
        await at.passes(1)
    rest = await recalled(at, topup, 5_000, "b")
    assert (rest["frozen"], rest["frozen_bonus"]) == (5_000, 1_000)
    assert (await at.balance(card))[1] == 0
    for recall in (await made(at.home.operator.get(f"/v1/topups/{topup['id']}/recalls")))["data"]:
        await settled(at, recall, won=False)
    assert await at.balance(card) == (0, 0)
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 0


async def test_it_stays_recalled_until_every_recall_is_decided(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    one, other = [await recalled(at, topup, 3_000, nth) for nth in "ab"]
    await settled(at, one, won=True)
    assert (await at.see(topup))["status"] == "recalled"
    assert (await at.refund(topup, amount=1_000)).json()["code"] == "topup_not_refundable"
    await settled(at, other, won=True)
    assert (await at.see(topup))["status"] == "confirmed"
    assert await at.balance(card) == (10_000, 10_000)


@pytest.mark.row("T-20", "CR-24")
async def test_what_was_won_back_can_go_back_to_its_payer(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    await settled(at, await recalled(at, topup), won=True)
    assert (await collected(at, topup))["status"] == "confirmed", "the money is here again"
    part = await refunded(at, topup, amount=4_000)
    rest = await refunded(at, topup)
    assert (part["amount"], rest["amount"]) == (4_000, 6_000)
    await at.passes(1)
    assert (await at.see(topup))["status"] == "refunded"
    assert (await collected(at, topup))["status"] == "refunded"
    assert await at.balance(card) == (0, 0)
    assert (await at.accounts()).get("collected", 0) == 0


@pytest.mark.row("T-20", "CR-24")
@pytest.mark.parametrize(("given", "most"), [(False, 6_000), (True, 6_000)])
async def test_the_rest_of_what_was_lost_in_part_can_go_back(
    at: Money, given: bool, most: int
) -> None:
    programme = await at.home.programme()
    if given:
        await at.bonus(programme)
    card = await at.home.card(programme)
    topup = await at.paid(card)
    recall = await recalled(at, topup, 4_000)
    assert (await at.refund(topup)).json()["code"] == "topup_not_refundable"
    await settled(at, recall, won=False)
    assert (await at.see(topup))["status"] == "confirmed"
    may = await made(at.home.operator.get(f"/v1/topups/{topup['id']}/refunds"))
    assert (may["refundable"], may["refundable_at_our_fault"]) == (most, most)
    over = await at.refund(topup, amount=most + 1)
    assert (over.status_code, over.json()["rule"]) == (422, "T-20")
    await refunded(at, topup)
    await at.passes(1)
    assert (await at.see(topup))["status"] == "refunded"
    assert await at.balance(card) == (0, 0)


async def test_what_was_lost_and_spent_does_not_go_back_as_well(at: Money) -> None:
    """100 yuan; 70 were spent, and the payer has taken 40 back: 10 of them are owed."""
    card = await at.card()
    topup = await at.paid(card)
    await at.home.pay(card, 7_000)
    recall = await recalled(at, topup, 4_000)
    assert (recall["frozen"], recall["owed"]) == (3_000, 1_000)
    await settled(at, recall, won=False)
    assert (await at.refund(topup)).json()["code"] == "topup_not_refundable"


async def test_all_of_it_lost_stays_recalled(at: Money) -> None:
    card = await at.card()
    topup = await at.paid(card)
    one, other = [await recalled(at, topup, 5_000, nth) for nth in "ab"]
    await settled(at, one, won=False)
    await settled(at, other, won=False)
    assert (await at.see(topup))["status"] == "recalled"


async def collected(at: Money, topup: dict[str, Any]) -> dict[str, Any]:
    """What was collected for a top-up, and what went back of it."""
    found = at.home.operator.get(f"/v1/collections/{topup['collection']}")
    whole: dict[str, Any] = await made(found)
    return whole
