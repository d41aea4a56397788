"""What bookkeepers are told: accounts, transfers, loads and days, over the whole platform."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kabao.base.clock import now
from kabao.base.ids import from_edge
from kabao.ledger.model import Account, HouseMove, Purpose
from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


def balances(answer: dict[str, Any]) -> dict[str, int]:
    return {line["account"]: line["balance"] for line in answer["data"]}


async def test_a_card_s_accounts_now_and_before(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    loaded = now(w.clock)
    w.clock.advance(timedelta(minutes=1))
    await w.pay(card, 1_200)
    await w.pay(card, 300, capture=False)
    answer = await made(w.auditor.get("/v1/ledger/accounts", card=card["id"]))
    assert answer["at"] is None
    assert balances(answer) == {
        "principal": 8_500,
        "bonus": 0,
        "principal_held": 300,
        "bonus_held": 0,
    }
    principal = answer["data"][0]
    assert principal["owner"] == card["id"]
    assert (principal["debit"], principal["credit"]) == (1_500, 10_000)
    before = await made(
        w.auditor.get("/v1/ledger/accounts", card=card["id"], at=loaded.isoformat())
    )
    assert balances(before) == {
        "principal": 10_000,
        "bonus": 0,
        "principal_held": 0,
        "bonus_held": 0,
    }
    one = await made(
        w.auditor.get("/v1/ledger/accounts", card=card["id"], account="principal_held")
    )
    assert balances(one) == {"principal_held": 300}


async def test_what_a_store_has_and_is_owed(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    loaded = now(w.clock)
    w.clock.advance(timedelta(minutes=1))
    await w.pay(card, 1_200)
    answer = await made(w.auditor.get("/v1/ledger/accounts", owner=w.store))
    settled = {"payable": 0, "under_way": 0, "cash_difference": 0}
    assert balances(answer) == {"cash": 10_000, "redeemed": 1_200} | settled
    before = await made(w.auditor.get("/v1/ledger/accounts", owner=w.store, at=loaded.isoformat()))
    assert balances(before) == {"cash": 10_000, "redeemed": 0} | settled
    issuer = await made(w.auditor.get("/v1/ledger/accounts", owner=w.company))
    assert balances(issuer)["transit"] == 0
    assert {"bonus_cost", "paid_out", "suspense", "adjustment", "lapsed"} <= balances(issuer).keys()


async def test_transfers_of_a_card_newest_first_a_page_at_a_time(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    payment = await w.pay(card, 1_200, reference="o1")
    await made(w.merchant.post(f"/v1/payments/{payment['id']}/refunds", {"amount": 200}))
    first = await made(w.auditor.get("/v1/ledger/transfers", card=card["id"], limit=2))
    [refund, pay] = first["data"]
    assert (refund["sequence"], refund["purpose"], refund["amount"]) == (3, "refund", 200)
    assert (refund["debit"], refund["credit"], refund["house"]) == (
        "redeemed",
        "principal",
        w.store,
    )
    assert refund["related"] == pay["operation"]
    assert (pay["debit"], pay["credit"], pay["principal_after"]) == ("principal", "redeemed", 8_800)
    assert pay["redeeming_store"] == w.store
    cursor = first["next_cursor"]
    rest = await made(w.auditor.get("/v1/ledger/transfers", card=card["id"], cursor=cursor))
    [load] = rest["data"]
    assert (load["purpose"], load["debit"], load["selling_store"]) == ("load", "cash", w.store)
    assert rest["next_cursor"] is None


async def test_transfers_of_a_house_account_in_order(w: World) -> None:
    programme = await w.programme()
    cards = [await w.card(programme, 10_000) for _ in range(3)]
    for card in cards:
        w.clock.advance(timedelta(seconds=1))
        await w.pay(card, 500)
    asked = {"owner": w.store, "account": "redeemed", "day": "2026-11-22", "limit": 2}
    first = await made(w.auditor.get("/v1/ledger/transfers", **asked))
    rest = await made(w.auditor.get("/v1/ledger/transfers", **asked, cursor=first["next_cursor"]))
    told = [line["card"] for line in first["data"] + rest["data"]]
    assert told == [card["id"] for card in cards]
    assert rest["next_cursor"] is None
    none = await made(w.auditor.get("/v1/ledger/transfers", **(asked | {"day": "2026-11-21"})))
    assert none == {"data": [], "next_cursor": None}


async def test_transfers_between_house_accounts_in_order(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    await w.pay(card, 1_200)
    store, company = (from_edge(p, i, field="x") for p, i in (("sto", w.store), ("com", w.company)))
    async with w.kabao.db.transaction() as conn:
        for n, fen in enumerate((500, 300)):
            settled = HouseMove(
                debit=Account.REDEEMED,
                debit_owner=store,
                credit=Account.PAYABLE,
                credit_owner=store,
                amount_fen=fen,
                purpose=Purpose.SETTLE,
                issuer=company,
                for_date=date(2026, 11, 21),
            )
            await w.kabao.ledger.move_in(conn, [settled], company=company, key=f"settle/{n}")
    asked = {"owner": w.store, "account": "payable", "day": "2026-11-22", "limit": 1}
    first = await made(w.auditor.get("/v1/ledger/house-transfers", **asked))
    rest = await made(
        w.auditor.get("/v1/ledger/house-transfers", **asked, cursor=first["next_cursor"])
    )
    assert rest["next_cursor"] is None
    [one] = first["data"]
    assert (one["debit"], one["debit_owner"], one["credit"], one["credit_owner"]) == (
        "redeemed",
        w.store,
        "payable",
        w.store,
    )
    assert [row["amount"] for row in first["data"] + rest["data"]] == [500, 300]
    assert (one["purpose"], one["for_date"], one["issuer"]) == ("settle", "2026-11-21", w.company)
    answer = await made(w.auditor.get("/v1/ledger/accounts", owner=w.store))
    assert balances(answer) | {"cash": 0} == {
        "cash": 0,
        "redeemed": 400,
        "payable": 800,
        "under_way": 0,
        "cash_difference": 0,
    }
    nobody = await w.auditor.get(
        "/v1/ledger/house-transfers", **asked | {"owner": "sto_" + "0" * 32}
    )
    assert nobody.status_code == 404


async def test_loads_and_what_is_left_of_them(w: World) -> None:
    card = await w.card(await w.programme(), 1_000)
    await w.top_up(card["id"], 2_000)
    await w.pay(card, 1_500)
    answer = await made(w.auditor.get("/v1/ledger/lots", card=card["id"]))
    told = [(lot["principal"], lot["principal_left"], lot["price"]) for lot in answer["data"]]
    assert told == [(1_000, 0, 1_000), (2_000, 1_500, 2_000)]
    first = await made(w.auditor.get("/v1/ledger/lots", card=card["id"], limit=1))
    cursor = first["next_cursor"]
    rest = await made(w.auditor.get("/v1/ledger/lots", card=card["id"], cursor=cursor))
    assert first["data"] + rest["data"] == answer["data"]


async def test_a_day_is_closed_once_and_what_was_asked_stays_true(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    await w.pay(card, 1_200)
    day = {"day": "2026-11-22"}
    early = await w.operator.post("/v1/ledger/days/close", day)
    assert (early.status_code, early.json()["code"]) == (409, "day_not_over")
    w.clock.advance(timedelta(days=1))
    closed = await made(w.operator.post("/v1/ledger/days/close", day, key="once"))
    assert closed == {"day": "2026-11-22", "transfers": 2}
    assert await made(w.operator.post("/v1/ledger/days/close", day, key="once")) == closed
    again = await w.operator.post("/v1/ledger/days/close", day)
    assert (again.status_code, again.json()["code"]) == (409, "day_closed")
    [told] = (await made(w.auditor.get("/v1/ledger/days")))["data"]
    assert (told["day"], told["transfers"]) == ("2026-11-22", 2)
    await w.pay(card, 100)
    answer = await made(w.auditor.get("/v1/ledger/accounts", owner=w.store))
    assert balances(answer)["redeemed"] == 1_300
    [deed] = (await made(w.auditor.get("/v1/audit-log", verb="days:close")))["data"]
    assert deed["subject"] == "2026-11-22"


async def test_a_slip_of_the_year_closes_nothing(w: World) -> None:
    """Else the next closing would walk every day since, under the fence."""
    w.clock.advance(timedelta(days=3))
    for day, status in (("2026-11-22", 422), ("2026-11-24", 422)):
        answer = await w.operator.post("/v1/ledger/days/close", {"day": day})
        assert (answer.status_code, answer.json()["field"]) == (status, "day")
    await w.card(await w.programme(), 10_000)
    w.clock.advance(timedelta(days=2))
    for day, status in (("0001-01-01", 422), ("2026-11-24", 422), ("9999-12-31", 409)):
        answer = await w.operator.post("/v1/ledger/days/close", {"day": day})
        assert (day, answer.status_code) == (day, status)
    await made(w.operator.post("/v1/ledger/days/close", {"day": "2026-11-26"}))
    days = (await made(w.auditor.get("/v1/ledger/days")))["data"]
    assert [(row["day"], row["transfers"]) for row in days] == [
        ("2026-11-26", 0),
        ("2026-11-25", 1),
    ]


async def test_only_the_whole_group_closes_a_day(w: World) -> None:
    w.clock.advance(timedelta(days=1))
    day = {"day": "2026-11-22"}
    assert (await w.by("other-operator").post("/v1/ledger/days/close", day)).status_code == 403
    assert (await w.auditor.post("/v1/ledger/days/close", day)).status_code == 403


async def test_what_is_outside_the_scope_is_as_if_unknown(w: World) -> None:
    card = await w.card(await w.programme(), 1_000)
    stranger = w.by("other-auditor")
    for path in ("accounts", "transfers", "lots"):
        answer = await stranger.get(f"/v1/ledger/{path}", card=card["id"])
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for owner in (w.store, w.company):
        assert (await stranger.get("/v1/ledger/accounts", owner=owner)).status_code == 404
    assert (await stranger.get("/v1/ledger/accounts", owner=w.other_store)).status_code == 200
    assert (await w.merchant.get("/v1/ledger/accounts", owner=w.store)).status_code == 403


def place(*values: object) -> str:
    """A forged cursor."""
    return urlsafe_b64encode(msgspec.msgpack.encode(values)).decode().rstrip("=")


OF_CASH = {"owner": "STORE", "account": "cash", "day": "2026-11-22"}
REFUSALS: list[tuple[str, dict[str, str], int, str | None]] = [
    ("accounts", {}, 422, "card"),
    ("accounts", {"card": "card_1", "owner": "sto_1"}, 422, "card"),
    ("accounts", {"card": "card_1"}, 404, "card"),
    ("accounts", {"card": "card_" + "0" * 32}, 404, None),
    ("accounts", {"owner": "ter_1"}, 404, "owner"),
    ("accounts", {"owner": "STORE", "account": "transit"}, 422, "account"),
    ("accounts", {"owner": "STORE", "account": "gold"}, 422, "account"),
    ("accounts", {"owner": "STORE", "at": "2026-11-22"}, 422, "at"),
    ("accounts", {"owner": "STORE", "at": "9999-12-31T23:59:59-23:59"}, 422, "at"),
    ("accounts", {"owner": "STORE", "at": "0001-01-01T00:00:00+23:59"}, 422, "at"),
    ("transfers", {"owner": "STORE", "account": "cash"}, 422, "day"),
    ("transfers", OF_CASH | {"cursor": place(2**62, "0" * 32, 1)}, 400, "cursor"),
    ("transfers", OF_CASH | {"cursor": place(-1, "0" * 32, 1)}, 400, "cursor"),
    ("transfers", {"owner": "STORE", "day": "2026-11-22"}, 422, "account"),
    ("transfers", {"card": "card_1", "day": "2026-11-22"}, 422, "account"),
    ("transfers", {"card": "CARD", "cursor": "abc"}, 400, "cursor"),
    ("lots", {}, 400, "card"),
    ("days", {"limit": "201"}, 422, "limit"),
    ("days", {"cursor": "gaE"}, 400, "cursor"),
]


async def test_what_cannot_be_asked(w: World) -> None:
    card = await w.card(await w.programme())
    named = {"STORE": w.store, "CARD": card["id"]}
    for path, query, status, field in REFUSALS:
        given = {name: named.get(value, value) for name, value in query.items()}
        answer = await w.auditor.get(f"/v1/ledger/{path}", **given)
        told = (path, query, answer.status_code, answer.json().get("field"))
        assert told == (path, query, status, field)
