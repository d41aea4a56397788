"""What went wrong between us and a channel costs nobody money: found by a hostile reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.funding.model.answers import Payer, Refused, Scene, Unknown, Unreachable
from kabao.funding.model.collections import Back, Collection
from kabao.funding.model.life import RefundState, State

from .world import NOBODY, World, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, ["alipay"]) as made:
        made.deaf = True  # what is not told has to be asked for
        yield made


@pytest.fixture
async def two(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    """Alipay comes first, then WeChat Pay."""
    async with world(db, clock, tmp_path, ["alipay", "wechat"]) as made:
        yield made


class Slow:
    """An order that reached its channel, whose answer is on its way until it is let go."""

    def __init__(self) -> None:
        self.arrived, self.let_go = asyncio.Event(), asyncio.Event()

    async def __call__(self, real: Any, *asked: Any) -> Any:
        said = await real.create(*asked)
        self.arrived.set()
        await self.let_go.wait()
        return said


def code(at: World, *, password: bool = False) -> Payer:
    return Payer(at.hosts["alipay"].party.book.new_code(password=password))


async def test_a_question_that_does_not_get_out_ends_no_order_that_did(at: World) -> None:
    slow, collection = Slow(), await at.opened(scene=Scene.CODE)
    at.says("alipay", create=slow, query=Unreachable("ConnectError"))
    begun = asyncio.create_task(at.funding.begin(collection.id, code(at)))
    await slow.arrived.wait()
    assert (await at.funding.ask(collection.id)).state is State.UNKNOWN
    await at.passes(5)
    assert (await at.now(collection)).state is State.UNKNOWN
    slow.let_go.set()
    await begun
    assert at.loads.confirmed_for == [collection.id] and not at.loads.given_up_for


async def test_no_other_channel_is_tried_once_the_payer_was_shown_a_code(two: World) -> None:
    slow, collection = Slow(), await two.opened()
    two.says("alipay", create=slow)
    first = asyncio.create_task(two.funding.begin(collection.id, NOBODY))
    await slow.arrived.wait()
    refused = asyncio.Event()

    async def refuses(*_: Any) -> Refused:
        await refused.wait()
        return Refused("ACQ.TRADE_HAS_CLOSE")

    two.says("alipay", create=refuses)
    second = asyncio.create_task(two.funding.begin(collection.id, NOBODY))
    await asyncio.sleep(0.05)
    slow.let_go.set()
    shown = await first
    assert shown.waiting is not None
    refused.set()
    assert await second == shown
    assert len(await two.orders(collection)) == 1
    assert two.pays(collection)
    await two.told()
    assert two.loads.confirmed_for == [collection.id]


async def test_a_code_paid_while_nobody_looked_is_confirmed(at: World) -> None:
    shown = await at.begun(scene=Scene.CODE, payer=code(at, password=True))
    assert at.pays(shown.collection)
    await at.passes(60)
    assert at.loads.confirmed_for == [shown.collection.id]
    assert at.trade(shown.collection).refunded_fen == 0


async def stuck(at: World) -> Collection:
    """A code that is paid, and that its channel will not cancel."""
    at.says("alipay", query=Unknown("?"), close=Unknown("ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    shown = await at.begun(scene=Scene.CODE, payer=code(at, password=True))
    at.pays(shown.collection)
    for _ in range(5):
        await at.passes(10)
    assert (await at.now(shown.collection)).state is State.UNKNOWN
    at.says("alipay", close=Unknown("ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    return shown.collection


async def test_what_a_code_paid_and_a_channel_will_not_reverse_is_refunded(at: World) -> None:
    collection = await stuck(at)
    for _ in range(5):
        assert (await at.now(collection)).state is not State.CONFIRMED
        await at.passes(90)
    assert (await at.now(collection)).state is State.REFUNDED
    (refund,) = await at.refunds(collection)
    assert (refund.back, refund.state) == (Back.LATE, RefundState.DONE)
    assert at.trade(collection).refunded_fen == 10_000
    assert at.loads.given_up_for == [(collection.id, "collection_cancelled", "T-20")]
    assert not at.loads.confirmed_for


async def test_the_pauses_between_cancellations_grow(at: World) -> None:
    says = at.says("alipay", query=Unknown("?"), close=Unknown("?"))
    shown = await at.begun(scene=Scene.CODE, payer=code(at, password=True))
    await at.passes(15)
    await at.funding.cancel(shown.collection.id)
    tries = []
    for second in range(200):
        before = says.asked.count("close")
        await at.passes()
        if says.asked.count("close") > before:
            tries.append(second + 1)
    assert tries == [5, 15, 35, 75, 155]


async def test_a_channel_that_does_not_answer_holds_up_no_other(two: World) -> None:
    silent = asyncio.Event()

    async def waits(*_: Any) -> Unknown:
        await silent.wait()
        return Unknown("at last")

    two.deaf = True
    slow = [await two.begun(channel="alipay") for _ in range(20)]
    two.says("alipay", query=waits)
    quick = [await two.begun(channel="wechat") for _ in range(20)]
    for shown in quick:
        two.hosts["wechat"].pay(two.trade(shown.collection))
    tick = asyncio.create_task(two.passes(5))
    async with asyncio.timeout(20):
        while len(two.loads.confirmed_for) < len(quick):  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.01)
    assert not tick.done()
    silent.set()
    await tick
    states = [(await two.now(shown.collection)).state for shown in slow]
    assert states == [State.UNKNOWN] * len(slow), "all of them were asked about in one turn"


async def test_money_that_comes_after_an_order_ended_is_found_once_more(at: World) -> None:
    shown = await at.begun()
    trade = at.trade(shown.collection)
    await at.funding.cancel(shown.collection.id)
    trade.state = type(trade.state).WAITING
    at.hosts["alipay"].pay(trade)
    says = at.says("alipay")
    await at.passes(299)
    assert (await at.now(shown.collection)).state is State.EXPIRED and not says.asked
    await at.passes()
    assert (await at.now(shown.collection)).state is State.REFUNDED
    assert trade.refunded_fen == 10_000


async def test_an_order_that_ended_is_asked_about_only_once(at: World) -> None:
    shown = await at.begun()
    await at.funding.cancel(shown.collection.id)
    says = at.says("alipay")
    for _ in range(4):
        await at.passes(300)
    assert says.asked == ["query"]


async def test_polling_neither_floods_a_channel_nor_lengthens_our_pauses(at: World) -> None:
    shown = await at.begun()
    says = at.says("alipay")
    for _ in range(3):
        await at.funding.ask(shown.collection.id)
    assert says.asked == ["query"]
    at.clock.advance(timedelta(seconds=2))
    await at.funding.ask(shown.collection.id)
    assert says.asked == ["query"] * 2
    (order,) = await at.orders(shown.collection)
    assert order.asked == 0
    at.pays(shown.collection)
    await at.passes(5)
    assert at.loads.confirmed_for == [shown.collection.id]
