"""Cash where the smallest coin is ten fen: let off once, given back in coins (T-02)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from tests.app.world import made, world

from .make import CART, Shop, by_card, cash, told, wechat

PACK = """
[pack]
name = "coins"
title = "No coin below ten fen"
kind = "house"
amends = "platform"

[[till.cash.rounding_fen]]
value = 10
unit = "fen"
row = "T-02"
from = 2026-01-01
note = "Our drawers hold nothing smaller."
"""


class Till(Shop):
    """A shop whose till has a drawer."""

    async def begin(self) -> Till:
        w = self.w
        terminal = await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "A920"}))
        self.who = {"cashier": await w.person("01"), "terminal": terminal["id"]}
        self.shift = (await made(w.merchant.post("/v1/shifts", self.who)))["id"]
        return self

    async def sell(self, fen: int, *tenders: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.open(fen, *tenders, **self.who, **more)

    async def refund(self, order: dict[str, Any], fen: int) -> dict[str, int]:
        """What came back of each tender, over the counter."""
        done = await self.did(order, "refunds", amount=fen, **self.who)
        assert done["amount"] == fen == sum(part["amount"] for part in done["parts"])
        return {part["destination"]: part["due_back_amount"] for part in done["parts"]}

    async def drawer(self) -> dict[str, int]:
        totals = await made(self.w.merchant.get(f"/v1/shifts/{self.shift}/totals"))
        cash = [line for line in totals["lines"] if line["tender"] == "cash"]
        return {line["verb"]: line["amount"] for line in cash}


@pytest.fixture
async def s(database_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "coins.toml").write_text(PACK)
    async with world(database_url, tmp_path, policy_dir=packs) as w:
        yield await Till(w, await w.programme()).begin()
    report = await audit(database_url)
    assert report.holds, [line for line in report.lines if not line.holds]


@pytest.mark.row("T-02")
@pytest.mark.parametrize(
    ("fen", "paid"), [(9, 0), (10, 10), (11, 10), (1_229, 1_220), (1_230, 1_230), (1_239, 1_230)]
)
async def test_cash_is_rounded_down_to_coins(s: Till, fen: int, paid: int) -> None:
    order = await s.sell(fen, cash())
    assert told(order) == ("captured", fen, fen, 0)
    (tender,) = order["tenders"]
    assert (tender["approved_amount"], tender["rounding"]) == (fen, fen - paid)
    assert order["invoiceable_amount"] == paid, "nobody paid what was let off"
    assert await s.drawer() == ({"order": paid} if paid else {})
    assert await s.refund(order, fen) == {"cash": paid}
    after = await s.see(order)
    assert (after["due_back_amount"], after["invoiceable_amount"]) == (paid, 0)
    assert sum((await s.drawer()).values()) == 0


@pytest.mark.row("T-02")
async def test_what_is_given_back_is_whole_coins_and_in_the_end_all_of_it(s: Till) -> None:
    order = await s.sell(1_234, cash())
    assert await s.refund(order, 505) == {"cash": 510}
    assert (await s.see(order))["invoiceable_amount"] == 720
    assert await s.refund(order, 5) == {"cash": 0}, "it is back already"
    assert await s.refund(order, 724) == {"cash": 720}
    assert await s.drawer() == {"order": 1_230, "order_refund": -1_230}
    refunds = await made(s.w.merchant.get(f"/v1/payment-orders/{order['id']}/refunds"))
    assert [one["parts"][0]["due_back_amount"] for one in refunds["data"]] == [510, 0, 720]


@pytest.mark.row("T-02", "P-16")
async def test_only_cash_is_rounded(s: Till) -> None:
    card = await s.card(10_000)
    order = await s.sell(1_234, by_card(card, 501), wechat(202), cash())
    assert [tender["rounding"] for tender in order["tenders"]] == [0, 0, 1]
    assert (await s.drawer(), order["invoiceable_amount"]) == ({"order": 530}, 732)
    back = await s.refund(order, 1_234)
    assert back == {"card": 0, "channel": 202, "cash": 530}
    assert await s.worth(card) == (10_000, 10_000)


@pytest.mark.row("T-02")
async def test_an_order_in_small_pieces_is_let_off_once(s: Till) -> None:
    order = await s.sell(27, cash(9), cash(9))
    order = await s.did(order, "tenders", **cash())
    assert [tender["rounding"] for tender in order["tenders"]] == [0, 0, 7]
    assert await s.drawer() == {"order": 20}
    small = await s.sell(34, cash(31))
    small = await s.did(small, "tenders", **cash())
    assert [tender["rounding"] for tender in small["tenders"]] == [0, 3], "no more than it is"
    assert await s.drawer() == {"order": 51}


@pytest.mark.row("T-02")
async def test_what_is_undone_goes_back_as_it_came(s: Till) -> None:
    order = await s.sell(1_234, cash())
    await s.did(order, "cancel", **s.who)
    assert await s.drawer() == {"order": 1_230, "order_refund": -1_230}
    held = await s.sell(1_234, cash(), capture=False)
    assert (await s.see(held))["invoiceable_amount"] == 0
    taken = await s.did(held, "capture", amount=1_001, final=True)
    assert taken["due_back_amount"] == 240, "233, in coins"
    assert taken["invoiceable_amount"] == 990
    assert await s.drawer() == {"order": 2_460, "order_refund": -1_470}
    await s.sell(1_234, cash(505))
    await s.later(CART)
    (left,) = [one for one in await orders(s) if one["status"] == "expired"]
    assert left["due_back_amount"] == 505


async def orders(s: Till) -> list[dict[str, Any]]:
    found = await made(s.w.merchant.get("/v1/payment-orders", limit=200))
    return list(found["data"])
