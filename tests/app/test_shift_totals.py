"""X and Z: what a shift has taken, from the books, and the drawer beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


class Till:
    """A cashier on shift at a terminal of the first store."""

    def __init__(self, w: World, terminal: str, cashier: str, shift: str) -> None:
        self.w, self.shift = w, shift
        self.who = {"terminal": terminal, "cashier": cashier}

    async def totals(self) -> dict[str, Any]:
        return await made(self.w.merchant.get(f"/v1/shifts/{self.shift}/totals"))

    async def close(self, **body: Any) -> dict[str, Any]:
        return await made(self.w.merchant.post(f"/v1/shifts/{self.shift}/close", body))

    async def again(self) -> Till:
        opened = await made(self.w.merchant.post("/v1/shifts", self.who))
        return Till(self.w, self.who["terminal"], self.who["cashier"], opened["id"])

    async def load(self, card: str, fen: int) -> dict[str, Any]:
        body = {"card": card, "amount": fen, "currency": "CNY", "channel": "cash"}
        return await made(self.w.operator.post("/v1/topups", body | self.who | self.there))

    async def pay(self, card: dict[str, Any], fen: int, **more: Any) -> dict[str, Any]:
        return await self.w.pay(card, fen, **self.who, **more)

    async def later(self, payment: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
        path = f"/v1/payments/{payment['id']}/{verb}"
        return await made(self.w.merchant.post(path, body))

    @property
    def there(self) -> dict[str, str]:
        return {"store": self.w.store}


async def till(w: World, code: str = "01") -> Till:
    at = {"store": w.store}
    terminal = (await made(w.operator.post("/v1/terminals", at | {"model": "A920"})))["id"]
    body = at | {"code": code, "name": "张三丰"}
    cashier = (await made(w.operator.post("/v1/cashiers", body)))["id"]
    body = {"cashier": cashier, "terminal": terminal}
    opened = await made(w.merchant.post("/v1/shifts", body))
    return Till(w, terminal, cashier, opened["id"])


def lines(totals: dict[str, Any], part: str = "lines") -> dict[tuple[str, str], tuple[int, int]]:
    return {(one["tender"], one["verb"]): (one["count"], one["amount"]) for one in totals[part]}


@pytest.mark.row("C-05")
async def test_a_shift_is_read_and_then_counted_once(w: World) -> None:
    here, there = await till(w), await till(w, "02")
    card = await w.card(await w.programme())
    await here.load(card["id"], 50_000)
    gone = await here.load(card["id"], 10_000)
    boss = await w.person("99", "supervisor")
    given = await w.allowed("topup_void", gone["id"], 10_000, here.who["cashier"], boss)
    await made(w.operator.post(f"/v1/topups/{gone['id']}/void", {"override": given}))
    first = await here.pay(card, 3_000)
    second = await here.pay(card, 2_000)
    held = await here.pay(card, 1_000, capture=False)
    await there.pay(card, 700)
    await here.later(held, "capture", amount=900, **here.who)
    await here.later(first, "void")
    await here.later(second, "refunds", amount=500, **here.who)
    third = await here.pay(card, 400)
    reversal = {"original": {"payment": third["id"]}}
    await made(w.merchant.post("/v1/reversals", reversal))
    expected = {
        ("cash", "load"): (2, 60_000),
        ("cash", "load_void"): (1, -10_000),
        ("stored_value", "payment"): (3, 5_400),
        ("stored_value", "capture"): (1, 900),
        ("stored_value", "void"): (1, -3_000),
        ("stored_value", "refund"): (1, -500),
        ("stored_value", "reversal"): (1, -400),
    }
    x = await here.totals()
    assert (x["kind"], x["number"], lines(x)) == ("x", None, expected)
    assert lines(await there.totals()) == {("stored_value", "payment"): (1, 700)}
    closed = await here.close(cash=49_900)
    z = closed["z_report"]
    assert (z["kind"], z["number"], lines(z)) == ("z", 1, expected)
    assert (z["cash_expected"], z["cash_declared"], z["cash_difference"]) == (50_000, 49_900, -100)
    assert await here.totals() == z
    twice = await w.merchant.post(f"/v1/shifts/{here.shift}/close", {"cash": 50_000})
    assert (twice.status_code, twice.json()["code"]) == (409, "shift_closed")


async def test_numbers_follow_without_gaps_and_undeclared_cash_is_not_zero(w: World) -> None:
    here = await till(w)
    first = await here.close()
    assert first["z_report"]["cash_declared"] is None
    assert first["z_report"]["cash_difference"] is None
    after = await here.again()
    await made(w.operator.post(f"/v1/cashiers/{here.who['cashier']}/dismiss"))
    z = await after.totals()
    assert (z["kind"], z["number"], z["lines"]) == ("z", 2, [])


async def test_what_comes_after_the_count_is_shown_beside_it(w: World) -> None:
    """A payment in flight while its shift closes: this process still thinks it is open."""
    here = await till(w)
    card = await w.card(await w.programme(), 10_000)
    await here.pay(card, 100)
    merchants = w.kabao.merchants
    async with w.kabao.db.transaction() as conn:
        await merchants.shifts.end(conn, here.shift[4:], 0)
    await here.pay(card, 250)
    z = await here.totals()
    assert lines(z) == {("stored_value", "payment"): (1, 100)}
    assert lines(z, "late") == {("stored_value", "payment"): (1, 250)}


async def test_undoing_counts_where_it_was_done(w: World) -> None:
    """A closed shift stays as it was counted; the till that asks counts it."""
    here = await till(w)
    card = await w.card(await w.programme(), 10_000)
    paid = await here.pay(card, 1_000)
    z = (await here.close())["z_report"]
    there = await till(w, "02")
    await there.later(paid, "refunds", amount=300, **there.who)
    await here.later(paid, "refunds", amount=200)
    assert await here.totals() == z
    assert lines(await there.totals()) == {("stored_value", "refund"): (1, -300)}


async def test_a_count_is_never_changed(w: World) -> None:
    here = await till(w)
    await here.close()
    for statement in (
        "update merchants.z_report set cash_declared_fen = 1",
        "delete from merchants.z_report",
        "truncate merchants.z_report",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with w.kabao.db.transaction() as conn:
                await conn.execute(statement)


async def test_only_who_sees_the_store_sees_its_takings(w: World) -> None:
    here = await till(w)
    for name in ("other_operator", "other-operator", "other_auditor"):
        if name in w.keys:
            found = await w.by(name).get(f"/v1/shifts/{here.shift}/totals")
            assert found.status_code == 404


@pytest.mark.row("C-05", "P-16")
async def test_a_sale_by_several_tenders_counts_at_the_tills_that_do_it(w: World) -> None:
    here, there = await till(w), await till(w, "02")
    card = await w.card(await w.programme(), 10_000)
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}

    async def sale(**more: Any) -> str:
        tenders = [{"type": "card", "source": source, "amount": 900}, {"type": "cash"}]
        body = {"amount": 1_000, "currency": "CNY", "tenders": tenders}
        body |= here.who | here.there | more
        return str((await made(w.merchant.post("/v1/payment-orders", body)))["id"])

    async def then(order: str, verb: str, **body: Any) -> None:
        await made(w.merchant.post(f"/v1/payment-orders/{order}/{verb}", body))

    first, held, third = await sale(), await sale(capture=False), await sale()
    await then(held, "capture", **there.who)
    await then(first, "refunds", amount=100)
    await then(first, "refunds", amount=50, **there.who)
    await then(third, "cancel", **there.who)
    assert lines(await here.totals()) == {
        ("cash", "order"): (3, 300),
        ("stored_value", "capture"): (2, 1_800),
        ("stored_value", "refund"): (1, -100),
    }
    assert lines(await there.totals()) == {
        ("cash", "order_refund"): (1, -100),
        ("stored_value", "capture"): (1, 900),
        ("stored_value", "refund"): (1, -50),
        ("stored_value", "void"): (1, -900),
    }
    cash = (await here.totals())["cash_expected"]
    z = (await here.close(cash=cash))["z_report"]
    await then(first, "refunds", amount=1)
    assert await here.totals() == z, "a closed shift stays as it was counted"


@pytest.mark.row("C-05", "CR-20")
async def test_goods_taken_back_on_a_slip_count_at_the_till(w: World) -> None:
    here, there = await till(w), await till(w, "02")
    card = await w.card(await w.programme(), 10_000)
    paid = await here.pay(card, 3_000)
    boss, cashier = await w.person("99", "supervisor"), there.who["cashier"]
    receipt = await made(w.merchant.get(f"/v1/receipts/{paid['id']}"))
    given = await w.allowed("return", paid["id"], 1_000, cashier, boss)
    body = {"code": receipt["verification_code"], "amount": 1_000, "override": given}
    await made(w.merchant.post(f"/v1/receipts/{paid['id']}/returns", body | there.who))
    assert lines(await here.totals()) == {("stored_value", "payment"): (1, 3_000)}
    assert lines(await there.totals()) == {("stored_value", "refund"): (1, -1_000)}


async def test_cash_given_back_counts_where_it_was_given(w: World) -> None:
    here, there = await till(w), await till(w, "02")
    card = await w.card(await w.programme())
    loaded = await here.load(card["id"], 500)
    boss, cashier = await w.person("99", "supervisor"), there.who["cashier"]
    given = await w.allowed("topup_void", loaded["id"], 500, cashier, boss)
    path = f"/v1/topups/{loaded['id']}/void"
    await made(w.operator.post(path, there.who | {"override": given}))
    assert lines(await here.totals()) == {("cash", "load"): (1, 500)}
    assert lines(await there.totals()) == {("cash", "load_void"): (1, -500)}
