"""What only a bill tells of money that goes back, and statements of banks as bills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_all
from kabao.funding.model.answers import Scene
from kabao.funding.model.life import State
from kabao.reconciliation.model.breaks import Break, BreakState, Class
from kabao.reconciliation.model.lines import LineKind
from kabao.reconciliation.model.runs import Run, RunState
from kabao.reconciliation.ops import Channels
from tests.funding.world import World, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, []) as made:
        for name, scene in (("bank", Scene.TRANSFER), ("cards", Scene.PAGE)):
            await made.host(name)
            await made.add(name, name, scenes=(scene,))
        yield made


async def breaks(at: World) -> list[tuple[str, str, str]]:
    async with at.db.read() as conn:
        rows = await fetch_all(
            conn, dict, "select class, kind, state from reconciliation.break order by id"
        )
    return [(row["class"], row["kind"], row["state"]) for row in rows]


async def next_day(at: World) -> None:
    at.clock.advance(timedelta(hours=24))
    await at.match_bills()


async def test_a_recall_that_only_the_bill_tells_is_booked_once(at: World) -> None:
    made = await at.begun(50_000, Scene.PAGE, channel="cards")
    assert at.pays(made.collection, "cards")
    await at.told()
    at.deaf = True
    assert at.hosts["cards"].recall(at.trade(made.collection), 30_000)
    await next_day(at)
    assert at.loads.recalls == [(made.collection.id, 30_000)]
    assert await breaks(at) == [("missing_here", "recall", "cleared")]
    assert await at.cases() == ["funding.recalled"]
    at.deaf = False
    at.hosts["cards"].tell(at.trade(made.collection), at.trade(made.collection).recalls[0])
    await at.told()
    assert at.loads.recalls == [(made.collection.id, 30_000)], "told again it is nothing"


async def test_a_recall_of_another_amount_than_was_booked_stays_a_break(at: World) -> None:
    made = await at.begun(50_000, Scene.PAGE, channel="cards")
    assert at.pays(made.collection, "cards")
    await at.told()
    order, number = made.collection.current, at.trade(made.collection).number
    channel = at.channels["cards"].id

    async def told(no: str, fen: int) -> str | None:
        return await at.funding.billing.recalled(channel, order, number, no, fen)

    assert await told("X", 10_000) == "booked as a recall"
    assert await told("X", 10_000) == "booked as a recall"
    assert await told("X", 12_000) is None
    assert await told("Y", 60_000) is None, "more than is left of it"
    assert await at.funding.billing.paid_back(order, 50_000) is None, "it was paid"


async def test_what_a_bill_calls_undone_is_explained_by_no_answer(at: World) -> None:
    made = await at.begun(50_000, Scene.PAGE, channel="cards")
    assert at.pays(made.collection, "cards")
    await at.told()
    trade = at.trade(made.collection)
    source = Channels(at.funding)
    found = Break(
        id="1",
        run="2",
        no=1,
        cls=Class.STATUS,
        kind=LineKind.PAY,
        source_no=1,
        our_no=made.collection.current,
        our_sub_no="",
        their_no=trade.number,
        original_no="",
        ours_fen=50_000,
        theirs_fen=50_000,
        ours_fee_mfen=None,
        theirs_fee_mfen=0,
        ours_status="done",
        theirs_status="closed",
        ours_day=None,
        currency="CNY",
        state=BreakState.OPEN,
        why=None,
    )
    run = Run(
        id="2",
        source="channel",
        subject="",
        company="",
        day=date(2026, 11, 20),
        state=RunState.MATCHED,
        lines_digest=b"",
    )
    assert await source.explain(run, found) is None
    undone = replace(found, kind=LineKind.REFUND, our_sub_no="x", theirs_status="done")
    assert await source.explain(run, undone) is None, "nobody here gave anything back"
    assert (await at.now(made.collection)).state is State.CONFIRMED


async def test_a_banks_statement_agrees_with_what_came_and_went(at: World) -> None:
    made = await at.begun(50_000, Scene.TRANSFER, channel="bank")
    assert made.waiting is not None
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as desk:
        await desk.post("/transfers", json={"to": made.waiting.text, "amount": 50_000})
    await at.told()
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, made.collection.id, 20_000, key="r", reason="退款")
    for _ in range(3):
        await at.passes(60)
    await next_day(at)
    assert (await breaks(at), await at.cases()) == ([], [])
    assert (await at.now(made.collection)).state is State.RECONCILED


async def test_what_came_to_the_bank_for_nobody_is_a_break(at: World) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as desk:
        await desk.post("/transfers", json={"amount": 70_000, "words": "房租"})
    await next_day(at)
    assert await breaks(at) == [("missing_here", "pay", "open")]
