"""What a machine took and nobody loads is given back, once (T-03, L-15)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kabao.audit.ops import audit
from tests.app.test_cash_desk import Drawer
from tests.app.world import World, made, world
from tests.audit.books import failing
from tests.scenarios.world import identity_number

from .test_http import Booth, code_of


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


@pytest.fixture
async def drawer(w: World) -> Drawer:
    return await Drawer(w).open(100_000)


class Left(Booth):
    """A visit that a machine did not finish."""

    async def stack(self, *notes: int) -> Left:
        await self.open()
        assert (await self.report(*(self.event("stacked", one) for one in notes))).is_success
        return self

    async def leave(self) -> Left:
        self.w.clock.advance(timedelta(minutes=11))
        assert await self.w.kabao.kiosks.leave_idle() == 1
        return self

    async def pay(self, drawer: Drawer, fen: int, **more: Any) -> httpx.Response:
        body = {"amount": fen, "shift": drawer.shift, "reason": "the customer came"} | more
        return await self.w.operator.post(f"{self.base}/payout", body, more.pop("key", None))

    async def ask(self, fen: int, payee: str) -> httpx.Response:
        body = {"amount": fen, "payee": payee, "reason": "the customer came"}
        return await self.w.operator.post(f"{self.base}/payout/requests", body)

    async def states(self) -> list[tuple[str, str | None]]:
        found = await made(self.w.operator.get("/v1/cases", kind="kiosk.not_credited"))
        return [(case["status"], case["outcome"]) for case in found["data"]]


async def customer(w: World, *, proven: bool = True) -> str:
    who = {"type": "resident_id", "number": identity_number()}
    body = {"party": "person", "name": "张三", "phone": "13800000001", "identity": who}
    ident = str((await made(w.operator.post("/v1/customers", body)))["id"])
    if proven:
        seen = {"method": "document_at_counter"}
        await made(w.operator.post(f"/v1/customers/{ident}/verifications", seen))
    return ident


@pytest.mark.row("T-03", "L-15")
async def test_what_is_left_is_paid_out_of_a_drawer_once(
    w: World, drawer: Drawer, database_url: str
) -> None:
    booth = await Left(w).stack(5_000, 1_000)
    assert code_of(await booth.pay(drawer, 6_000)) == (409, "visit_open")
    await booth.leave()
    assert code_of(await booth.pay(drawer, 5_000)) == (409, "notes_differ")
    asked = (booth.pay(drawer, 6_000), booth.pay(drawer, 6_000), booth.credit())
    answers = await asyncio.gather(*asked)
    assert sorted(one.status_code for one in answers) == [200, 422, 422]
    seen = await booth.see()
    assert (seen["status"], seen["rest"], seen["paid_out"] + seen["credited"]) == (
        "finished",
        0,
        6_000,
    )
    ((state, outcome),) = await booth.states()
    assert state == "resolved" and outcome
    assert (await audit(database_url)).holds


@pytest.mark.row("T-03", "L-15")
async def test_a_payout_stands_in_the_drawer_and_in_the_log(
    w: World, drawer: Drawer, database_url: str
) -> None:
    booth = await (await Left(w).stack(2_000)).leave()
    paid = await made(booth.pay(drawer, 2_000))
    assert (paid["amount"], paid["payout"]["way"]) == (2_000, "cash")
    entries = (await made(w.merchant.get(f"{drawer.base}/cash")))["data"]
    assert (entries[-1]["type"], entries[-1]["amount"], entries[-1]["reason"]) == (
        "paid_out",
        2_000,
        booth.visit["id"],
    )
    (seen,) = (await booth.see())["payouts"]
    assert seen == paid["payout"]
    (log,) = (await made(w.auditor.get("/v1/audit-log", verb="kiosks:payout")))["data"]
    assert log["subject"] == booth.visit["id"]
    assert await booth.balance() == 0
    # A note that comes to light afterwards is another rest, with a case of its own.
    assert (await booth.report(booth.event("stacked", 500))).is_success
    assert [state for state, _ in await booth.states()] == ["open", "resolved"]
    assert (await made(booth.credit()))["amount"] == 500
    assert [state for state, _ in await booth.states()] == ["resolved", "resolved"]
    seen = await booth.see()
    assert (seen["stacked"], seen["credited"], seen["paid_out"]) == (2_500, 500, 2_000)
    assert (await audit(database_url)).holds


@pytest.mark.row("T-03", "ATK-11")
async def test_much_takes_the_supervisor_of_the_drawer(w: World, drawer: Drawer) -> None:
    booth = await (await Left(w).stack(10_000)).leave()
    alone = await booth.pay(drawer, 10_000)
    assert code_of(alone) == (422, "override_needed")
    boss = await w.person("90", "supervisor")
    given = await w.allowed("paid_out", drawer.shift, 10_000, drawer.cashier, boss)
    assert (await booth.pay(drawer, 10_000, override=given)).status_code == 200
    entries = (await made(w.merchant.get(f"{drawer.base}/cash")))["data"]
    assert entries[-1]["supervisor"] == boss


@pytest.mark.row("T-03", "L-15")
@pytest.mark.parametrize(("more", "code"), [(0, "override_needed"), (100, "rest_over_cash")])
async def test_cash_up_to_a_hundred_yuan(w: World, drawer: Drawer, more: int, code: str) -> None:
    booth = await (await Left(w).stack(10_000, *([more] if more else []))).leave()
    refused = await booth.pay(drawer, 10_000 + more)
    assert code_of(refused) == (422, code)
    if more:
        assert refused.json()["rule"] == "CR-21"


@pytest.mark.row("T-03", "L-15", "ATK-11")
async def test_more_is_transferred_by_name_when_two_agree(w: World, database_url: str) -> None:
    booth = await (await Left(w).stack(10_000, 5_000)).leave()
    assert code_of(await booth.ask(15_000, await customer(w, proven=False))) == (
        422,
        "holder_not_identified",
    )
    payee = await customer(w)
    assert code_of(await booth.ask(10_000, payee)) == (409, "notes_differ")
    asked = await made(booth.ask(15_000, payee))
    assert (await booth.states())[0][0] == "taken", "nobody else pays meanwhile"
    assert (await booth.see())["rest"] == 15_000
    self_agreed = await w.operator.post(f"/v1/approvals/{asked['id']}/approve")
    assert self_agreed.status_code == 403
    agreed = await made(w.approve(asked["id"]))
    (payout,) = (await booth.see())["payouts"]
    assert agreed["result"] == {"payout": payout["id"]}
    assert (payout["way"], payout["payee"], payout["approval"], payout["amount"]) == (
        "transfer",
        payee,
        asked["id"],
        15_000,
    )
    ((state, outcome),) = await booth.states()
    assert state == "resolved" and payout["id"] in str(outcome)
    assert (await audit(database_url)).holds


@pytest.mark.row("T-03", "L-15", "ATK-11")
async def test_another_card_takes_two_from_a_sum_on(w: World, database_url: str) -> None:
    other = await w.card(await w.programme())
    little = await (await Left(w).stack(10_000)).leave()
    assert (await little.credit(card=other["id"])).status_code == 200, "100 yuan: cash as well"
    booth = await (await Left(w).stack(10_000, 100)).leave()
    alone = await booth.credit(card=other["id"])
    assert (code_of(alone), alone.json()["rule"]) == ((422, "approval_needed"), "L-15")
    path = f"{booth.base}/credit/requests"
    body = {"amount": 10_000, "card": other["id"], "reason": "the first card is lost"}
    assert code_of(await w.operator.post(path, body)) == (409, "notes_differ")
    asked = await made(w.operator.post(path, body | {"amount": 10_100}))
    assert sorted(state for state, _ in await booth.states()) == ["resolved", "taken"]
    agreed = await made(w.approve(asked["id"]))
    (credit,) = (await booth.see())["credits"]
    assert (agreed["result"], credit["amount"]) == ({"topup": credit["topup"]}, 10_100)
    assert [state for state, _ in await booth.states()] == ["resolved", "resolved"]
    shown = await made(w.operator.get(f"/v1/cards/{other['id']}"))
    assert (shown["balance"], await booth.balance()) == (20_100, 0)
    own = await (await Left(w).stack(10_000, 100)).leave()
    assert (await own.credit(card=own.card["id"])).status_code == 200, "the card it saw"
    assert (await audit(database_url)).holds


@pytest.mark.row("T-03")
async def test_what_was_loaded_meanwhile_is_not_transferred(w: World) -> None:
    booth = await (await Left(w).stack(500)).leave()
    asked = await made(booth.ask(500, await customer(w)))
    assert (await booth.credit()).status_code == 200
    assert code_of(await w.approve(asked["id"])) == (422, "nothing_left")
    assert (await booth.see())["payouts"] == []


@pytest.mark.row("T-03")
async def test_a_payout_needs_its_verb_and_a_drawer_of_the_store(w: World) -> None:
    booth = await (await Left(w).stack(500)).leave()
    here, w.store = w.store, await w._store(w.company, "S9")
    elsewhere = await Drawer(w).open(1_000)
    w.store = here
    assert code_of(await booth.pay(elsewhere, 500)) == (404, "not_found")
    own = await Drawer(w).open(1_000, "02")
    body = {"amount": 500, "shift": own.shift, "reason": "x"}
    assert (await w.merchant.post(f"{booth.base}/payout", body)).status_code == 403
    assert (await own.count(v1000=1)).is_success and (await own.close()).is_success
    assert code_of(await booth.pay(own, 500)) == (409, "shift_closed")
    assert (await booth.see())["rest"] == 500


RUINS = {
    "a payout removed": "delete from kiosks.payout",
    "a payout made smaller": "update kiosks.payout set amount_fen = 1_999",
    "a drawer entry removed": "delete from merchants.drawer_entry where kind = 'paid_out'",
    "a drawer entry of another kind": (
        "update merchants.drawer_entry set kind = 'drop' where kind = 'paid_out'"
    ),
    "more said than paid": "update kiosks.session set paid_fen = 1_000",
}


@pytest.mark.row("T-03")
@pytest.mark.parametrize("ruin", RUINS)
async def test_the_audit_finds_a_payout_that_does_not_add_up(
    w: World, drawer: Drawer, database_url: str, ruin: str
) -> None:
    booth = await (await Left(w).stack(2_000)).leave()
    await made(booth.pay(drawer, 2_000))
    assert (await audit(database_url)).holds
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("alter table merchants.drawer_entry disable trigger user")
        assert conn.execute(RUINS[ruin].encode()).rowcount > 0
    assert failing(await audit(database_url))["I-3"]
