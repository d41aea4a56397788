"""Cash of cashiers against what the bank booked, through HTTP and a bank of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.ids import from_edge
from kabao.ledger.model import Account
from tests.app.world import made, world

from .paying import Night, night


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    async with world(database_url, tmp_path) as opened, night(opened) as ready:
        yield ready


async def begun(at: Night) -> tuple[str, str, str]:
    """A terminal, a cashier and the shift that has just begun there."""
    machine = {"store": at.at.store, "model": "A920"}
    till = (await made(at.at.operator.post("/v1/terminals", machine)))["id"]
    cashier = await at.at.person(at.kabao.ids.new()[-6:])
    opened = await made(at.at.merchant.post("/v1/shifts", {"terminal": till, "cashier": cashier}))
    return till, cashier, opened["id"]


async def shift(at: Night, *loads_fen: int, of_other_fen: int = 0) -> str:
    """A shift that took cash for cards, also of the other issuer, counted and closed."""
    own = await at.at.programme()
    till, cashier, opened = await begun(at)
    loads = [(own, fen) for fen in loads_fen]
    if of_other_fen:
        loads.append((await at.at.programme(at.at.other), of_other_fen))
    for programme, fen in loads:
        card = await at.at.card(programme)
        body = {
            "card": card["id"],
            "amount": fen,
            "currency": "CNY",
            "channel": "cash",
            "store": at.at.store,
            "terminal": till,
            "cashier": cashier,
        }
        await made(at.at.operator.post("/v1/topups", body))
    closed = {"cash": sum(loads_fen) + of_other_fen}
    await made(at.at.merchant.post(f"/v1/shifts/{opened}/close", closed))
    return opened


async def hand_over(at: Night, fen: int, *shifts: str) -> dict[str, Any]:
    body = {"store": at.at.store, "amount": fen, "shifts": list(shifts)}
    return await made(at.at.operator.post("/v1/deposits", body))


async def pay_in(at: Night, fen: int, words: str) -> None:
    await at.desk("POST", "transfers", {"amount": fen, "words": words, "name": "解款员"})
    await at.kabao.funding.receive()


async def test_a_bag_that_arrives_whole_is_matched_by_itself(at: Night) -> None:
    first, second = await shift(at, 10_000, 5_000), await shift(at, 700)
    bag = await hand_over(at, 15_700, first, second)
    assert (bag["expected"], bag["status"]) == (15_700, "handed_over")
    await at.kabao.funding.receive()
    before = {one["id"] for one in await at.cases()}
    await pay_in(at, 15_700, f"解款 {bag['reference']}")
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert (shown["status"], shown["received"], shown["difference"]) == ("matched", 15_700, 0)
    assert {(one["shift"], one["cash"]) for one in shown["shifts"]} == {
        (first, 15_000),
        (second, 700),
    }
    assert await at.balance(Account.BANK, at.company) == -15_700  # debit: money there
    assert await at.balance(Account.CASH, from_edge("sto", at.at.store)) == 15_700
    assert {one["id"] for one in await at.cases()} == before
    await at.kabao.funding.receive()  # the same entry again books nothing
    assert await at.balance(Account.BANK, at.company) == -15_700


@pytest.mark.parametrize("booked", [15_699, 15_701])
async def test_a_difference_is_a_case_and_takes_two_people(at: Night, booked: int) -> None:
    one = await shift(at, 15_700)
    bag = await hand_over(at, 15_700, one)
    await pay_in(at, booked, bag["reference"])
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert (shown["status"], shown["difference"]) == ("differs", booked - 15_700)
    (case,) = [c for c in await at.cases() if c["kind"] == "clearing.deposit_differs"]
    assert case["subject"] == bag["id"] and case["facts"]["received"] == booked
    store = from_edge("sto", at.at.store)
    assert await at.balance(Account.CASH, store) == booked
    path = f"/v1/deposits/{bag['id']}/differences"
    asked = await made(at.at.operator.post(path, {"reason": "counted twice"}))
    assert asked["payload"]["difference"] == booked - 15_700
    await made(at.at.approve(asked["id"]))
    assert await at.balance(Account.CASH, store) == 15_700
    assert await at.balance(Account.CASH_DIFFERENCE, store) == booked - 15_700
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert shown["status"] == "settled"
    again = await at.at.operator.post(path, {"reason": "again"})
    assert again.json()["code"] == "no_difference"


async def test_a_bag_with_less_than_the_books_say_is_a_case_at_once(at: Night) -> None:
    one = await shift(at, 5_000)
    bag = await hand_over(at, 4_900, one)
    (case,) = [c for c in await at.cases() if c["kind"] == "clearing.deposit_declared_otherwise"]
    assert case["facts"] == {"declared": 4_900, "expected": 5_000}
    await pay_in(at, 4_900, bag["reference"])
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert shown["difference"] == -100


async def test_the_cash_of_a_shift_is_handed_over_once_and_counted(at: Night) -> None:
    one = await shift(at, 5_000)
    await hand_over(at, 5_000, one)
    body = {"store": at.at.store, "amount": 5_000, "shifts": [one]}
    twice = await at.at.operator.post("/v1/deposits", body)
    assert (twice.status_code, twice.json()["code"]) == (409, "shift_deposited")
    elsewhere = await at.at.operator.post("/v1/deposits", body | {"store": at.at.other_store})
    assert elsewhere.json()["code"] == "invalid"
    _, _, opened = await begun(at)
    early = await at.at.operator.post("/v1/deposits", body | {"shifts": [opened]})
    assert early.json()["code"] == "shift_still_open"


async def test_each_issuer_gets_what_its_own_cards_brought(at: Night) -> None:
    one = await shift(at, 30_000, of_other_fen=20_000)
    bag = await hand_over(at, 30_000, one)
    assert bag["expected"] == 30_000
    body = {"store": at.at.store, "amount": 20_000, "shifts": [one], "company": at.at.other}
    other = await made(at.at.operator.post("/v1/deposits", body))
    assert (other["company"], other["expected"]) == (at.at.other, 20_000)
    assert await at.cases() == []
    twice = await at.at.operator.post("/v1/deposits", body)
    assert twice.json()["code"] == "shift_deposited"


async def test_cash_the_store_keeps_is_no_deposit(at: Night) -> None:
    one = await shift(at, 5_000)
    today = at.kabao.days.of(at.kabao.clock.now_us())
    rule = {
        "company": at.at.company,
        "effective_from": str(today + timedelta(days=1)),
        "workdays": 1,
        "minimum": 0,
        "cash": "netted",
        "fees_on_refunds": "kept",
        "carry_negative": True,
        "reason": "agreed",
    }
    asked = await made(at.at.operator.post("/v1/settlement-rules", rule))
    await made(at.at.approve(asked["id"]))
    at.at.clock.advance(timedelta(days=1))
    netted = await shift(at, 700)
    body = {"store": at.at.store, "amount": 700}
    for shifts in ([netted], [one, netted], []):
        refused = await at.at.operator.post("/v1/deposits", body | {"shifts": shifts})
        assert (refused.status_code, refused.json()["code"]) == (409, "cash_is_netted")
    await hand_over(at, 5_000, one)  # of the day before


async def test_a_bag_that_names_no_shift_while_one_waits_is_a_case(at: Night) -> None:
    one = await shift(at, 5_000)
    bag = await hand_over(at, 4_000)
    (case,) = [c for c in await at.cases() if c["kind"] == "clearing.deposit_names_no_shift"]
    assert (case["subject"], case["facts"]["waiting"]) == (bag["id"], 5_000)
    await hand_over(at, 5_000, one)
    before = len(await at.cases())
    await hand_over(at, 100)  # a kiosk's box: no shift waits
    assert len(await at.cases()) == before


async def test_a_reference_nobody_handed_out_stays_nobodys(at: Night) -> None:
    bag = await hand_over(at, 100)
    other = "123456789015"
    assert other != bag["reference"]
    await pay_in(at, 100, other)
    assert "funding.nobodys" in {one["kind"] for one in await at.cases()}
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert shown["status"] == "handed_over"


async def test_a_bag_no_bank_has_booked_in_time_is_a_case(at: Night) -> None:
    bag = await hand_over(at, 100)
    at.at.clock.advance(timedelta(days=3))
    assert await at.kabao.morning.deposits.look_for_late() == 0
    at.at.clock.advance(timedelta(days=1))
    assert await at.kabao.morning.deposits.look_for_late() == 1
    assert await at.kabao.morning.deposits.look_for_late() == 0
    (case,) = [c for c in await at.cases() if c["kind"] == "clearing.deposit_missing"]
    assert case["subject"] == bag["id"]
    await pay_in(at, 100, bag["reference"])
    shown = await made(at.at.operator.get(f"/v1/deposits/{bag['id']}"))
    assert shown["status"] == "matched"


async def test_a_store_brings_cash_to_the_issuer_whose_cards_it_loads(at: Night) -> None:
    body = {"store": at.at.other_store, "amount": 100}
    bag = await made(at.at.operator.post("/v1/deposits", body | {"company": at.at.company}))
    other = at.at.by("other-auditor")  # of the store's company, not of the issuer
    assert (await made(other.get(f"/v1/deposits/{bag['id']}")))["company"] == at.at.company
    assert [one["id"] for one in (await made(other.get("/v1/deposits")))["data"]] == [bag["id"]]
    own = await hand_over(at, 100)  # of a store and a company that are not theirs
    assert (await other.get(f"/v1/deposits/{own['id']}")).status_code == 404
    assert len((await made(other.get("/v1/deposits")))["data"]) == 1
    body |= {"company": "com_" + "0" * 32}
    assert (await at.at.operator.post("/v1/deposits", body)).status_code == 404
