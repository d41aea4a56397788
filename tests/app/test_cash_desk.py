"""A cash desk's day: float, cash in and out, a blind count, the difference (T-02)."""

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
from tests.app.world import Caller, World, made, world
from tests.audit.books import failing

PAID_OUT_FROM_FEN = 10_000
DROP_FROM_FEN = 50_000


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


class Drawer:
    """A cashier's shift with so much in the drawer."""

    def __init__(self, w: World) -> None:
        self.w, self.base = w, f"{w.store}/none"

    async def open(self, float_fen: int, code: str = "01") -> Drawer:
        w = self.w
        self.cashier = await w.person(code)
        till = {"store": w.store, "model": "A920"}
        self.terminal = (await made(w.operator.post("/v1/terminals", till)))["id"]
        self.who = {"cashier": self.cashier, "terminal": self.terminal}
        body = self.who | ({"float": float_fen} if float_fen else {})
        self.shift = (await made(w.merchant.post("/v1/shifts", body)))["id"]
        self.base = f"/v1/shifts/{self.shift}"
        return self

    async def move(self, kind: str, fen: int, **more: Any) -> httpx.Response:
        body = {"type": kind, "amount": fen, "reason": "change"} | more
        return await self.w.merchant.post(f"{self.base}/cash", body)

    async def count(self, **pieces: int) -> httpx.Response:
        body = [{"value": int(value[1:]), "count": n} for value, n in pieces.items()]
        return await self.w.merchant.post(f"{self.base}/counts", {"pieces": body})

    async def close(self, **body: Any) -> httpx.Response:
        return await self.w.merchant.post(f"{self.base}/close", body)

    async def load(self, card: dict[str, Any], fen: int) -> None:
        body = {"card": card["id"], "amount": fen, "currency": "CNY", "channel": "cash"}
        await made(self.w.merchant.post("/v1/topups", body | self.who | {"store": self.w.store}))

    async def sell(self, *tenders: dict[str, Any], fen: int) -> dict[str, Any]:
        body = {"amount": fen, "currency": "CNY", "store": self.w.store, "tenders": list(tenders)}
        return await made(self.w.merchant.post("/v1/payment-orders", body | self.who))

    async def entries(self) -> list[tuple[str, int]]:
        found = await made(self.w.merchant.get(f"{self.base}/cash"))
        return [(one["type"], one["amount"]) for one in found["data"]]


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def cash_of(totals: dict[str, Any]) -> dict[str, tuple[int, int]]:
    cash = [one for one in totals["lines"] if one["tender"] == "cash"]
    return {one["verb"]: (one["count"], one["amount"]) for one in cash}


async def till_key(w: World) -> Caller:
    """A key that sees the first store alone."""
    grant = {"verbs": ["merchants:read"], "company": w.company, "stores": [w.store]}
    body = {"name": "till", "reason": "for a test", "grant": grant}
    asked = await made(w.by("admin").post("/v1/api-keys", body))
    if asked["approval"] is not None:
        await made(w.approve(asked["approval"]))
    return Caller(w.client, asked["token"])


@pytest.mark.row("T-02", "C-05")
async def test_a_drawer_is_opened_used_counted_blind_and_closed(
    w: World, database_url: str
) -> None:
    here, till = await Drawer(w).open(50_000), await till_key(w)
    card = await w.card(await w.programme())
    await here.load(card, 20_000)
    await here.sell({"type": "cash"}, fen=1_500)
    order = await here.sell({"type": "cash"}, fen=2_500)
    refunds = f"/v1/payment-orders/{order['id']}/refunds"
    await made(w.merchant.post(refunds, {"amount": 500} | here.who))
    for kind, fen in (("paid_in", 300), ("paid_out", PAID_OUT_FROM_FEN - 1), ("drop", 40_000)):
        assert (await here.move(kind, fen)).status_code == 201
    expected = 50_000 + 20_000 + 1_500 + 2_500 - 500 + 300 - 9_999 - 40_000
    blind = await made(till.get(f"{here.base}/totals"))
    assert (blind["cash_expected"], cash_of(blind)) == (None, {}), "the cashier counts first"
    told = await made(w.merchant.get(f"{here.base}/totals"))
    assert told["cash_expected"] == expected == 23_801
    assert code_of(await here.close()) == (422, "count_needed")
    first = await here.count(v10000=2, v500=7)
    assert first.status_code == 201
    assert set(first.json()) == {"number", "amount", "currency", "created_at"}, "no word of it"
    counted = await here.count(v10000=2, v500=7, v100=2, v50=1, v1=1)
    assert (counted.json()["number"], counted.json()["amount"]) == (2, 23_751)
    assert code_of(await here.count(v10000=3)) == (422, "counted_enough")
    z = (await made(here.close()))["z_report"]
    assert (z["cash_expected"], z["cash_declared"], z["cash_difference"]) == (23_801, 23_751, -50)
    assert cash_of(z) == {
        "drop": (1, -40_000),
        "float": (1, 50_000),
        "load": (1, 20_000),
        "order": (2, 4_000),
        "order_refund": (1, -500),
        "paid_in": (1, 300),
        "paid_out": (1, -9_999),
    }
    assert (await here.entries())[-1] == ("short", 50)
    (case,) = (await made(w.operator.get("/v1/cases", kind="till.difference")))["data"]
    assert case["subject"] == here.shift
    assert (case["facts"]["expected_fen"], case["facts"]["counted_fen"]) == (23_801, 23_751)
    assert (await audit(database_url)).holds
    for late in (await here.move("drop", 1), await here.count(v1=1)):
        assert code_of(late) == (409, "shift_closed")


@pytest.mark.row("T-02")
async def test_an_even_drawer_is_no_case_and_one_that_is_over_is(w: World) -> None:
    even, over = await Drawer(w).open(1_000), await Drawer(w).open(1_000, "02")
    assert (await even.count(v1000=1)).status_code == 201
    assert (await made(even.close(cash=1_000)))["z_report"]["cash_difference"] == 0
    assert (await over.count(v1000=1, v5=1)).status_code == 201
    assert code_of(await over.close(cash=1_000)) == (422, "invalid"), "it was counted otherwise"
    assert (await made(over.close()))["z_report"]["cash_difference"] == 5
    assert await even.entries() == [("float", 1_000)]
    assert await over.entries() == [("float", 1_000), ("over", 5)]
    cases = (await made(w.operator.get("/v1/cases")))["data"]
    assert [case["subject"] for case in cases] == [over.shift]


@pytest.mark.row("T-02", "ATK-11")
async def test_paying_out_much_takes_a_supervisor(w: World) -> None:
    here, boss = await Drawer(w).open(50_000), await w.person("90", "supervisor")
    alone = await here.move("paid_out", PAID_OUT_FROM_FEN)
    assert code_of(alone) == (422, "override_needed")
    assert alone.json()["rule"] == "ATK-11"
    given = await w.allowed("paid_out", here.shift, PAID_OUT_FROM_FEN, here.cashier, boss)
    paid = await here.move("paid_out", PAID_OUT_FROM_FEN, override=given)
    assert (paid.status_code, paid.json()["supervisor"]) == (201, boss)
    again = await here.move("paid_out", PAID_OUT_FROM_FEN, override=given)
    assert code_of(again) == (422, "override_not_valid")


@pytest.mark.row("T-02", "ATK-11")
async def test_dropping_much_takes_a_witness(w: World) -> None:
    here, other = await Drawer(w).open(200_000), await w.person("90")
    assert (await here.move("drop", DROP_FROM_FEN - 2)).status_code == 201
    both = await asyncio.gather(*(here.move("drop", 1) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [201, 422]
    alone = await here.move("drop", 1)
    assert (alone.json()["code"], alone.json()["rule"]) == ("override_needed", "ATK-11")
    seen = await w.allowed("drop", here.shift, DROP_FROM_FEN, here.cashier, other)
    assert code_of(await here.move("paid_out", PAID_OUT_FROM_FEN, override=seen)) == (
        422,
        "override_not_valid",
    )
    dropped = await here.move("drop", DROP_FROM_FEN, override=seen)
    assert (dropped.status_code, dropped.json()["supervisor"]) == (201, other)
    again = await here.move("drop", 1, override=seen)
    assert code_of(again) == (422, "override_not_valid")
    with pytest.raises(AssertionError, match="override_refused"):  # nobody is the own witness
        await w.allowed("drop", here.shift, 1, here.cashier, here.cashier)
    with pytest.raises(AssertionError, match="override_refused"):  # a witness allows nothing
        await w.allowed("paid_out", here.shift, 1, here.cashier, other)
    (entry,) = (await made(w.auditor.get("/v1/audit-log", verb="override:drop")))["data"]
    assert entry["subject"] == here.shift


@pytest.mark.row("T-02", "ATK-11")
async def test_paying_out_in_pieces_takes_a_supervisor_too(w: World) -> None:
    here, boss = await Drawer(w).open(50_000), await w.person("90", "supervisor")
    assert (await here.move("paid_out", PAID_OUT_FROM_FEN - 2)).status_code == 201
    both = await asyncio.gather(*(here.move("paid_out", 1) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [201, 422]
    (alone,) = (one for one in both if one.status_code == 422)
    assert (alone.json()["code"], alone.json()["rule"]) == ("override_needed", "ATK-11")
    given = await w.allowed("paid_out", here.shift, 1, here.cashier, boss)
    assert (await here.move("paid_out", 1, override=given)).json()["supervisor"] == boss
    assert code_of(await here.move("paid_out", 1)) == (422, "override_needed")


@pytest.mark.row("T-02")
@pytest.mark.parametrize("said", [None, 1_000])
async def test_cash_that_was_taken_without_a_float_is_counted(w: World, said: int | None) -> None:
    here, card = await Drawer(w).open(0), await w.card(await w.programme())
    load = {"card": card["id"], "amount": 1_000, "currency": "CNY", "channel": "cash"}
    await made(w.operator.post("/v1/topups", load | here.who | {"store": w.store}))
    assert code_of(await here.close()) == (422, "count_needed")
    if said is not None:
        assert (await made(here.close(cash=said)))["z_report"]["cash_difference"] == 0
        return
    await made(w.operator.post(f"/v1/cashiers/{here.cashier}/dismiss"))
    (case,) = (await made(w.operator.get("/v1/cases", kind="till.not_counted")))["data"]
    assert (case["subject"], case["facts"]["expected_fen"]) == (here.shift, 1_000)


@pytest.mark.row("T-02")
async def test_money_that_there_is_not_is_not_counted(w: World) -> None:
    here = await Drawer(w).open(0)
    for pieces in ({"v30": 1}, {"v0": 1}, {"v1000": -1}):
        assert (await here.count(**pieces)).status_code == 422
    twice = {"pieces": [{"value": 100, "count": 1}, {"value": 100, "count": 1}]}
    assert code_of(await w.merchant.post(f"{here.base}/counts", twice)) == (422, "invalid")
    assert (await here.count()).json()["amount"] == 0
    assert code_of(await here.move("float", 5)) == (422, "invalid")


@pytest.mark.row("T-02")
async def test_a_drawer_whose_cashier_is_gone_is_a_case(w: World) -> None:
    here = await Drawer(w).open(700)
    await made(w.operator.post(f"/v1/cashiers/{here.cashier}/dismiss"))
    (case,) = (await made(w.operator.get("/v1/cases", kind="till.not_counted")))["data"]
    assert (case["subject"], case["facts"]["expected_fen"]) == (here.shift, 700)


SOLD_RUINS = {
    "a load that no report knows": (
        "update ledger.transfer set shift = null where purpose = 1 and shift is not null",
        "says 1 cash load of 20000 fen, the books 0 of 0",
    ),
    "a payment moved to another shift": (
        "update ledger.transfer set shift = gen_random_uuid() where purpose = 10",
        "says 1 stored_value payment of 700 fen, the books 0 of 0",
    ),
    "an order's cash made smaller": (
        "update tenders.cash_entry set amount_fen = amount_fen - 1 where verb = 'order'",
        "says 1 cash order of 1500 fen, the books 1 of 1499",
    ),
    "what was given back forgotten": (
        "delete from tenders.cash_entry where verb = 'order_refund'",
        "says 1 cash order_refund of -500 fen, the books 0 of 0",
    ),
    "a sale left out of the report, and of the drawer": (
        "update merchants.z_report set cash_expected_fen = cash_expected_fen - 20000,"
        " cash_declared_fen = cash_declared_fen - 20000, lines = (select json_agg(l)"
        " from json_array_elements(lines) l where l->>'verb' <> 'load')",
        "says 0 cash load of 0 fen, the books 1 of 20000",
    ),
    "a line made up": (
        "update merchants.z_report set lines = (lines::jsonb || jsonb_build_object('verb',"
        " 'cash_out', 'tender', 'cash', 'count', 1, 'amount_fen', -5))::json",
        "says 1 cash cash_out of -5 fen, the books 0 of 0",
    ),
    "a report removed": ("delete from merchants.z_report", "has ended, and has no report"),
    "a number skipped": (
        "update merchants.z_report set number = 2",
        "has 1 reports, the last is number 2",
    ),
}


@pytest.mark.row("T-02", "C-05")
@pytest.mark.parametrize("ruin", SOLD_RUINS)
async def test_the_audit_compares_reports_with_what_was_sold(
    w: World, database_url: str, ruin: str
) -> None:
    here, card = await Drawer(w).open(1_000), await w.card(await w.programme())
    await here.load(card, 20_000)
    await w.pay(card, 700, **here.who)
    order = await here.sell({"type": "cash"}, fen=1_500)
    refunds = f"/v1/payment-orders/{order['id']}/refunds"
    await made(w.merchant.post(refunds, {"amount": 500} | here.who))
    w.clock.advance(timedelta(minutes=2))
    await here.count(v10000=2, v1000=2)
    await made(here.close())
    assert (await audit(database_url)).holds
    statement, named = SOLD_RUINS[ruin]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")
        assert conn.execute(statement.encode()).rowcount > 0
    found = failing(await audit(database_url))
    assert any(named in each for each in found["I-3"]), found


@pytest.mark.row("T-02")
async def test_what_was_under_way_while_a_shift_ended_is_noted(w: World, database_url: str) -> None:
    """As if the report had been made before the load was committed."""
    here, card = await Drawer(w).open(0), await w.card(await w.programme())
    await here.load(card, 20_000)
    await here.count(v10000=2)
    await made(here.close())
    late = "1 cash load of 20000 fen came after the report"
    for waited, holds in (("59 seconds", True), ("60 seconds", False)):
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute("set session_replication_role = replica")
            conn.execute(
                "update merchants.z_report set lines = '[]', cash_expected_fen = 0,"
                " cash_declared_fen = 0, created_at = (select max(recorded_at)"
                f" from ledger.transfer) + interval '{waited}'".encode()
            )
            conn.execute("update merchants.drawer_count set amount_fen = 0")
        lines = (await audit(database_url)).lines
        (reports,) = (line for line in lines if line.text.startswith("Every Z report"))
        assert reports.holds is holds, waited
        assert any(late in one for one in reports.noted)


RUINS = {
    "an entry that no report knows": (
        "insert into merchants.drawer_entry select gen_random_uuid(), shift, 'paid_in', 1, 'x',"
        " null, created_at from merchants.z_report",
        "its drawer has other entries than its report",
    ),
    "a difference hidden": (
        "delete from merchants.drawer_entry where kind = 'short'",
        "booked 0 fen over",
    ),
    "another count": (
        "update merchants.drawer_count set amount_fen = amount_fen + 1",
        "counted 901 fen, says 900",
    ),
    "another sum": (
        "update merchants.z_report set cash_expected_fen = 900",
        "its lines are 1000 fen, it expects 900",
    ),
}


@pytest.mark.row("T-02")
@pytest.mark.parametrize("ruin", RUINS)
async def test_the_audit_finds_what_was_done_to_a_drawer(
    w: World, database_url: str, ruin: str
) -> None:
    here = await Drawer(w).open(1_000)
    await here.count(v500=1, v200=2)
    await made(here.close())
    assert (await audit(database_url)).holds
    statement, named = RUINS[ruin]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")
        assert conn.execute(statement.encode()).rowcount > 0
    found = failing(await audit(database_url))
    assert any(named in each for each in found["I-3"]), found
