"""Where companies and stores are paid, through HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import fetch_value
from kabao.base.ids import from_edge
from kabao.clearing.model.accounts import holds
from kabao.clearing.model.batches import Payee
from kabao.org.model import CompanyChange
from tests.app.world import World, made, world

NUMBER, BANK = "6222020200012345678", "102100099996"


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as opened:
        yield opened


def body(at: World, **more: Any) -> dict[str, Any]:
    fields = {"company": at.company, "name": "Group", "account": NUMBER, "bank": BANK}
    return fields | {"reason": "as of the contract"} | more


async def settle_to(at: World, **more: Any) -> dict[str, Any]:
    """An account, asked for by one and agreed to by another."""
    asked = await made(at.operator.post("/v1/settlement-accounts", body(at, **more)))
    agreed = await made(at.approve(asked["id"]))
    ident = agreed["result"]["account"]
    return await made(at.operator.get(f"/v1/settlement-accounts/{ident}"))


@pytest.mark.row("CR-91")
async def test_an_account_takes_two_people_and_is_shown_masked(at: World) -> None:
    asked = await made(at.operator.post("/v1/settlement-accounts", body(at)))
    (waiting,) = (await made(at.operator.get("/v1/settlement-accounts")))["data"]
    assert waiting["status"] == "proposed"
    assert NUMBER not in str(asked) and asked["payload"]["last_digits"] == NUMBER[-4:]
    await made(at.approve(asked["id"]))
    (account,) = (await made(at.operator.get("/v1/settlement-accounts")))["data"]
    assert (account["status"], account["account"]) == ("active", "****5678")
    async with at.kabao.db.read() as conn:
        plain = await fetch_value(
            conn,
            "select count(*) from clearing.account as a where a::text like %s",
            [f"%{NUMBER}%"],
        )
    assert plain == 0


async def test_another_takes_the_place_of_what_there_was(at: World) -> None:
    first = await settle_to(at)
    second = await settle_to(at, account="6222020200099999999")
    found = (await made(at.operator.get("/v1/settlement-accounts")))["data"]
    states = {one["id"]: one["status"] for one in found}
    assert states == {first["id"]: "replaced", second["id"]: "active"}
    store = await settle_to(at, store=at.store, name="Group")
    async with at.kabao.db.read() as conn:
        own = await at.kabao.settlement_accounts.stores_with_own(conn, "CNY")
    assert own == {from_edge("sto", store["store"])}


@pytest.mark.row("CR-91")
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"name": "Somebody Else"}, "account_name_differs"),
        ({"company": "com_" + "0" * 32}, "not_found"),
        ({"store": "sto_" + "0" * 32}, "invalid"),
        ({"account": "62220"}, "invalid"),
        ({"bank": "1021"}, "invalid"),
    ],
)
async def test_money_goes_to_nobody_else(at: World, more: dict[str, str], code: str) -> None:
    refused = await at.operator.post("/v1/settlement-accounts", body(at, **more))
    assert refused.json()["code"] == code
    assert NUMBER not in refused.text


async def test_an_account_is_one_companys(at: World) -> None:
    await settle_to(at)
    other = body(at, company=at.other, name="Other")
    refused = await at.operator.post("/v1/settlement-accounts", other)
    assert (refused.status_code, refused.json()["code"]) == (422, "account_of_another")


async def test_an_account_is_one_companys_also_at_once(at: World) -> None:
    wanted = [body(at), body(at, company=at.other, name="Other")]
    asked = [await made(at.operator.post("/v1/settlement-accounts", one)) for one in wanted]
    answers = await asyncio.gather(*(at.approve(one["id"]) for one in asked))
    assert sorted(one.status_code for one in answers) == [200, 422]


async def test_a_company_that_took_another_name_is_not_paid(at: World) -> None:
    account = await settle_to(at)
    company = from_edge("com", at.company)
    accounts = at.kabao.settlement_accounts
    async with at.kabao.db.read() as conn:
        assert set(await accounts.payable(conn, [company], "CNY")) == {company}
    async with at.kabao.db.transaction() as conn:
        await at.kabao.org.change_company(conn, company, CompanyChange(name="Renamed"))
    await at.kabao.org.refresh()
    async with at.kabao.db.transaction() as conn:
        assert await accounts.payable(conn, [company], "CNY") == {}
        await accounts.broken(conn, from_edge("sac", account["id"]), "AC04")
    shown = await made(at.operator.get(f"/v1/settlement-accounts/{account['id']}"))
    assert (shown["status"], shown["reason"]) == ("broken", "AC04")


async def rename(at: World, name: str) -> None:
    """One person renames the store: no second one is asked."""
    key = {"Authorization": f"Bearer {at.operator.key}"}
    done = await at.client.patch(f"/v1/stores/{at.store}", json={"name": name}, headers=key)
    assert done.status_code == 200, done.text


@pytest.mark.row("CR-91")
async def test_the_second_person_sees_whose_the_account_is_and_who_is_paid(at: World) -> None:
    await rename(at, "Zhang San")
    asked = await made(
        at.operator.post("/v1/settlement-accounts", body(at, store=at.store, name="ZHANG SAN"))
    )
    shown = asked["payload"]
    assert (shown["name"], shown["company_name"]) == ("ZHANG SAN", "Group")
    assert shown["store_name"] == "Zhang San"


@pytest.mark.row("CR-91")
@pytest.mark.parametrize("holder", ["Group", "Shop"])
async def test_a_party_renamed_has_its_account_agreed_to_anew(at: World, holder: str) -> None:
    await rename(at, "Shop")
    account = await settle_to(at, store=at.store, name=holder)
    store, accounts = from_edge("sto", at.store), at.kabao.settlement_accounts
    async with at.kabao.db.read() as conn:
        assert set(await accounts.payable(conn, [store], "CNY")) == {store}
    await rename(at, "Zhang San")
    async with at.kabao.db.read() as conn:
        assert await accounts.payable(conn, [store], "CNY") == {}
    again = await settle_to(at, store=at.store, name="Group")
    assert again["id"] != account["id"]
    async with at.kabao.db.read() as conn:
        assert set(await accounts.payable(conn, [store], "CNY")) == {store}


@pytest.mark.row("CR-91")
async def test_a_party_renamed_while_an_account_waits_is_asked_about_again(at: World) -> None:
    await rename(at, "Shop")
    new = body(at, store=at.store, name="Shop")
    asked = await made(at.operator.post("/v1/settlement-accounts", new))
    await rename(at, "Zhang San")
    late = await at.approve(asked["id"])
    assert (late.status_code, late.json()["code"]) == (422, "account_name_differs")


async def test_what_nobody_agreed_to_is_forgotten(at: World) -> None:
    asked = await made(at.operator.post("/v1/settlement-accounts", body(at)))
    accounts = at.kabao.settlement_accounts
    at.clock.advance(timedelta(hours=72))
    assert await accounts.forget_proposals() == 0
    at.clock.advance(timedelta(microseconds=1))
    assert await accounts.forget_proposals() == 1
    late = await at.approve(asked["id"])
    assert late.status_code in {409, 422}


def test_wide_forms_and_blanks_do_not_count_in_a_name() -> None:
    payee = Payee("百货（集团）有限公司 ", NUMBER, BANK)
    assert holds(payee, ["百货(集团) 有限公司"])
    assert not holds(payee, ["百货集团有限公司", ""])
