"""What is not known is asked about, never guessed; what cannot be is a case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.funding.model.collections import Back
from kabao.funding.model.life import RefundState, State

from .world import NOBODY, World, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, ["alipay"]) as made:
        yield made


async def test_a_silent_channel_is_asked_until_it_tells(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    at.deaf = True
    at.order_faults(lose=100)
    for _ in range(11):
        await at.passes(600)
    assert (await at.now(shown.collection)).state is State.UNKNOWN
    assert not await at.cases()
    await at.passes(600)
    assert await at.cases() == ["funding.unknown"]
    await at.passes(600)
    assert await at.cases() == ["funding.unknown"], "one case, however often it is asked"
    at.order_faults()
    await at.passes(600)
    assert at.loads.confirmed_for == [shown.collection.id]


async def test_a_process_that_died_before_it_sent_leaves_nothing_behind(at: World) -> None:
    """As far as we know it may have been sent: the channel is asked, and ends it with its time."""
    collection = await at.opened()
    collecting = at.funding._collecting
    async with at.db.transaction() as conn:
        await collecting._about_to_send(conn, collection.id)
    await at.passes(5)
    assert (await at.now(collection)).state is State.UNKNOWN
    for _ in range(20):
        await at.passes(60)
    assert (await at.now(collection)).state is State.EXPIRED
    assert at.loads.given_up_for == [(collection.id, "collection_expired", "T-20")]


async def test_a_process_that_died_after_it_sent_shows_it_when_asked_again(at: World) -> None:
    collection = await at.opened()
    at.order_faults(lose=100)
    shown = await at.funding.begin(collection.id, NOBODY)
    assert shown.collection.state is State.UNKNOWN and shown.waiting is None
    at.order_faults()
    again = await at.funding.begin(collection.id, NOBODY)
    assert again.collection.state is State.PENDING and again.waiting is not None
    assert len(list(at.hosts["alipay"].party.book)) == 1


async def test_a_refund_without_an_answer_is_asked_about_and_not_doubled(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    at.order_faults(lose=100)
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, shown.collection.id, 4_000, key="a", reason="退卡")
    await at.passes()
    (refund,) = await at.refunds(shown.collection)
    assert refund.state is RefundState.UNKNOWN and not at.loads.refunds
    at.order_faults()
    await at.passes(10)
    assert [one.state for one in at.loads.refunds] == [RefundState.DONE]
    assert at.trade(shown.collection).refunded_fen == 4_000


async def test_a_refused_refund_is_told_and_becomes_a_case(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    trade = at.trade(shown.collection)
    assert at.hosts["alipay"].party.book.refund(trade, "by hand", 10_000, "n1")
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, shown.collection.id, 10_000, key="a", reason="退卡")
    await at.passes()
    assert [one.state for one in at.loads.refunds] == [RefundState.REFUSED]
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    assert await at.cases() == ["funding.refund_refused"]


async def test_a_second_payment_goes_back_and_the_first_stands(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    host, trade = at.hosts["alipay"], at.trade(shown.collection)
    trade.number = "2" * 28
    for _ in range(3):
        host.tell(trade)
    await at.told()
    (refund,) = await at.refunds(shown.collection)
    assert (refund.back, refund.channel_no, refund.amount_fen) == (Back.SECOND, "2" * 28, 10_000)
    await at.passes()
    (refund,) = await at.refunds(shown.collection)
    assert refund.state is RefundState.DONE
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    assert at.loads.confirmed_for == [shown.collection.id] and not at.loads.refunds
