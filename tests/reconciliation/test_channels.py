"""A channel's bill of a day, compared with our books, line by line (T-20, T-21)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_all
from kabao.funding.model.answers import Payer, Scene
from kabao.funding.model.life import State
from kabao_sandbox.party.bills import Planted
from tests.funding.world import World, world


@pytest.fixture(params=["alipay", "wechat"])
async def at(
    request: pytest.FixtureRequest, db: Database, clock: FixedClock, tmp_path: Path
) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, [request.param]) as made:
        made.name = request.param
        yield made


async def next_day(at: World, hour: int = 10) -> None:
    """It is 10:00 when the tests begin."""
    at.clock.advance(timedelta(hours=14 + hour))
    await at.match_bills()


async def bills(at: World) -> list[dict[str, object]]:
    async with at.db.read() as conn:
        return await fetch_all(
            conn, dict, "select state, lines, differences, asked from funding.bill order by day"
        )


async def facts(at: World, kind: str) -> list[dict[str, object]]:
    async with at.db.read() as conn:
        rows = await fetch_all(
            conn, dict, "select facts from cases.case where kind = %s order by id", [kind]
        )
    return [row["facts"] for row in rows]


async def test_what_stands_in_the_bill_is_reconciled(at: World) -> None:
    begun = [(await at.begun(1_000 + n)).collection for n in range(5)]
    for collection in begun:
        assert at.pays(collection, at.name)
    await at.told()
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, begun[0].id, 400, key="a", reason="退卡")
    await at.passes()
    await next_day(at, 9)
    assert [bill["state"] for bill in await bills(at)] == ["waiting"], "it is not ready yet"
    at.clock.advance(timedelta(hours=1))
    await at.match_bills()
    assert await bills(at) == [{"state": "matched", "lines": 6, "differences": 0, "asked": 0}]
    assert {(await at.now(one)).state for one in begun} == {State.RECONCILED}
    assert await at.cases() == []
    await at.match_bills()
    assert len(await bills(at)) == 1


async def test_an_outage_of_days_leaves_out_no_bill(at: World) -> None:
    shown = await at.begun()
    assert at.pays(shown.collection, at.name)
    await at.told()
    at.clock.advance(timedelta(days=3))
    await at.match_bills()
    assert len(await bills(at)) == 3
    assert (await at.now(shown.collection)).state is State.RECONCILED
    at.clock.advance(timedelta(days=2))
    await at.match_bills()
    assert len(await bills(at)) == 5


async def test_every_difference_is_a_case_and_moves_nothing(at: World) -> None:
    begun = [(await at.begun(1_000 + n)).collection for n in range(8)]
    for collection in begun:
        assert at.pays(collection, at.name)
    await at.told()
    at.hosts[at.name].planted = Planted(missing=1, extra=1, amount=1)
    await next_day(at)
    (bill,) = await bills(at)
    assert (bill["state"], bill["differences"]) == ("matched", 3)
    found = sorted(str(one["class"]) for one in await facts(at, "reconciliation.break"))
    assert found == ["amount", "missing_here", "missing_there"]
    states = [(await at.now(one)).state for one in begun]
    assert (states.count(State.RECONCILED), states.count(State.CONFIRMED)) == (6, 2)


async def test_what_the_bill_tells_first_is_asked_about(at: World) -> None:
    shown = await at.begun()
    at.deaf = True
    assert at.pays(shown.collection, at.name)
    await next_day(at)
    assert at.loads.confirmed_for == [shown.collection.id]
    assert (await at.now(shown.collection)).state is State.RECONCILED


async def test_what_a_cancellation_paid_back_is_no_difference(at: World) -> None:
    code = at.hosts[at.name].party.book.new_code(password=True)
    shown = await at.begun(scene=Scene.CODE, payer=Payer(code))
    at.deaf = True
    at.clock.advance(timedelta(seconds=20))
    assert at.pays(shown.collection, at.name)
    await at.funding.cancel(shown.collection.id)
    assert (await at.now(shown.collection)).state is State.EXPIRED
    await next_day(at)
    assert await at.cases() == []
    assert not at.loads.confirmed_for


async def test_a_spoilt_bill_is_fetched_again_and_then_a_case(at: World) -> None:
    shown = await at.begun()
    assert at.pays(shown.collection, at.name)
    await at.told()
    at.hosts[at.name].planted = Planted(truncated=True)
    await next_day(at)
    for _ in range(10):
        at.clock.advance(timedelta(hours=1))
        await at.match_bills()
    assert await at.cases() == []
    at.clock.advance(timedelta(hours=1))
    await at.match_bills()
    assert await at.cases() == ["funding.bill_missing"]
    at.hosts[at.name].planted = Planted()
    at.clock.advance(timedelta(hours=24))
    await at.match_bills()
    assert (await at.now(shown.collection)).state is State.RECONCILED


async def test_what_goes_wrong_unexpectedly_is_counted_too(at: World) -> None:
    shown = await at.begun()
    assert at.pays(shown.collection, at.name)
    await at.told()
    async with at.db.transaction() as conn:
        await conn.execute("alter table reconciliation.line rename to gone")
    await next_day(at)
    assert [(bill["state"], bill["asked"]) for bill in await bills(at)] == [("waiting", 1)]
    for _ in range(11):
        at.clock.advance(timedelta(hours=1))
        await at.match_bills()
    assert await at.cases() == ["funding.bill_missing"]
