"""What was settled, released by two persons and paid, again where it came back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.ids import from_edge
from kabao.clearing.sql import payouts as sql
from kabao.ledger.model import Account
from kabao_sandbox.party.faults import Faults
from tests.app.world import made, world

from .paying import MONEY_FEN, Night, night

FIRST, SECOND = "6222020200012345678", "6222020200087654321"
THIRD = "6222020200011112222"
LATER = timedelta(seconds=61)


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    async with world(database_url, tmp_path) as opened, night(opened) as ready:
        yield ready


async def look(at: Night) -> None:
    """As the worker does, a minute later."""
    at.at.clock.advance(LATER)
    await at.kabao.morning.paying.look()


async def test_what_is_due_is_paid_once_two_persons_agree(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(12_345, n=2)
    batch = await at.release()
    assert await at.balance(Account.PAYABLE, at.other) == 0
    assert await at.balance(Account.UNDER_WAY, at.other) == 24_690
    await look(at)
    shown = await made(at.at.operator.get(f"/v1/payout-batches/{batch}"))
    assert (shown["status"], shown["payouts"], shown["amount"]) == ("sent", 2, 24_690)
    await look(at)
    shown = await made(at.at.operator.get(f"/v1/payout-batches/{batch}"))
    assert shown["status"] == "answered" and len(shown["digest"]) == 64
    assert [one["status"] for one in await at.payouts(batch=batch)] == ["paid", "paid"]
    paid = await at.desk("GET", "payouts")
    assert [(one["amount"], one["account"]) for one in paid] == [(12_345, FIRST)] * 2
    assert await at.balance(Account.UNDER_WAY, at.other) == 0
    assert await at.balance(Account.BANK, at.company) == 24_690
    again = await at.at.operator.post(
        "/v1/payout-releases", {"company": at.at.company, "reason": "again"}
    )
    assert (again.status_code, again.json()["code"]) == (422, "nothing_to_pay")


async def test_what_comes_back_is_paid_again_under_another_number(at: Night) -> None:
    await at.bank_account(FIRST)
    (instruction,) = await at.owes(5_000)
    await at.release()
    await look(at)
    await look(at)
    (first,) = await at.payouts()
    await at.desk("POST", f"payouts/{from_edge('pyo', first['id'])}/return", {"reason": "AC04"})
    assert await at.kabao.morning.paying.look_for_returns() == 1
    assert await at.kabao.morning.paying.look_for_returns() == 0
    (first,) = await at.payouts()
    assert (first["status"], first["reason"]) == ("returned", "AC04")
    assert await at.balance(Account.PAYABLE, at.other) == 5_000
    assert await at.balance(Account.BANK, at.company) == 0
    kinds = {one["kind"] for one in await at.cases()}
    assert "clearing.payout_returned" in kinds
    blocked = await at.at.operator.post(
        "/v1/payout-releases", {"company": at.at.company, "reason": "again"}
    )
    assert blocked.json()["code"] == "nothing_to_pay"  # nothing goes to a broken account
    await at.bank_account(SECOND)
    await at.release()
    await look(at)
    await look(at)
    second, first = await at.payouts()
    assert (second["status"], second["attempt"], first["attempt"]) == ("paid", 2, 1)
    assert second["id"] != first["id"] and second["instruction"] == f"ins_{instruction}"
    assert await at.balance(Account.PAYABLE, at.other) == 0
    assert await at.balance(Account.BANK, at.company) == 5_000


async def test_a_sum_that_the_bank_refuses_is_owed_again(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.desk("PUT", f"payees/{FIRST}", {"does": "closed"})
    await at.owes(5_000)
    await at.release()
    await look(at)
    (one,) = await at.payouts()
    assert (one["status"], one["reason"], one["paid_at"]) == ("rejected", "AC04", None)
    (account,) = (await made(at.at.operator.get("/v1/settlement-accounts")))["data"]
    assert (account["status"], account["reason"]) == ("broken", "AC04")
    assert await at.balance(Account.PAYABLE, at.other) == 5_000
    assert await at.balance(Account.BANK, at.company) == 0


async def test_too_little_money_speaks_against_no_account(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(MONEY_FEN + 1)
    await at.release()
    await look(at)
    (one,) = await at.payouts()
    assert (one["status"], one["reason"]) == ("rejected", "AM04")
    (account,) = (await made(at.at.operator.get("/v1/settlement-accounts")))["data"]
    assert account["status"] == "active"
    await at.desk("POST", "transfers", {"amount": 1, "words": "seed"})
    await at.release()
    await look(at)
    await look(at)
    assert (await at.payouts())[0]["status"] == "paid"


@pytest.mark.row("C-03")
@pytest.mark.parametrize(("days", "code"), [(-1, "nothing_to_pay"), (0, None), (1, "invalid")])
async def test_nothing_is_paid_before_it_is_due(at: Night, days: int, code: str | None) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)  # due today
    until = at.kabao.days.of(at.at.clock.now_us()) + timedelta(days=days)
    body = {"company": at.at.company, "until": str(until), "reason": "T+1"}
    asked = await at.at.operator.post("/v1/payout-releases", body)
    assert asked.json().get("code") == code


async def test_other_sums_than_were_asked_for_are_not_paid(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)
    body = {"company": at.at.company, "reason": "T+1"}
    asked = await made(at.at.operator.post("/v1/payout-releases", body))
    assert (asked["payload"]["payouts"], asked["payload"]["amount"]) == (1, 5_000)
    await at.owes(1)
    late = await at.at.approve(asked["id"])
    assert late.json()["code"] == "release_changed"
    assert await at.payouts() == []


async def test_a_store_without_an_account_blocks_nobody_else(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)
    await at.owes(700, store=from_edge("sto", at.at.other_store))
    body = {"company": at.at.company, "reason": "T+1"}
    asked = await made(at.at.operator.post("/v1/payout-releases", body))
    told = {name: asked["payload"][name] for name in ("payouts", "amount", "blocked")}
    assert told == {"payouts": 1, "amount": 5_000, "blocked": 1}


async def test_what_has_no_account_keeps_nobody_from_being_paid(at: Night) -> None:
    await at.owes(700, store=from_edge("sto", at.at.other_store), n=3)
    await at.bank_account(FIRST)
    (paid,) = await at.owes(5_000)
    today = at.kabao.days.of(at.at.clock.now_us())
    async with at.kabao.db.read() as conn:
        found = await sql.due(conn, at.company, "CNY", today, lock=False, limit=1)
    assert [one.id for one in found] == [paid]


async def test_answers_that_are_lost_pay_nothing_twice(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(100, n=5)
    await at.release()
    at.host.order(Faults(lose=60))
    for _ in range(12):
        await look(at)
        at.at.clock.advance(timedelta(minutes=5))
    at.host.order(Faults())
    await look(at)
    await look(at)
    paid = await at.desk("GET", "payouts")
    assert len(paid) == len({one["no"] for one in paid}) == 5
    assert {one["status"] for one in await at.payouts()} == {"paid"}
    assert await at.balance(Account.BANK, at.company) == 500


async def test_a_bank_that_says_nothing_is_a_case(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(100)
    batch = await at.release()
    at.host.order(Faults(lose=100))
    for n in range(30):
        assert "clearing.payouts_unanswered" not in {one["kind"] for one in await at.cases()}, n
        await look(at)
    (case,) = [one for one in await at.cases() if one["kind"] == "clearing.payouts_unanswered"]
    assert case["subject"] == batch


async def test_who_is_paid_sees_its_payout_and_not_the_file(at: Night) -> None:
    store = from_edge("sto", at.at.other_store)
    await at.bank_account(FIRST, store=at.at.other_store)
    await at.owes(700, store=store)
    batch = await at.release()
    (one,) = await at.payouts()
    other = at.at.by("other-auditor")  # of the company that is paid
    assert (await made(other.get(f"/v1/payouts/{one['id']}")))["payee_store"] == at.at.other_store
    assert (await other.get(f"/v1/payout-batches/{batch}")).status_code == 404
    assert (await made(other.get("/v1/payout-batches")))["data"] == []
    assert len((await made(other.get("/v1/payouts")))["data"]) == 1


async def test_a_file_that_was_told_of_is_never_sent_again(at: Night) -> None:
    """A bank's archive forgets sooner than money does: its sums would be paid twice."""
    await at.bank_account(FIRST)
    await at.bank_account(SECOND, store=at.at.other_store)
    await at.desk("PUT", f"payees/{SECOND}", {"does": "waits"})
    await at.owes(5_000)
    await at.owes(700, store=from_edge("sto", at.at.other_store))
    await at.release()
    await look(at)
    await look(at)
    assert {one["status"] for one in await at.payouts()} == {"paid", "ordered"}
    await at.desk("DELETE", "files")
    await look(at)
    await look(at)
    assert await at.desk("GET", "payouts") == []
    (case,) = [one for one in await at.cases() if one["kind"] == "clearing.payouts_unanswered"]
    assert case["facts"]["why"] == "no_file"


@pytest.mark.parametrize(("late_s", "sent"), [(-1, 1), (0, 0), (1, 0)])
async def test_a_file_that_never_came_is_sent_again_for_a_day(
    at: Night, late_s: int, sent: int
) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)
    await at.release()
    at.host.order(Faults(lose=100))
    await look(at)
    at.host.order(Faults())
    await at.desk("DELETE", "files")
    at.at.clock.advance(timedelta(hours=24, seconds=late_s))
    await at.kabao.morning.paying.look()
    assert len(await at.desk("GET", "payouts")) == sent


async def test_another_account_than_was_asked_about_is_not_paid(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)
    body = {"company": at.at.company, "reason": "T+1"}
    asked = await made(at.at.operator.post("/v1/payout-releases", body))
    await at.bank_account(SECOND)
    late = await at.at.approve(asked["id"])
    assert late.json()["code"] == "release_changed"
    assert await at.payouts() == []


async def test_an_account_that_was_replaced_is_left_out_of_a_file_that_waits(at: Night) -> None:
    store = from_edge("sto", at.at.other_store)
    await at.bank_account(FIRST)
    await at.bank_account(THIRD, store=at.at.other_store)
    await at.owes(5_000)
    await at.owes(700, store=store)
    batch = await at.release()
    await at.bank_account(SECOND)  # before the file went
    await look(at)
    await look(at)
    paid = await at.desk("GET", "payouts")
    assert [(one["amount"], one["account"]) for one in paid] == [(700, THIRD)]
    told = {one["amount"]: (one["status"], one["reason"]) for one in await at.payouts(batch=batch)}
    assert told == {5_000: ("rejected", "left_out"), 700: ("paid", None)}
    assert await at.balance(Account.PAYABLE, at.other) == 5_000
    assert await at.balance(Account.UNDER_WAY, at.other) == 0
    await at.release()
    await look(at)
    paid = await at.desk("GET", "payouts")
    assert [(one["amount"], one["account"]) for one in paid[1:]] == [(5_000, SECOND)]


async def test_a_file_that_nothing_is_left_of_is_not_sent(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(5_000)
    batch = await at.release()
    await at.bank_account(SECOND)
    await look(at)
    shown = await made(at.at.operator.get(f"/v1/payout-batches/{batch}"))
    assert (shown["status"], shown["sent_at"]) == ("answered", None)
    assert await at.desk("GET", "payouts") == []


@pytest.mark.parametrize("released", [False, True])
async def test_what_a_bank_contradicts_itself_about_is_not_paid_again(
    at: Night, *, released: bool
) -> None:
    await at.bank_account(FIRST)
    await at.bank_account(SECOND, store=at.at.other_store)
    await at.desk("PUT", f"payees/{SECOND}", {"does": "waits"})  # the file stays open
    await at.owes(MONEY_FEN + 1)
    await at.owes(700, store=from_edge("sto", at.at.other_store))
    await at.release()
    await look(at)  # the first sum is refused: too little money
    await at.desk("POST", "transfers", {"amount": MONEY_FEN, "words": "seed"})
    if released:
        await at.release()
    (no,) = [one["no"] for one in await at.desk("GET", "payouts") if one["amount"] > MONEY_FEN]
    await at.desk("POST", f"payouts/{no}/pay")  # and was paid, the bank says now
    if released:  # the other attempt waits still
        await at.desk("POST", f"payouts/{no}/return")
        await at.kabao.morning.paying.look_for_returns()
    await look(at)
    assert "clearing.payout_contradicted" in {one["kind"] for one in await at.cases()}
    again = await at.at.operator.post(
        "/v1/payout-releases", {"company": at.at.company, "reason": "again"}
    )
    assert again.json()["code"] == "nothing_to_pay"
    paid = [one for one in await at.desk("GET", "payouts") if one["amount"] > MONEY_FEN]
    assert len(paid) == 1
    assert await at.balance(Account.PAYABLE, at.other) == MONEY_FEN + 1


async def test_what_was_contradicted_is_held_when_a_later_attempt_comes_back(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.bank_account(SECOND, store=at.at.other_store)
    await at.desk("PUT", f"payees/{SECOND}", {"does": "waits"})  # the file stays open
    await at.owes(MONEY_FEN + 1)
    await at.owes(700, store=from_edge("sto", at.at.other_store))
    await at.release()
    await look(at)  # the first sum is refused: too little money
    (first,) = [one["no"] for one in await at.desk("GET", "payouts") if one["amount"] > MONEY_FEN]
    await at.desk("POST", "transfers", {"amount": 3 * MONEY_FEN, "words": "seed"})
    await at.desk("PUT", f"payees/{FIRST}", {"does": "waits"})
    await at.release()
    await look(at)  # the second attempt is at the bank
    await at.desk("POST", f"payouts/{first}/pay")  # and the first was paid, the bank says now
    await look(at)
    (second,) = [
        one["no"]
        for one in await at.desk("GET", "payouts")
        if one["amount"] > MONEY_FEN and one["no"] != first
    ]
    await at.desk("POST", f"payouts/{second}/pay")
    await look(at)
    await at.desk("POST", f"payouts/{second}/return")
    await at.kabao.morning.paying.look_for_returns()
    assert await at.balance(Account.PAYABLE, at.other) == MONEY_FEN + 1
    await at.bank_account(THIRD)  # the one that sent it back is closed
    again = await at.at.operator.post(
        "/v1/payout-releases", {"company": at.at.company, "reason": "again"}
    )
    assert again.json()["code"] == "nothing_to_pay"


@pytest.mark.parametrize(("late_s", "cases"), [(-1, 0), (0, 1)])
async def test_a_sum_that_is_under_way_for_a_day_is_a_case(
    at: Night, late_s: int, cases: int
) -> None:
    await at.bank_account(FIRST)
    await at.desk("PUT", f"payees/{FIRST}", {"does": "waits"})
    await at.owes(5_000)
    await at.release()
    await look(at)
    at.at.clock.advance(timedelta(hours=24, seconds=late_s))
    await at.kabao.morning.paying.look()
    kinds = [one["kind"] for one in await at.cases()]
    assert kinds.count("clearing.payouts_unanswered") == cases
