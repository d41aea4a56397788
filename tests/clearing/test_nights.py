"""Nights of any trade: two issuers, stores with and without accounts, any plan and any terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded by the test

import pytest

from kabao.audit.ops import audit
from kabao.ledger.model import Account
from tests.app.world import World, made, world

from .night import MONDAY, at, fee_plan, house, pass_night, turn


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        yield w


async def trade(w: World, chance: Random, other: str) -> None:
    """Cards of two issuers, paid and given back here and there, and cash for one of them."""
    for programme in (await w.programme(), await w.programme(issuer=w.other)):
        card = await w.card(programme, 50_000)
        for _ in range(4):
            store = chance.choice((w.store, w.other_store, other))
            paid = await w.pay(card, chance.randrange(1, 3_000), store=store)
            if chance.random() < 0.5:
                back = chance.choice((paid["approved_amount"], 1))
                await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": back}))


async def own_account(w: World, store: str) -> None:
    """From now on the store is paid itself."""
    body = {
        "company": w.other,
        "store": store,
        "name": "Store",
        "account": "6222020200012345678",
        "bank": "102100099996",
        "reason": "its own",
    }
    await made(w.approve((await made(w.operator.post("/v1/settlement-accounts", body)))["id"]))


@pytest.mark.row("L-12")
@pytest.mark.parametrize("seed", range(3))
async def test_nights_of_any_trade_are_sound(w: World, seed: int) -> None:
    chance = Random(seed)
    other = await w._store(w.other, f"S{seed + 3}")
    for store in (w.store, other):
        await fee_plan(w, store, rate_bp=chance.randrange(300), per_item=5, min=2, max=20)
    if seed:
        await own_account(w, other)
    rule = {
        "company": chance.choice((None, w.other)),
        "effective_from": (MONDAY + timedelta(days=1)).isoformat(),
        "workdays": 1,
        "minimum": chance.choice((0, 2_000)),
        "cash": chance.choice(("netted", "deposited")),
        "fees_on_refunds": chance.choice(("kept", "returned")),
        "carry_negative": chance.random() < 0.5,
        "reason": "seeded",
    }
    await made(w.approve((await made(w.operator.post("/v1/settlement-rules", rule)))["id"]))
    for day in range(3):
        turn(w, at(MONDAY + timedelta(days=day), 12))
        await trade(w, chance, other)
        turn(w, at(MONDAY + timedelta(days=day + 1), 2, 1))
        await pass_night(w)
    assert await house(w, Account.NETTING) == {}
    assert await house(w, Account.REDEEMED) == {}
    report = await audit(w.kabao.db.url)
    assert report.holds, [line for line in report.lines if not line.holds]
    for day in range(3):
        assert (await w.kabao.clearing.check(MONDAY + timedelta(days=day))).differs == ()
