"""Collections through banks: transfers, payouts, pages, and money that is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.funding.model.answers import Scene, Show, Waiting
from kabao.funding.model.collections import Shown
from kabao.funding.model.life import RefundState, State
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host

from .world import World, key_pool, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, []) as made:
        for name, scene in (
            ("bank", Scene.TRANSFER),
            ("netbank", Scene.PAGE),
            ("cards", Scene.PAGE),
        ):
            host = Host(PARTIES[name](clock.now_us, Chance(1), key_pool()), Chance(2))
            await host.start()
            made.hosts[name] = host
            await made.add(name, name, scenes=(scene,))
        yield made


async def shown(at: World, channel: str = "bank", fen: int = 50_000_00) -> Shown:
    scene = Scene.TRANSFER if channel == "bank" else Scene.PAGE
    made = await at.begun(fen, scene, channel=channel)
    assert made.collection.state is State.PENDING and made.waiting is not None
    return made


async def transfer(at: World, waiting: Waiting, amount_fen: int) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as desk:
        done = await desk.post("/transfers", json={"to": waiting.text, "amount": amount_fen})
        assert done.status_code == 200


async def test_a_transfer_confirms_and_goes_back_to_its_account(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None and made.waiting.show is Show.ACCOUNT
    await transfer(at, made.waiting, 50_000_00)
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, made.collection.id, 20_000_00, key="r1", reason="退款")
    for _ in range(3):
        await at.passes(60)
    assert [(one.amount_fen, one.state) for one in at.loads.refunds] == [
        (20_000_00, RefundState.DONE)
    ]
    assert at.trade(made.collection).refunded_fen == 20_000_00


async def test_a_transfer_of_another_sum_is_a_case_and_loads_nothing(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    await transfer(at, made.waiting, 49_999_99)
    async with asyncio.timeout(10):
        while not await at.cases():  # the bank repeats what is refused, so it is never all told
            await at.ticks()
    assert not at.loads.confirmed_for
    await at.passes(60)
    assert (await at.now(made.collection)).state is State.PENDING


async def test_a_page_of_a_bank_is_paid(at: World) -> None:
    made = await shown(at, "netbank")
    assert made.waiting is not None and made.waiting.show is Show.FORM
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.post(made.waiting.text, data=dict(made.waiting.fields))
        assert page.status_code == 200
        order = made.waiting.fields["order"]
        await browser.post(f"{at.hosts['netbank'].url}/pay/{order}")
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]


async def test_a_charge_back_is_told_once_with_what_was_taken(at: World) -> None:
    made = await shown(at, "cards")
    assert at.pays(made.collection, "cards")
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]
    at.order_faults("cards", duplicate=3)
    assert at.hosts["cards"].recall(at.trade(made.collection), 30_000_00)
    await at.told()
    await at.passes(60)
    assert at.loads.recalls == [(made.collection.id, 30_000_00)]
