"""A night through the doors: cut, netted, closed; and every figure down to its slips."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.ids import from_edge, to_edge
from kabao.ledger.model import Account
from kabao.org.model import NewCompany
from tests.app.world import World, made, world

from .night import MONDAY, at, fee_plan, house, pass_night, settlements, turn


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        yield w


async def trade(w: World) -> dict[str, Any]:
    """100.00 and 50.00 at the other company's store, 20.00 given back; 30.00 at the own one."""
    card = await w.card(await w.programme(), 90_000)
    paid = await w.pay(card, 10_000, store=w.other_store)
    await w.pay(card, 5_000, store=w.other_store)
    await w.pay(card, 3_000)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 2_000}))
    return card


@pytest.mark.row("C-01", "C-03", "C-05", "L-12", "P-05")
async def test_a_night(w: World) -> None:
    await fee_plan(w, w.other_store, rate_bp=60, per_item=10)
    card = await trade(w)
    turn(w, at(MONDAY, 20, 5))
    await pass_night(w)
    [own, other] = sorted(await settlements(w), key=lambda s: s["amount"])
    assert own["status"] == other["status"] == "provisional"
    assert (own["store"], own["amount"], own["fees"]) == (w.store, 3_000, 0)
    # 60 bp of 100.00 and of 50.00, and 0.10 each; what is left of the first is 80.00
    assert (other["redeemed"], other["given_back"]) == (15_000, 2_000)
    assert (other["fees"], other["fees_returned"]) == (60 + 10 + 30 + 10, 12)
    assert other["amount"] == 15_000 - 2_000 - 110 + 12
    turn(w, at(MONDAY, 21))
    await w.pay(card, 700, store=w.other_store)  # the evening peak: the next window's
    turn(w, at(MONDAY, 23, 59))
    await pass_night(w)
    assert (await w.auditor.get(f"/v1/clearing-days/{MONDAY}")).status_code == 404
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    closed = await made(w.auditor.get(f"/v1/clearing-days/{MONDAY}"))
    assert closed["day"]["status"] == "hard_closed"
    assert [s["status"] for s in await settlements(w)] == ["due", "due"]
    assert {s["due_on"] for s in await settlements(w)} == {"2026-11-24"}
    whole = await made(w.auditor.get(f"/v1/settlements/{other['id']}"))
    [paid] = whole["instructions"]
    assert (paid["payer"], paid["payee_company"]) == (w.company, w.other)
    assert (paid["amount"], paid["status"]) == (other["amount"], "due")
    own_whole = await made(w.auditor.get(f"/v1/settlements/{own['id']}"))
    assert own_whole["instructions"] == []


async def test_the_books_after_a_night(w: World) -> None:
    await fee_plan(w, w.other_store, rate_bp=60, per_item=10)
    await trade(w)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    issuer, other = from_edge("com", w.company), from_edge("com", w.other)
    assert await house(w, Account.REDEEMED) == {}
    assert await house(w, Account.NETTING) == {}
    assert await house(w, Account.FEES) == {issuer: 98}
    assert await house(w, Account.SET_OFF) == {issuer: 3_000}
    assert await house(w, Account.PAYABLE) == {other: 12_902}
    assert await house(w, Account.CASH) == {from_edge("sto", w.store): -90_000}


@pytest.mark.row("C-05")
async def test_a_figure_leads_to_its_slips(w: World) -> None:
    await trade(w)
    turn(w, at(MONDAY, 20, 5))
    await pass_night(w)
    for settlement in await settlements(w):
        slips: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            path = f"/v1/settlements/{settlement['id']}/transfers"
            page = await made(w.auditor.get(path, limit=1, **cursor))
            slips += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert sum(s["amount"] for s in slips if s["amount"] > 0) == settlement["redeemed"]
        assert -sum(s["amount"] for s in slips if s["amount"] < 0) == settlement["given_back"]
        assert len(slips) == settlement["transfers"]
        for slip in slips:
            assert slip["payment"] is not None
            await made(w.auditor.get(f"/v1/payments/{slip['payment']}"))


@pytest.mark.row("L-12")
async def test_who_owes_whom(w: World) -> None:
    await trade(w)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    [window] = (await made(w.auditor.get("/v1/netting-windows")))["data"]
    graph_of = f"/v1/netting-windows/{window['id']}/graph"
    [graph] = (await w.auditor.get(graph_of)).json()
    assert not graph["provisional"]
    nets = {party["party"]: party["net"] for party in graph["parties"]}
    assert nets == {w.company: -13_000, w.other: 13_000}
    assert [(p["payer"], p["payee"], p["amount"]) for p in graph["payments"]] == [
        (w.company, w.other, 13_000)
    ]
    assert sum(claim["amount"] for claim in graph["claims"]) == 16_000
    # A key of one company sees what that company takes part in.
    [seen] = (await w.by("other-auditor").get(graph_of)).json()
    assert [claim["company"] for claim in seen["claims"]] == [w.other]
    assert [party["party"] for party in seen["parties"]] == [w.other]
    whole = await made(w.auditor.get(f"/v1/netting-windows/{window['id']}"))
    provisional, final = whole["runs"]
    assert (provisional["provisional"], final["provisional"]) == (True, False)


async def test_whose_settlements_may_be_seen(w: World) -> None:
    await trade(w)
    turn(w, at(MONDAY, 20, 5))
    await pass_night(w)
    seen = (await made(w.by("other-auditor").get("/v1/settlements")))["data"]
    assert [s["store"] for s in seen] == [w.other_store]
    [hidden] = [s for s in await settlements(w) if s["store"] == w.store]
    for path in ("", "/transfers"):
        answer = await w.by("other-auditor").get(f"/v1/settlements/{hidden['id']}{path}")
        assert answer.status_code == 404
    mine = await made(w.auditor.get("/v1/settlements", store=w.store, issuer=w.company))
    assert [s["id"] for s in mine["data"]] == [hidden["id"]]


async def key(w: World, name: str, scope: dict[str, Any]) -> None:
    body = {"name": name, "grant": {"roles": ["auditor"]} | scope, "reason": "for a test"}
    asked = await made(w.by("admin").post("/v1/api-keys", body))
    if asked["approval"] is not None:
        await made(w.approve(asked["approval"]))
    w.keys[name] = asked["token"]


async def strangers(w: World) -> None:
    """A third company that issues and pays at the other's store, as the first one does; keys
    of the first company alone, and of the other's store alone.
    """
    org, own = w.kabao.org, from_edge("com", w.company)
    async with w.kabao.db.transaction() as conn:
        third = (await org.add_company(conn, NewCompany(name="Third", parent=own))).id
    await org.refresh()
    await key(w, "own-auditor", {"company": w.company, "companies": [w.company]})
    await key(
        w, "store-auditor", {"company": w.other, "companies": [w.other], "stores": [w.other_store]}
    )
    card = await w.card(await w.programme(to_edge("com", third)), 90_000)
    await w.pay(card, 6_000, store=w.other_store)


async def test_what_others_pay_is_shown_to_nobody_else(w: World) -> None:
    await strangers(w)
    card = await w.card(await w.programme(), 90_000)
    await w.pay(card, 10_000, store=w.other_store)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    [mine] = await settlements(w, issuer=w.company)
    path = f"/v1/settlements/{mine['id']}"

    async def seen(who: str) -> dict[str, int]:
        whole = await made(w.by(who).get(path))
        return {i["payer"]: len(i["settlements"]) for i in whole["instructions"]}

    whole = await seen("auditor")
    assert len(whole) == 2
    assert set(whole.values()) == {2}
    # The payee sees who pays it and for what; an issuer its own payment for its own settlement.
    assert await seen("other-auditor") == whole
    assert await seen("own-auditor") == {w.company: 1}
    # What the company gets in all is not for a key of one store of it; its settlement is.
    assert await seen("store-auditor") == {}


@pytest.mark.row("X-09")
async def test_a_day_computed_again_is_the_same(w: World) -> None:
    await fee_plan(w, w.other_store, rate_bp=60, per_item=10)
    await trade(w)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    checked = await w.kabao.clearing.check(MONDAY)
    assert checked.differs == ()
    assert (checked.settlements, checked.runs) == (2, 1)
    async with w.kabao.db.transaction() as conn:
        await conn.execute(
            "update clearing.settlement set redeemed_fen = redeemed_fen + 1,"
            " amount_fen = amount_fen + 1 where company = %s",
            [from_edge("com", w.other)],
        )
    differs = {each.what for each in (await w.kabao.clearing.check(MONDAY)).differs}
    assert any(what.startswith("settlement ") for what in differs)
    assert {"claims of run 1", "result of run 1", "transfers of run 1"} <= differs


async def test_little_waits_and_is_paid_with_the_next(w: World) -> None:
    card = await w.card(await w.programme(), 90_000)
    await w.pay(card, 99, store=w.other_store)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    [first] = await settlements(w)
    [small] = (await made(w.auditor.get(f"/v1/settlements/{first['id']}")))["instructions"]
    assert (small["amount"], small["status"]) == (99, "carried")
    await w.pay(card, 1, store=w.other_store)
    turn(w, at(MONDAY + timedelta(days=2), 2, 1))
    await pass_night(w)
    [_, second] = await settlements(w)
    [paid] = (await made(w.auditor.get(f"/v1/settlements/{second['id']}")))["instructions"]
    assert (paid["amount"], paid["status"], paid["due_on"]) == (100, "due", "2026-11-25")
    assert await house(w, Account.PAYABLE) == {from_edge("com", w.other): 100}
    for day in (MONDAY, MONDAY + timedelta(days=1)):
        assert (await w.kabao.clearing.check(day)).differs == ()


async def test_a_store_that_owes_waits_for_its_next_settlement(w: World) -> None:
    card = await w.card(await w.programme(), 90_000)
    paid = await w.pay(card, 10_000, store=w.other_store)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    await pass_night(w)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 4_000}))
    turn(w, at(MONDAY + timedelta(days=2), 2, 1))
    await pass_night(w)
    await w.pay(card, 5_500, store=w.other_store)
    turn(w, at(MONDAY + timedelta(days=3), 2, 1))
    await pass_night(w)
    amounts = [s["amount"] for s in await settlements(w)]
    assert amounts == [10_000, -4_000, 5_500]
    last = (await settlements(w))[-1]
    [paid] = (await made(w.auditor.get(f"/v1/settlements/{last['id']}")))["instructions"]
    assert paid["amount"] == 1_500
    assert await house(w, Account.PAYABLE) == {from_edge("com", w.other): 11_500}
    assert await house(w, Account.NETTING) == {}


@pytest.mark.row("C-03")
async def test_it_is_paid_after_the_holidays(w: World) -> None:
    friday = MONDAY + timedelta(days=4)
    for day in range(5):
        turn(w, at(MONDAY + timedelta(days=day), 2, 1))
        await pass_night(w)
    turn(w, at(friday, 12))
    card = await w.card(await w.programme(), 9_000)
    await w.pay(card, 5_000, store=w.other_store)
    turn(w, at(friday + timedelta(days=1), 2, 1))
    await pass_night(w)
    [settled] = await settlements(w)
    assert (settled["day"], settled["due_on"]) == ("2026-11-27", "2026-11-30")


async def test_ticks_change_nothing_twice(w: World) -> None:
    await trade(w)
    turn(w, at(MONDAY + timedelta(days=1), 2, 1))
    for _ in range(3):
        await pass_night(w)
    assert len(await settlements(w)) == 2
    assert await house(w, Account.PAYABLE) == {from_edge("com", w.other): 13_000}
