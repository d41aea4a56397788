"""Money that goes back, is taken back, or comes back: each sum belongs to somebody at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.funding.model.answers import (
    Closed,
    NotThere,
    Paid,
    Recalled,
    Refunded,
    Refused,
    Unknown,
)
from kabao.funding.model.collections import Back, Collection, FundingRefund
from kabao.funding.model.life import RefundState, State
from kabao.funding.sql import collections as sql

from .world import World, world

DONE, REFUSED, RETURNED = RefundState.DONE, RefundState.REFUSED, RefundState.RETURNED
UNKNOWN = RefundState.UNKNOWN


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, ["alipay"]) as made:
        yield made


async def paid(at: World) -> Collection:
    shown = await at.begun()
    at.pays(shown.collection)
    await at.told()
    assert (await at.now(shown.collection)).state is State.CONFIRMED
    return shown.collection


async def asked(at: World, collection: Collection, fen: int = 10_000) -> None:
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, collection.id, fen, key=f"k{fen}", reason="退卡")


async def recalled(at: World, collection: Collection, fen: int, no: str = "cb-1") -> None:
    async with at.db.transaction() as conn:
        await at.funding.recall_in(conn, collection.id, fen, key=no, reason="fraud")


async def notified(at: World, collection: Collection, told: Recalled) -> None:
    """What a channel's own notice does."""
    async with at.db.transaction() as conn:
        held = await sql.lock_of_order(conn, collection.current)
        assert held is not None
        await at.funding._steps.recall(conn, held, told)


async def told(at: World, refund: FundingRefund, said: Any) -> None:
    """What a channel's notice of a refund does."""
    async with at.db.transaction() as conn:
        found = await at.funding._refunding.find(conn, refund.id)
        assert found is not None
        await at.funding._refunding.told(conn, *found, said)


def ends(refunds: list[FundingRefund]) -> list[tuple[Back, int, RefundState]]:
    return [(one.back, one.amount_fen, one.state) for one in refunds]


async def test_a_recall_takes_what_a_refused_refund_does_not(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    await at.passes()
    await recalled(at, collection, 10_000)
    assert not at.loads.recalls, "the refund may still arrive"
    at.says("alipay", query_refund=Refused("ACQ.TRADE_HAS_FINISHED"))
    await at.passes(60)
    assert [one.state for one in at.loads.refunds] == [REFUSED]
    assert at.loads.recalls == [(collection.id, 10_000)]
    assert (await at.now(collection)).state is State.REFUNDED
    assert ends(await at.refunds(collection)) == [
        (Back.ASKED, 10_000, REFUSED),
        (Back.RECALLED, 10_000, DONE),
    ]


async def test_a_recall_and_a_refund_that_both_took_it_are_looked_at(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    await at.passes()
    await recalled(at, collection, 10_000)
    at.says("alipay", query_refund=Refunded(10_000))
    await at.passes(60)
    assert [one.state for one in at.loads.refunds] == [DONE] and not at.loads.recalls
    assert (await at.now(collection)).state is State.REFUNDED
    assert await at.cases() == ["funding.recalled", "funding.impossible"]


async def test_what_was_recalled_is_not_sent_any_more(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    await recalled(at, collection, 10_000)
    await recalled(at, collection, 10_000)
    says = at.says("alipay")
    await at.passes(60)
    assert "refund" not in says.asked
    assert [(one.state, one.refusal) for one in at.loads.refunds] == [(REFUSED, "recalled")]
    assert at.loads.recalls == [(collection.id, 10_000)]
    assert (await at.now(collection)).state is State.REFUNDED


async def test_what_was_won_back_is_here_and_the_same_recall_takes_it_no_more(at: World) -> None:
    collection = await paid(at)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    await asked(at, collection, 4_000)
    await at.passes()
    await recalled(at, collection, 10_000)
    taken, _ = [one for one in await at.refunds(collection) if one.back is Back.RECALLED]
    assert (taken.amount_fen, await rest(at, collection)) == (6_000, 0)
    for _ in "12":
        async with at.db.transaction() as conn:
            await at.funding.recall_won_in(conn, collection.id, taken.id)
        await recalled(at, collection, 10_000)
    assert (await at.now(collection)).state is State.CONFIRMED
    assert await rest(at, collection) == 6_000, "4,000 are on their way"
    at.says("alipay", query_refund=Refused("no"))
    await at.passes(60)
    assert await rest(at, collection) == 6_000, "the recall took the 4,000"
    await recalled(at, collection, 6_000, "cb-2")
    assert (await at.now(collection)).state is State.REFUNDED
    assert [fen for _, fen in at.loads.recalls] == [6_000, 4_000, 6_000]


async def rest(at: World, collection: Collection) -> int:
    async with at.db.read() as conn:
        return await at.funding.rest_fen(conn, collection.id)


@pytest.mark.parametrize(("fen", "booked"), [(5_999, 5_999), (6_000, 6_000), (6_001, 6_000)])
async def test_a_recall_beyond_what_is_left_waits_for_the_part_on_its_way(
    at: World, fen: int, booked: int
) -> None:
    collection = await paid(at)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    await asked(at, collection, 4_000)
    await at.passes()
    await recalled(at, collection, fen)
    assert at.loads.recalls == [(collection.id, booked)]
    states = {5_999: State.CONFIRMED, 6_000: State.REFUNDING, 6_001: State.REFUNDING}
    assert (await at.now(collection)).state is states[fen]
    at.says("alipay", query_refund=Refused("no"))
    await at.passes(60)
    assert sum(one[1] for one in at.loads.recalls) == fen
    assert (await at.now(collection)).state is State.CONFIRMED, "the rest is here"


async def test_late_money_of_which_a_part_was_recalled_goes_back_by_the_rest(at: World) -> None:
    collection = await late(at)
    await recalled(at, collection, 3_000)
    await at.passes()
    assert at.trade(collection).refunded_fen == 7_000 and not at.loads.recalls
    assert (await at.now(collection)).state is State.REFUNDED


async def test_a_recall_of_a_second_payment_leaves_the_first_alone(at: World) -> None:
    collection = await paid(at)
    host, trade = at.hosts["alipay"], at.trade(collection)
    trade.number = "2" * 28
    host.tell(trade)
    await at.told()
    await notified(at, collection, Recalled("cb-1", "2" * 28, 10_000, "fraud"))
    says = at.says("alipay")
    await at.passes(60)
    assert "refund" not in says.asked and not at.loads.recalls
    assert ends(await at.refunds(collection)) == [(Back.SECOND, 10_000, REFUSED)]
    assert (await at.now(collection)).state is State.CONFIRMED
    assert await at.cases() == ["funding.recalled"]


async def test_a_recall_before_its_payment_is_known_comes_again(at: World) -> None:
    shown = await at.begun()
    at.deaf = True
    at.pays(shown.collection)
    number = at.trade(shown.collection).number
    recall = Recalled("cb-1", number, 3_000, "fraud")
    with pytest.raises(KabaoError, match="being asked for"):
        await notified(at, shown.collection, recall)
    await at.passes(5)
    await notified(at, shown.collection, recall)
    assert at.loads.recalls == [(shown.collection.id, 3_000)]


async def test_recalls_of_two_orders_with_one_number_are_two_cases(at: World) -> None:
    for collection in (await paid(at), await paid(at)):
        await recalled(at, collection, 1_000)
    assert await at.cases() == ["funding.recalled"] * 2


@pytest.mark.parametrize("fen", [10_000, 4_000])
async def test_a_refund_that_comes_back_is_sent_again_under_a_new_number(
    at: World, fen: int
) -> None:
    collection = await paid(at)
    await asked(at, collection, fen)
    await at.passes()
    (refund,) = await at.refunds(collection)
    await told(at, refund, Refused("returned"))
    await told(at, refund, Refused("returned"))
    assert await at.cases() == ["funding.refund_returned"]
    state = State.REFUNDING if fen == 10_000 else State.CONFIRMED
    assert (await at.now(collection)).state is state
    at.trade(collection).refunds.clear()
    for _ in range(2):
        async with at.db.transaction() as conn:
            await at.funding.refund_again_in(conn, refund.id)
    await at.passes()
    assert ends(await at.refunds(collection)) == [
        (Back.ASKED, fen, RETURNED),
        (Back.ASKED, fen, DONE),
    ]
    assert [one.state for one in at.loads.refunds] == [DONE], "the purpose knows it as done"
    state = State.REFUNDED if fen == 10_000 else State.CONFIRMED
    assert (await at.now(collection)).state is state
    if fen == 4_000:
        await asked(at, collection, 6_000)


async def test_a_refusal_of_a_second_sending_says_nothing_of_the_first(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    at.says("alipay", refund=Unknown("?"))
    await at.passes()
    at.says("alipay", query_refund=NotThere(), refund=Refused("61"))
    await at.passes(60)
    assert not at.loads.refunds and (await at.now(collection)).state is State.REFUNDING
    at.says("alipay", query_refund=Refunded(10_000))
    await at.passes(60)
    assert [one.state for one in at.loads.refunds] == [DONE]


async def test_what_a_channel_does_not_know_for_an_hour_it_may_refuse(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    at.says("alipay", refund=Unknown("?"))
    await at.passes()
    at.says("alipay", query_refund=NotThere(), refund=Refused("61"))
    for _ in range(12):
        await at.passes(600)
    assert [one.state for one in at.loads.refunds] == [REFUSED]


async def test_what_was_refused_and_arrived_all_the_same_is_taken_back(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection, 4_000)
    at.says("alipay", refund=Refused("no"))
    await at.passes()
    (refund,) = await at.refunds(collection)
    await told(at, refund, Refunded(4_000))
    assert at.loads.recalls == [(collection.id, 4_000)]
    assert await at.cases() == ["funding.refund_refused", "funding.refund_contradicted"]


async def test_what_was_refused_and_arrived_is_not_sent_again(at: World) -> None:
    collection = await late(at)
    at.says("alipay", refund=Refused("no"))
    await at.passes()
    (first,) = await at.refunds(collection)
    async with at.db.transaction() as conn:
        second = await at.funding.refund_again_in(conn, first.id)
    assert (first.state, second.id != first.id) == (REFUSED, True)
    says = at.says("alipay")
    await told(at, first, Refunded(10_000))
    await at.passes(60)
    assert "refund" not in says.asked
    assert ends(await at.refunds(collection)) == [
        (Back.LATE, 10_000, DONE),
        (Back.LATE, 10_000, REFUSED),
    ]
    assert (await at.now(collection)).state is State.REFUNDED
    await not_sent_again(at, first)


async def not_sent_again(at: World, refund: FundingRefund) -> None:
    with pytest.raises(KabaoError) as refused:
        async with at.db.transaction() as conn:
            await at.funding.refund_again_in(conn, refund.id)
    assert refused.value.code.name == "refund_not_open"


async def test_an_unknown_refund_gets_no_second_number(at: World) -> None:
    collection = await paid(at)
    await asked(at, collection)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    for _ in range(12):
        await at.passes(600)
    (refund,) = await at.refunds(collection)
    await not_sent_again(at, refund)


async def test_what_a_recall_took_is_not_sent_again(at: World) -> None:
    """The refund was refused because the recall had taken its money."""
    collection = await late(at)
    at.says("alipay", refund=Unknown("?"), query_refund=Unknown("?"))
    await at.passes()
    await notified(at, collection, Recalled("cb-1", "", 10_000, ""))
    (refund, *_) = await at.refunds(collection)
    at.says("alipay", query_refund=Refused("no"))
    await at.passes(60)
    assert [one.state for one in await at.refunds(collection)] == [REFUSED, DONE]
    await not_sent_again(at, refund)


@pytest.mark.parametrize("said", [Closed(), Refused("no"), "given back"])
async def test_late_money_that_may_be_gone_is_not_written_off(at: World, said: Any) -> None:
    collection = await late(at)
    trade = at.trade(collection)
    if said == "given back":
        said = Paid(trade.number, 10_000, trade.paid_us, given_back=True)
    at.says("alipay", query=said)
    for _ in range(13):
        await at.passes(600)
    (refund,) = await at.refunds(collection)
    assert (refund.state, refund.sent_us) == (UNKNOWN, None)
    assert "funding.refund_unknown" in await at.cases()
    async with at.db.transaction() as conn:
        await at.funding.refund_again_in(conn, refund.id)
    await at.passes()
    assert ends(await at.refunds(collection)) == [
        (Back.LATE, 10_000, REFUSED),
        (Back.LATE, 10_000, DONE),
    ]
    assert trade.refunded_fen == 10_000
    assert (await at.now(collection)).state is State.REFUNDED


async def late(at: World) -> Collection:
    """Money that came to an order that was given up."""
    shown = await at.begun()
    trade = at.trade(shown.collection)
    await at.funding.cancel(shown.collection.id)
    trade.state = type(trade.state).WAITING
    at.hosts["alipay"].pay(trade)
    await at.told()
    assert (await at.now(shown.collection)).state is State.REFUNDING
    return shown.collection
