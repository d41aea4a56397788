"""Bank cards at the acquirer's own terminal: a slip is believed once, and matched with the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.ids import SequentialIds
from kabao.funding.model.answers import Payer, Scene, Slip
from kabao.funding.model.life import State

from .world import World, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, []) as made:
        await made.host("acquirer")
        await made.add("acquirer", "acquirer", scenes=(Scene.TERMINAL,))
        yield made


async def charged(at: World, fen: int = 10_000) -> Payer:
    async with httpx.AsyncClient(base_url=at.hosts["acquirer"].desk_url, trust_env=False) as desk:
        done = await desk.post("/sales", json={"amount": fen})
        return Payer(slip=Slip(**done.json()))


async def test_a_slip_confirms_and_is_reconciled_by_the_file(at: World) -> None:
    shown = await at.begun(scene=Scene.TERMINAL, payer=await charged(at))
    assert shown.collection.state is State.CONFIRMED
    assert at.loads.confirmed_for == [shown.collection.id]
    at.clock.advance(timedelta(hours=24))
    await at.match_bills()
    assert (await at.now(shown.collection)).state is State.RECONCILED
    assert await at.cases() == []


async def test_a_slip_is_good_for_one_order_also_for_two_cashiers_at_once(at: World) -> None:
    payer, other = await charged(at), at.made(SequentialIds(9))
    await other.refresh()
    opened = [await at.opened(scene=Scene.TERMINAL) for _ in range(4)]
    await asyncio.gather(
        *(
            (at.funding if n % 2 else other).begin(collection.id, payer)
            for n, collection in enumerate(opened)
        )
    )
    states = sorted([(await at.now(one)).state for one in opened])
    assert states == [State.CONFIRMED, State.FAILED, State.FAILED, State.FAILED]
    assert len(at.loads.confirmed_for) == 1
    refused = [one for one in opened if (await at.now(one)).state is State.FAILED]
    assert {(await at.orders(one))[0].refusal for one in refused} == {"slip_used"}


async def test_a_slip_that_was_made_up_is_a_difference_the_next_day(at: World) -> None:
    await charged(at)
    made_up = Payer(slip=Slip("10000001", "9" * 12, "123456"))
    shown = await at.begun(scene=Scene.TERMINAL, payer=made_up)
    at.clock.advance(timedelta(hours=24))
    await at.match_bills()
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    assert await at.cases() == ["reconciliation.break"] * 2, "one strange, one absent"
