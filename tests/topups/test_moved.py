"""A charge-back finds value that was moved to other cards before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from tests.app.world import made

from .money import Money, money
from .test_between import ask, paying, person, registered
from .test_refunds import recalled, settled


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    async with money(database_url, tmp_path, "alipay") as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


def on(recall: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """What is frozen, by card."""
    return {one["card"]: (one["amount"], one["bonus"]) for one in recall["frozen_on"]}


async def move(at: Money, one: dict[str, Any], other: dict[str, Any], fen: int) -> None:
    done = await ask(at, other, paying(one), fen)
    assert done.is_success, done.text


async def merged(at: Money, one: dict[str, Any], other: dict[str, Any], holder: str) -> None:
    claim = {"type": "holder", "customer": holder}
    body = {"claim": claim, "into": other["id"], "store": at.home.store}
    done = await at.home.operator.post(f"/v1/cards/{one['id']}/merge", body)
    assert done.is_success, done.text


@pytest.mark.row("T-04", "T-20")
@pytest.mark.parametrize("won", [False, True])
async def test_what_paid_for_another_card_is_frozen_there(at: Money, won: bool) -> None:
    holder = await person(at, "1001")
    one, other = await registered(at, holder), await registered(at, holder, 500)
    topup = await at.paid(one)
    await move(at, one, other, 6_000)
    await at.home.pay(other, 1_500)  # the 500 of cash, 1,000 of what was moved
    recall = await recalled(at, topup)
    assert (recall["frozen"], recall["owed"]) == (9_000, 1_000)
    assert on(recall) == {one["id"]: (4_000, 0), other["id"]: (5_000, 0)}
    assert await at.balance(one) == (4_000, 0)
    assert await at.balance(other) == (5_000, 0)
    accounts = await at.accounts()
    assert (accounts["collected"], accounts["receivable"]) == (9_000, 1_000)
    refused = await ask(at, one, paying(other), 1)
    assert refused.json()["code"] == "paying_card_short"
    await settled(at, recall, won=won)
    left = {True: ((4_000, 4_000), (5_000, 5_000)), False: ((0, 0), (0, 0))}
    assert (await at.balance(one), await at.balance(other)) == left[won]
    accounts = await at.accounts()
    assert accounts.get("collected", 0) == (10_000 if won else 0)
    assert accounts["receivable"] == (0 if won else 1_000)
    (lot,) = [one for one in await lots(at, other) if one["channel"] == "card"]
    assert lot["principal_left"] == (5_000 if won else 0)


@pytest.mark.row("CR-20", "T-20")
async def test_what_was_merged_is_frozen_with_its_bonus(at: Money) -> None:
    holder = await person(at, "1002")
    one, other = await registered(at, holder, 700), await registered(at, holder, 300)
    programme = (await made(at.home.operator.get(f"/v1/cards/{one['id']}")))["programme"]
    rule = await at.bonus(programme)
    topup = await at.paid(one)
    await merged(at, one, other, holder)
    assert await at.balance(other) == (13_000, 13_000)
    half = await recalled(at, topup, 5_000, "a")
    assert on(half) == {other["id"]: (5_000, 1_000)}
    await settled(at, half, won=False)
    rest = await recalled(at, topup, 5_000, "b")
    assert on(rest) == {other["id"]: (5_000, 1_000)}
    await settled(at, rest, won=False)
    assert await at.balance(other) == (1_000, 1_000), "what others had brought stays"
    assert (await at.accounts()).get("receivable", 0) == 0
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 0


async def test_what_went_round_and_came_back_is_found(at: Money) -> None:
    holder = await person(at, "1003")
    one, two, three = [await registered(at, holder) for _ in "123"]
    topup = await at.paid(one)
    await move(at, one, two, 8_000)
    await move(at, two, three, 5_000)
    await move(at, three, one, 2_000)
    await merged(at, three, two, holder)
    recall = await recalled(at, topup)
    assert (recall["frozen"], recall["owed"]) == (10_000, 0)
    by_card = dict.fromkeys((one["id"], two["id"]), 0)
    for part in recall["frozen_on"]:
        by_card[part["card"]] += part["amount"]
    assert by_card == {one["id"]: 4_000, two["id"]: 6_000}
    await settled(at, recall, won=True)
    assert (await at.balance(one), await at.balance(two)) == ((4_000, 4_000), (6_000, 6_000))


async def test_two_charge_backs_of_what_was_moved_together(at: Money) -> None:
    holder = await person(at, "1004")
    one, other = await registered(at, holder), await registered(at, holder)
    first, second = await at.paid(one), await at.paid(one)
    await move(at, one, other, 20_000)
    await at.home.pay(other, 5_000)
    assert ((await recalled(at, first))["frozen"]) == 10_000
    late = await recalled(at, second)
    assert (late["frozen"], late["owed"]) == (5_000, 5_000)


async def test_what_a_payment_holds_is_not_frozen(at: Money) -> None:
    holder = await person(at, "1005")
    one, other = await registered(at, holder), await registered(at, holder)
    topup = await at.paid(one)
    await move(at, one, other, 10_000)
    await at.home.pay(other, 4_000, capture=False)
    recall = await recalled(at, topup)
    assert (recall["frozen"], recall["owed"]) == (6_000, 4_000)


@pytest.mark.parametrize(
    "breaks",
    [
        "update topups.recall_part set frozen_fen = frozen_fen - 1",
        "update topups.recall_part set root = lot where id <> recall",
        "delete from topups.recall_part where id <> recall",
    ],
)
async def test_the_audit_finds_a_part_that_was_changed(
    at: Money, database_url: str, breaks: str
) -> None:
    holder = await person(at, "1007")
    one, other = await registered(at, holder), await registered(at, holder)
    topup = await at.paid(one)
    await move(at, one, other, 6_000)
    await recalled(at, topup)
    async with at.home.kabao.db.transaction() as conn:
        await conn.execute("create table kept as table topups.recall_part")
        await conn.execute(breaks)
    report = await audit(database_url)
    assert {line.id for line in report.lines if not line.holds} == {"I-6"}
    async with at.home.kabao.db.transaction() as conn:
        await conn.execute("delete from topups.recall_part")
        await conn.execute("insert into topups.recall_part table kept")


async def lots(at: Money, card: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await made(at.home.auditor.get("/v1/ledger/lots", card=card["id"]))
    )["data"]
    return found


async def test_a_charge_back_and_a_move_at_the_same_moment(at: Money) -> None:
    holder = await person(at, "1006")
    one, other, third = [await registered(at, holder) for _ in "123"]
    for _ in range(6):
        topup = await at.paid(one)
        await move(at, one, other, 10_000)
        moving = asyncio.create_task(ask(at, third, paying(other), 10_000))
        path = f"/v1/collections/{topup['collection']}/recalls"
        body = {"reference": f"cb-{topup['id']}", "reason": "charge-back"}
        reply = await at.home.operator.post(path, body)
        await moving
        if reply.status_code == 503:
            reply = await at.home.operator.post(path, body)
        assert reply.is_success, reply.text
        (recall,) = (await made(at.home.operator.get(f"/v1/topups/{topup['id']}/recalls")))["data"]
        assert (recall["frozen"], recall["owed"]) == (10_000, 0)
        await settled(at, recall, won=False)
        assert await at.balance(other) == await at.balance(third) == (0, 0)
