"""Days: closed by themselves and by hand, kept open, corrected, computed again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import Conn
from kabao.base.errors import UNAVAILABLE, KabaoError
from kabao.base.ids import from_edge
from kabao.clearing.ops import Clearing
from kabao.ledger.model import Account, HouseMove, Purpose
from kabao.reconciliation.model.gate import OpenPart
from tests.app.test_cli_commands import Console
from tests.app.test_cli_commands import at as live_at
from tests.app.world import World, made, world

from .night import MONDAY, at, house, pass_night, settlements, turn

TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        yield w


class Says:
    """A gate that says what it is told to."""

    def __init__(self, *parts: OpenPart) -> None:
        self.parts: Sequence[OpenPart] = parts

    async def open_parts(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        del conn
        return self.parts if day == MONDAY else ()


def clearing(w: World, gate: Says) -> Clearing:
    """Clearing of this world behind another gate."""
    k = w.kabao
    above = (k.merchants, k.org, k.cases, k.policy, gate, k.settlement_accounts)
    return Clearing(k.db, k.ledger, *above, k.ids, k.clock, k.days)


async def trade(w: World) -> dict[str, Any]:
    card = await w.card(await w.programme(), 90_000)
    await w.pay(card, 10_000, store=w.other_store)
    return card


@pytest.mark.row("T-21")
async def test_a_part_is_kept_out_and_the_others_settle(w: World) -> None:
    gate = Says(
        OpenPart("terminal", w.store, "too_many_breaks", 7, 0.01),
        OpenPart("channel", "chn_1", "not_there", 0, None),
    )
    night = clearing(w, gate)
    card = await trade(w)
    await w.pay(card, 3_000)
    turn(w, at(TUESDAY, 2, 1))
    await night.tick()
    await night.tick()
    states = {s["store"]: s["status"] for s in await settlements(w)}
    assert states == {w.store: "kept_out", w.other_store: "due"}
    shown = await made(w.auditor.get(f"/v1/clearing-days/{MONDAY}"))
    assert shown["day"]["status"] == "soft_closed"
    assert [(p["source"], p["breaks"], p["closed_at"]) for p in shown["parts"]] == [
        ("channel", 0, None),
        ("terminal", 7, None),
    ]
    async with w.kabao.db.read() as conn:
        with pytest.raises(Exception, match=r"terminal sto_.*: too_many_breaks, 7 breaks") as kept:
            await night.closing.require_closed(conn, MONDAY)
    assert (kept.value.code.name, kept.value.rule) == ("day_kept_open", "T-21")
    # The next day is not held up, and what was kept out follows once its source agrees.
    await w.pay(card, 1_000, store=w.other_store)
    turn(w, at(TUESDAY + timedelta(days=1), 2, 1))
    gate.parts = gate.parts[1:]
    await night.tick()
    assert {s["status"] for s in await settlements(w)} == {"due"}
    gate.parts = ()
    await night.tick()
    shown = await made(w.auditor.get(f"/v1/clearing-days/{MONDAY}"))
    assert shown["day"]["status"] == "hard_closed"
    assert all(part["closed_at"] for part in shown["parts"])
    for day in (MONDAY, TUESDAY):
        assert (await w.kabao.clearing.check(day)).differs == ()
    assert await house(w, Account.NETTING) == {}
    assert await house(w, Account.REDEEMED) == {}


async def test_the_evening_before_keeps_out_of_the_window(w: World) -> None:
    """What is paid after the cut is of Monday's batch and of Tuesday's window."""
    gate = Says(OpenPart("terminal", w.store, "too_many_breaks", 1, 0.01))
    night = clearing(w, gate)
    card = await trade(w)
    turn(w, at(MONDAY, 20, 5))
    await night.tick()
    turn(w, at(MONDAY, 21))
    await w.pay(card, 3_000)
    turn(w, at(TUESDAY + timedelta(days=1), 2, 1))
    await night.tick()
    states = {s["store"]: s["status"] for s in await settlements(w)}
    assert states == {w.store: "kept_out", w.other_store: "due"}
    tuesday = f"/v1/clearing-days/{TUESDAY}"
    assert (await made(w.auditor.get(tuesday)))["day"]["status"] == "soft_closed"
    gate.parts = ()
    await night.tick()
    assert {s["status"] for s in await settlements(w)} == {"due"}
    assert (await made(w.auditor.get(tuesday)))["day"]["status"] == "hard_closed"


class Fails(Says):
    """A gate that cannot be asked about a day."""

    async def open_parts(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        if day == MONDAY - timedelta(days=1):
            raise UNAVAILABLE.error()
        return await super().open_parts(conn, day)


async def test_a_day_that_fails_stops_no_other(w: World) -> None:
    night = clearing(w, Fails())
    card = await trade(w)
    turn(w, at(TUESDAY, 2, 1))
    await night.tick()
    await w.pay(card, 1_000, store=w.other_store)
    turn(w, at(TUESDAY + timedelta(days=1), 2, 1))
    await night.tick()
    states = {s["day"]: s["status"] for s in await settlements(w)}
    assert states == {MONDAY.isoformat(): "provisional", TUESDAY.isoformat(): "due"}
    # By hand: what fails is told of the day that was asked for.
    with pytest.raises(KabaoError) as refused:
        await night.close(MONDAY)
    assert refused.value.code is UNAVAILABLE
    await night.close(TUESDAY)


async def test_a_day_whose_bill_never_comes_is_corrected(w: World) -> None:
    gate = Says(OpenPart("channel", "chn_1", "not_there", 0, None))
    await trade(w)
    turn(w, at(TUESDAY, 2, 1))
    path = f"/v1/clearing-days/{MONDAY}/adjustments"
    body = {"issuer": w.company, "store": w.other_store, "amount": 500, "reason": "late"}
    await clearing(w, gate).tick()
    day = (await made(w.auditor.get(f"/v1/clearing-days/{MONDAY}")))["day"]
    assert day["status"] == "soft_closed"
    await made(w.operator.post(path, body))
    async with w.kabao.db.transaction() as conn:
        await conn.execute(
            "update clearing.settlement set state = 'kept_out', run = null, due_on = null"
        )
    assert (await w.operator.post(path, body)).json()["code"] == "day_still_open"


@pytest.mark.row("C-01")
async def test_a_day_is_closed_by_hand(w: World) -> None:
    await trade(w)
    close = f"/v1/clearing-days/{MONDAY}/close"
    early = await w.operator.post(close)
    assert (early.status_code, early.json()["code"]) == (409, "day_not_over")
    turn(w, at(TUESDAY, 0, 5))
    assert (await w.by("own-operator").post(close)).status_code == 403
    closed = await made(w.operator.post(close, key="close-1"))
    assert closed["status"] == "hard_closed"
    assert await made(w.operator.post(close, key="close-1")) == closed
    assert await made(w.operator.post(close)) == closed
    assert [s["status"] for s in await settlements(w)] == ["due"]


@pytest.mark.row("C-01", "X-09")
async def test_a_day_on_the_console(w: World, database_url: str, tmp_path: Path) -> None:
    await trade(w)
    console = Console(database_url, tmp_path)
    await live_at(w, at(TUESDAY, 0, 5))
    told = await console.json("day", "close", MONDAY.isoformat())
    assert (told["state"], told["kept_open"]) == ("hard_closed", [])
    checked = await console.json("day", "reopen-check", MONDAY.isoformat())
    assert (checked["settlements"], checked["amount_fen"], checked["differs"]) == (1, 10_000, [])
    assert await console.refused("day", "reopen-check", "2026-11-01") == "not_found"
    async with w.kabao.db.transaction() as conn:
        await conn.execute("update clearing.instruction set amount_fen = amount_fen - 1")
    ran = await console("day", "reopen-check", MONDAY.isoformat(), "--json")
    assert ran.exit_code == 1
    assert [d["what"] for d in json.loads(ran.stdout)["differs"]] == ["instructions of run 1"]


@pytest.mark.row("C-05")
async def test_a_closed_day_is_corrected_by_two(w: World) -> None:
    card = await trade(w)
    path = f"/v1/clearing-days/{MONDAY}/adjustments"
    body = {"issuer": w.company, "store": w.other_store, "amount": -2_500, "reason": "wrong price"}
    refused = await w.operator.post(path, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "day_still_open")
    turn(w, at(TUESDAY, 2, 1))
    await pass_night(w)
    asked = await made(w.operator.post(path, body))
    assert await house(w, Account.ADJUSTMENT) == {}
    await made(w.approve(asked["id"]))
    assert await house(w, Account.ADJUSTMENT) == {from_edge("com", w.company): 2_500}
    [noted] = (await made(w.auditor.get(f"/v1/clearing-days/{MONDAY}")))["adjustments"]
    assert (noted["store"], noted["amount"]) == (w.other_store, -2_500)
    await w.pay(card, 4_000, store=w.other_store)
    turn(w, at(TUESDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    [settled] = await settlements(w, day=TUESDAY)
    [paid] = (await made(w.auditor.get(f"/v1/settlements/{settled['id']}")))["instructions"]
    assert (settled["amount"], paid["amount"]) == (4_000, 1_500)
    assert (await w.kabao.clearing.check(MONDAY)).differs == ()
    assert (await w.kabao.clearing.check(TUESDAY)).differs == ()
    nothing = await w.operator.post(path, body | {"amount": 0})
    assert nothing.status_code == 422


async def deposit(w: World, fen: int) -> None:
    """Cash of the first store reaches the bank."""
    company, store = from_edge("com", w.company), from_edge("sto", w.store)
    move = HouseMove(
        debit=Account.BANK,
        debit_owner=company,
        credit=Account.CASH,
        credit_owner=store,
        amount_fen=fen,
        purpose=Purpose.DEPOSIT,
        issuer=company,
    )
    async with w.kabao.db.transaction() as conn:
        await w.kabao.ledger.move_in(conn, [move], company=company, key="deposit/1")


RULE = {
    "effective_from": TUESDAY.isoformat(),
    "workdays": 2,
    "minimum": 0,
    "cash": "netted",
    "fees_on_refunds": "kept",
    "carry_negative": False,
    "reason": "agreed",
}


@pytest.mark.row("X-09", "C-03")
async def test_rules_are_agreed_to_and_begin_later(w: World) -> None:
    asked = await made(w.operator.post("/v1/settlement-rules", RULE | {"company": w.company}))
    await made(w.approve(asked["id"]))
    late = RULE | {"company": w.company, "effective_from": MONDAY.isoformat()}
    assert (await w.operator.post("/v1/settlement-rules", late)).status_code == 422
    [rule] = (await made(w.auditor.get("/v1/settlement-rules")))["data"]
    assert (rule["version"], rule["workdays"], rule["cash"]) == (1, 2, "netted")
    card = await trade(w)  # 900.00 of cash were taken at the issuer's own store
    turn(w, at(TUESDAY, 2, 1))
    await pass_night(w)
    turn(w, at(TUESDAY, 12))
    await w.top_up(card["id"], 700)
    await deposit(w, 90_000)  # Monday's, when cash was still brought to the bank
    await w.pay(card, 10_000, store=w.other_store)
    turn(w, at(TUESDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    monday, own, tuesday = sorted(await settlements(w), key=lambda s: (s["day"], s["amount"]))
    assert (monday["due_on"], tuesday["due_on"]) == ("2026-11-24", "2026-11-26")
    assert (own["cash"], own["amount"]) == (700, -700)
    path = f"/v1/settlements/{own['id']}/transfers"
    [slip] = (await made(w.auditor.get(path, figure="cash")))["data"]
    assert (slip["amount"], slip["payment"]) == (700, None)
    assert (await w.kabao.clearing.check(TUESDAY)).differs == ()


@pytest.mark.row("C-03")
async def test_workdays_are_said_by_two(w: World) -> None:
    unknown = await made(w.auditor.get("/v1/workdays", year=2039))
    assert unknown == {"year": 2039, "known": False, "free": [], "worked": []}
    body = {
        "days": [{"day": "2039-01-03", "workday": False}, {"day": "2039-01-08", "workday": True}],
        "years": [2039],
        "reason": "notice of the State Council",
    }
    asked = await made(w.operator.post("/v1/workdays", body))
    assert not (await made(w.auditor.get("/v1/workdays", year=2039)))["known"]
    await made(w.approve(asked["id"]))
    said = await made(w.auditor.get("/v1/workdays", year=2039))
    assert said == {"year": 2039, "known": True, "free": ["2039-01-03"], "worked": ["2039-01-08"]}
    this = await made(w.auditor.get("/v1/workdays", year=2026))
    assert "2026-10-10" in this["worked"]


@pytest.mark.row("C-03")
async def test_a_calendar_that_is_missing_is_a_case_and_no_guess(w: World) -> None:
    await trade(w)
    last = date(2026, 12, 31)
    turn(w, at(last, 12))
    card = await w.card(await w.programme(), 9_000)
    await w.pay(card, 5_000, store=w.other_store)
    turn(w, at(last, 20, 5))
    await pass_night(w)
    await w.kabao.clearing.alarm()
    [case] = (await made(w.auditor.get("/v1/cases")))["data"]
    assert (case["kind"], case["facts"]["year"]) == ("calendar.missing", 2027)
    turn(w, at(date(2027, 1, 1), 2, 1))
    await pass_night(w)
    with pytest.raises(KabaoError, match="2027") as refused:
        await w.kabao.clearing.close(last)
    assert (refused.value.code.name, refused.value.rule) == ("calendar_unknown", "C-03")
    assert (await settlements(w, day=last))[0]["status"] == "provisional"
    body = {"days": [{"day": "2027-01-01", "workday": False}], "years": [2027], "reason": "notice"}
    await made(w.approve((await made(w.operator.post("/v1/workdays", body)))["id"]))
    await pass_night(w)
    assert (await settlements(w, day=last))[0]["due_on"] == "2027-01-04"
