"""Collections, on a real database and against parties of the sandbox over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.errors import Code, KabaoError, Kind
from kabao.funding.model.answers import Payer, Scene, Show
from kabao.funding.model.collections import Back
from kabao.funding.model.life import RefundState, State

from .world import World, world

CARD_CLOSED = Code("card_closed", Kind.REFUSED, "The card is closed.")


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, ["alipay"]) as made:
        yield made


@pytest.fixture
async def two(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    """Alipay comes first, then WeChat Pay."""
    async with world(db, clock, tmp_path, ["alipay", "wechat"]) as made:
        yield made


async def test_a_payer_pays_what_is_shown(at: World) -> None:
    shown = await at.begun()
    assert shown.collection.state is State.PENDING
    assert shown.waiting is not None and shown.waiting.show is Show.QR and shown.waiting.text
    assert at.pays(shown.collection)
    await at.told()
    assert at.loads.confirmed_for == [shown.collection.id]
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    (order,) = await at.orders(shown.collection)
    assert order.channel_no is not None and order.paid_us == at.clock.now_us()
    await at.passes(3600)
    assert at.loads.confirmed_for == [shown.collection.id] and not at.loads.given_up_for


async def test_a_lost_notification_is_asked_for(at: World) -> None:
    at.deaf = True
    shown = await at.begun()
    assert at.pays(shown.collection)
    await at.passes(4)
    assert not at.loads.confirmed_for
    await at.passes(1)
    assert at.loads.confirmed_for == [shown.collection.id]


async def test_beginning_again_shows_the_same(at: World) -> None:
    shown = await at.begun()
    again = await at.funding.begin(shown.collection.id, Payer())
    assert again == shown and len(list(at.hosts["alipay"].party.book)) == 1


async def test_nobody_pays_in_time(at: World) -> None:
    shown = await at.begun()
    await at.passes(899)
    assert (await at.now(shown.collection)).state is State.PENDING
    await at.passes(1)
    assert (await at.now(shown.collection)).state is State.EXPIRED
    assert at.loads.given_up_for == [(shown.collection.id, "collection_expired", "T-20")]


async def test_what_was_never_begun_is_dropped_when_its_time_is_over(at: World) -> None:
    collection = await at.opened()
    await at.passes(899)
    assert (await at.now(collection)).state is State.CREATED
    await at.passes(1)
    assert (await at.now(collection)).state is State.EXPIRED
    assert at.loads.given_up_for == [(collection.id, "collection_expired", "T-20")]


async def test_a_cancelled_order_is_closed_at_the_channel(at: World) -> None:
    shown = await at.begun()
    collection = await at.funding.cancel(shown.collection.id)
    assert collection.state is State.EXPIRED
    assert not at.pays(collection)
    assert at.loads.given_up_for == [(collection.id, "collection_cancelled", "T-20")]
    assert await at.funding.cancel(collection.id) == collection


async def test_what_cannot_be_used_goes_back_by_itself(at: World) -> None:
    at.loads.refusal = KabaoError(CARD_CLOSED, rule="CR-12")
    shown = await at.begun()
    assert at.pays(shown.collection)
    await at.told()
    assert at.loads.given_up_for == [(shown.collection.id, "card_closed", "CR-12")]
    assert (await at.now(shown.collection)).state is State.REFUNDING
    await at.passes()
    assert (await at.now(shown.collection)).state is State.REFUNDED
    assert at.trade(shown.collection).refunded_fen == 10_000
    assert not at.loads.refunds, "nobody asked for it"


async def test_a_purpose_that_is_away_leaves_all_as_it_was(at: World) -> None:
    at.loads.refusal = KabaoError(Code("unavailable", Kind.UNAVAILABLE, "Away."))
    shown = await at.begun()
    at.deaf = True
    assert at.pays(shown.collection)
    await at.passes(5)
    assert (await at.now(shown.collection)).state is State.PENDING
    at.loads.refusal = None
    await at.passes(60)
    assert at.loads.confirmed_for == [shown.collection.id]


async def test_parts_go_back_and_then_the_rest(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    ident = shown.collection.id
    async with at.db.transaction() as conn:
        first = await at.funding.refund_in(conn, ident, 3_000, key="a", reason="退卡")
        again = await at.funding.refund_in(conn, ident, 3_000, key="a", reason="退卡")
        assert again == first
        with pytest.raises(KabaoError, match="More would go back"):
            await at.funding.refund_in(conn, ident, 7_001, key="b", reason="退卡")
    await at.passes()
    assert [r.state for r in at.loads.refunds] == [RefundState.DONE]
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, ident, 7_000, key="b", reason="退卡")
    assert (await at.now(shown.collection)).state is State.REFUNDING
    await at.passes()
    assert (await at.now(shown.collection)).state is State.REFUNDED
    assert at.trade(shown.collection).refunded_fen == 10_000
    assert [r.amount_fen for r in at.loads.refunds] == [3_000, 7_000]


async def test_another_channel_is_tried_when_one_is_away(two: World) -> None:
    await two.hosts["alipay"]._door.stop()
    shown = await two.begun()
    assert shown.waiting is not None
    first, second = await two.orders(shown.collection)
    assert (first.state, second.state) == (State.FAILED, State.PENDING)
    assert second.channel == two.channels["wechat"].id
    assert not two.loads.given_up_for
    assert two.pays(shown.collection, "wechat")
    await two.told()
    assert two.loads.confirmed_for == [shown.collection.id]


async def test_another_channel_is_tried_when_one_does_not_answer(two: World) -> None:
    two.order_faults(lose=100)
    shown = await two.begun()
    first, second = await two.orders(shown.collection)
    assert (first.state, second.state) == (State.UNKNOWN, State.PENDING)
    two.order_faults()
    assert two.pays(shown.collection, "wechat")
    await two.told()
    await two.passes(10)
    first, second = await two.orders(shown.collection)
    assert (first.state, second.state) == (State.EXPIRED, State.CONFIRMED)
    assert two.loads.confirmed_for == [shown.collection.id]


async def test_no_channel_is_left(at: World) -> None:
    await at.hosts["alipay"]._door.stop()
    shown = await at.begun()
    assert shown.collection.state is State.FAILED and shown.waiting is None
    assert at.loads.given_up_for == [(shown.collection.id, "payment_refused", "S-16")]


async def test_late_money_goes_back(two: World) -> None:
    """An order is paid although it was given up: by somebody who scanned it before."""
    shown = await two.begun()
    trade = two.trade(shown.collection)
    await two.funding.cancel(shown.collection.id)
    assert (await two.now(shown.collection)).state is State.EXPIRED
    trade.state = type(trade.state).WAITING
    assert two.hosts["alipay"].pay(trade)
    await two.told()
    assert (await two.now(shown.collection)).state is State.REFUNDING
    await two.passes()
    assert (await two.now(shown.collection)).state is State.REFUNDED
    (refund,) = await two.refunds(shown.collection)
    assert (refund.back, refund.state) == (Back.LATE, RefundState.DONE)
    assert trade.refunded_fen == 10_000 and not two.loads.confirmed_for


async def test_a_scanned_code_is_paid_at_once(at: World) -> None:
    code = at.hosts["alipay"].party.book.new_code()
    shown = await at.begun(scene=Scene.CODE, payer=Payer(code))
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    assert at.loads.confirmed_for == [shown.collection.id]


async def test_a_counter_asks_and_then_cancels(at: World) -> None:
    """Compliance, section 5: ask at 5 s, then every 10 s to 45 s, then cancel."""
    code = at.hosts["alipay"].party.book.new_code(password=True)
    shown = await at.begun(scene=Scene.CODE, payer=Payer(code))
    asked = []
    for second in range(1, 50):
        before = (await at.orders(shown.collection))[0].asked
        await at.passes(1)
        (order,) = await at.orders(shown.collection)
        if order.asked > before or not order.open:
            asked.append(second)
        if not order.open:
            break
    assert asked == [5, 15, 25, 35, 45]
    assert (await at.now(shown.collection)).state is State.EXPIRED


async def test_a_code_is_never_cancelled_before_fifteen_seconds(at: World) -> None:
    code = at.hosts["alipay"].party.book.new_code(password=True)
    shown = await at.begun(scene=Scene.CODE, payer=Payer(code))
    await at.passes(7)
    collection = await at.funding.cancel(shown.collection.id)
    assert collection.state is State.PENDING
    await at.passes(7)
    assert (await at.now(collection)).state is State.PENDING
    await at.passes(1)
    assert (await at.now(collection)).state is State.EXPIRED
    assert at.loads.given_up_for == [(collection.id, "collection_cancelled", "T-20")]


async def test_a_recall_books_what_is_left_once(at: World) -> None:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    for _ in range(2):
        async with at.db.transaction() as conn:
            await at.funding.recall_in(
                conn, shown.collection.id, 4_000, key="cb-1", reason="持卡人否认"
            )
    assert at.loads.recalls == [(shown.collection.id, 4_000)]
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    async with at.db.transaction() as conn:
        await at.funding.recall_in(conn, shown.collection.id, None, key="cb-2", reason="again")
    assert at.loads.recalls[1:] == [(shown.collection.id, 6_000)]
    assert (await at.now(shown.collection)).state is State.REFUNDED
    assert await at.cases() == ["funding.recalled"] * 2
