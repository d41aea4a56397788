"""A notice, a question, a cancellation and a tick at one order, from two processes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded: a run can be repeated

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.ids import SequentialIds
from kabao.funding.model.answers import Payer, Scene
from kabao.funding.model.life import State

from .world import World, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, ["alipay"]) as made:
        yield made


@pytest.mark.parametrize("rounds", [40, pytest.param(1_000, marks=pytest.mark.proof)])
@pytest.mark.parametrize("scene", [Scene.QR, Scene.CODE])
async def test_whatever_meets_one_order_it_has_one_end(
    at: World, scene: Scene, rounds: int
) -> None:
    chance = Random(rounds)
    other = at.made(SequentialIds(8))
    await other.refresh()
    at.order_faults(duplicate=3)
    begun = []
    for _ in range(rounds):
        code = at.hosts["alipay"].party.book.new_code(password=True)
        payer = Payer(code) if scene is Scene.CODE else Payer()
        collection = (await at.begun(scene=scene, payer=payer)).collection
        begun.append(collection)
        at.clock.advance(timedelta(seconds=16))  # a code may be cancelled now

        async def pays() -> None:
            at.pays(begun[-1])

        work = [
            pays(),
            at.funding.cancel(collection.id),
            other.cancel(collection.id),
            at.funding.ask(collection.id),
            other.ask(collection.id),
            other.look(),
            at.funding.look(),
        ]
        chance.shuffle(work)
        await asyncio.gather(*work[: chance.randrange(2, len(work) + 1)])
        for left in work:
            left.close()
    await at.told()
    for _ in range(8):
        await at.passes(600)
    ends = Counter[str]()
    for collection in begun:
        now, trade = await at.now(collection), at.trade(collection)
        ends[now.state] += 1
        kept_fen = trade.amount_fen - trade.refunded_fen if trade.paid_us else 0
        times = at.loads.confirmed_for.count(collection.id)
        assert (now.state is State.CONFIRMED) == (times == 1) == (kept_fen == 10_000), now
        told = sum(one[0] == collection.id for one in at.loads.given_up_for)
        assert times + told == 1
    assert len(ends) >= 2, "the race has always the same end"
