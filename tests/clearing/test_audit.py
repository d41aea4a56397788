"""Whatever somebody does to what a night has settled, the auditor says where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.audit.ops import audit
from kabao.base.ids import from_edge
from tests.app.world import World, made, world
from tests.disputes.test_http import decided, opened

from .night import MONDAY, at, fee_plan, pass_night, turn
from .paying import Night, night
from .test_deposits import hand_over, pay_in, shift

FREE = "alter table ledger.house_transfer disable trigger all;"


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Two nights after a day of trade, a refund and a dispute that a store has lost."""
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        await fee_plan(w, w.other_store, rate_bp=60, per_item=10)
        card = await w.card(await w.programme(), 90_000)
        paid = await w.pay(card, 10_000, store=w.other_store)
        await w.pay(card, 3_000)
        await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 2_000}))
        turn(w, at(MONDAY + timedelta(days=1), 2, 1))
        await pass_night(w)
        await w.pay(card, 700, store=w.other_store)
        await decided(w, await opened(w, paid, amount=1_500), "holder", "store")
        turn(w, at(MONDAY + timedelta(days=2), 2, 1))
        await pass_night(w)
        yield w


async def breaches(w: World) -> dict[str, list[str]]:
    report = await audit(w.kabao.db.url)
    found: dict[str, list[str]] = {}
    for line in report.lines:
        if not line.holds:
            found.setdefault(line.id, []).extend(line.breaches)
    return found


async def test_sound_and_the_store_that_lost_a_dispute_is_paid_less(w: World) -> None:
    assert await breaches(w) == {}
    shown = await made(w.auditor.get("/v1/settlements", store=w.other_store))
    lost = next(s for s in shown["data"] if s["given_back"] == 1_500)
    assert (lost["redeemed"], lost["amount"] < 0) == (700, True)


TAMPERED = {
    "a window that begins late": (
        "update clearing.window set from_cut = '{}' where no = 2",
        ("I-9", "begins elsewhere"),
    ),
    "a settlement of more": (
        "update clearing.settlement set redeemed_fen = redeemed_fen + 5,"
        " amount_fen = amount_fen + 5 where redeemed_fen = 10000",
        ("I-3", "says 10005 and 2000 fen, the books 10000 and 2000"),
    ),
    "a dispute left out": (
        "update clearing.settlement set given_back_fen = 0, amount_fen = amount_fen + 1500"
        " where given_back_fen = 1500",
        ("I-3", "says 700 and 0 fen, the books 700 and 1500"),
    ),
    "a fee that nobody posted": (
        "update clearing.settlement set fee_fen = fee_fen + 1, amount_fen = amount_fen - 1"
        " where redeemed_fen = 10000",
        ("I-3", "of fees"),
    ),
    "a settlement taken back": (
        "update clearing.settlement set state = 'provisional', run = null, due_on = null"
        " where redeemed_fen = 10000",
        ("I-3", "posted for a settlement that is not due"),
    ),
    "an instruction of more": (
        "update clearing.instruction set amount_fen = amount_fen + 1",
        ("I-1", "payable: "),
    ),
    "an instruction sent that was not": (
        "update clearing.instruction set state = 'sent'",
        ("I-1", "under way: 0 fen in the books"),
    ),
    "a debt forgotten": (
        "delete from clearing.carry where into_run is null",
        ("I-1", "carried sums say"),
    ),
    "a company that set off another's": (
        FREE + "update ledger.house_transfer h set credit_owner = s.company"
        " from clearing.settlement s where h.credit = 29 and s.company <> h.credit_owner",
        ("I-1", "fen set off"),
    ),
    "a result rewritten": (
        "update clearing.run set result = convert_to('{}', 'UTF8') where no > 0",
        ("I-8", "its result does not give its digest"),
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampered(w: World, what: str) -> None:
    statement, (line, words) = TAMPERED[what]
    async with w.kabao.db.transaction() as conn:
        if statement.startswith(FREE):
            await conn.execute(FREE)
        done = await conn.execute(statement.removeprefix(FREE))  # type: ignore[arg-type]  # the test's own
        assert done.rowcount > 0
    found = await breaches(w)
    assert any(words in each for each in found.get(line, ())), found


@pytest.fixture
async def bank(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    """One payout that was paid and one that came back, and cash that reached the bank."""
    async with world(database_url, tmp_path) as opened, night(opened) as at:
        await at.bank_account("6222020200012345678")
        await at.owes(5_000)
        for _ in range(2):
            await at.release()
            for _ in range(2):
                at.at.clock.advance(timedelta(seconds=61))
                await at.kabao.morning.paying.look()
            if len(paid := await at.payouts()) == 1:
                number = from_edge("pyo", paid[0]["id"])
                await at.desk("POST", f"payouts/{number}/return", {"reason": "AM04"})
                await at.kabao.morning.paying.look_for_returns()
                await at.bank_account("6222020200087654321")
        deposit = await hand_over(at, 30_000, await shift(at, 30_000))
        await pay_in(at, 30_000, deposit["reference"])
        yield at


PAID = {
    "a payout that was not": (
        "update clearing.payout set state = 'ordered', paid_at = null where state = 'paid'",
        ("I-5", "says ordered, and 5000 fen left the bank"),
    ),
    "a return forgotten": (
        "drop index clearing.payout_once;"
        " update clearing.payout set state = 'paid', ended_at = null where state = 'returned'",
        ("I-5", "one of 2 payouts of one instruction"),
    ),
    "paid twice": (
        FREE + "update ledger.house_transfer h set related = p.id from clearing.payout p"
        " where p.state = 'paid' and h.purpose in (54, 55) and h.related <> p.id",
        ("I-5", "it was paid more than once"),
    ),
    "cash that reached nobody": (
        "update clearing.deposit set received_fen = 29999, state = 'differs'",
        ("I-3", "received 29999 fen, 30000 posted"),
    ),
}


@pytest.mark.parametrize("what", PAID)
async def test_tampered_at_the_bank(bank: Night, what: str) -> None:
    assert await breaches_of(bank) == {}
    statement, (line, words) = PAID[what]
    async with bank.kabao.db.transaction() as conn:
        await conn.execute(statement)  # type: ignore[arg-type]  # the test's own
    found = await breaches_of(bank)
    assert any(words in each for each in found.get(line, ())), found


async def breaches_of(at: Night) -> dict[str, list[str]]:
    """But for windows and runs: what is owed here was not settled by any."""
    return {line: rows for line, rows in (await breaches(at.at)).items() if line in {"I-3", "I-5"}}
