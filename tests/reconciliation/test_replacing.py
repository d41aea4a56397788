"""Another bill of a day: when it takes the place of one, and what the former leaves behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Database, fetch_value
from kabao.base.errors import KabaoError
from kabao.base.ids import RandomIds
from kabao.cases.ops import Cases
from kabao.ledger.model import Account
from kabao.policy.ops import Policy
from kabao.reconciliation.model.breaks import Correction
from kabao.reconciliation.model.lines import BILL_CUT, BILL_UNREADABLE, Line, SpoiltBillError
from kabao.reconciliation.model.runs import (
    BILL_DECIDED,
    BILL_FETCHED,
    BillStaysError,
    KnownBillError,
    Run,
    RunState,
)
from kabao.reconciliation.ops.following import Following
from kabao.reconciliation.ops.matching import REPLACED

from .world import AT, COMPANY, DAY, NEXT, SUBJECT, Bench, line

WAITS = "select exists (select from pg_locks where not granted)"


@pytest.fixture
async def at(db: Database, clock: FixedClock) -> Bench:
    bench = Bench(db, clock)
    await bench.ours.open()
    return bench


def many(count: int) -> list[Line]:
    return [line(n) for n in range(1, count + 1)]


async def corrected(at: Bench, run: Run, correction: Correction) -> None:
    """Two persons make something of the first break of a run."""
    found = (await at.breaks(run))[0]
    async with at.db.transaction() as conn:
        await at.reconciliation.correct(conn, found.id, correction, "4" * 32)


async def suspended_fen(at: Bench) -> int:
    async with at.db.read() as conn:
        found = await at.ledger.house_balance(conn, Account.UNMATCHED, COMPANY, "CNY")
    return abs(found.credit_fen - found.debit_fen)


async def test_a_bill_that_was_paid_out_stays(at: Bench) -> None:
    await at.ours.has(many(5))
    run = await at.ran(many(5))
    async with at.db.transaction() as conn:
        await at.reconciliation.settle(conn, run.id, 4_000)
    with pytest.raises(BillStaysError) as refused:
        await at.taken(many(4))
    assert refused.value.code is BILL_DECIDED
    assert await at.reconciliation.of_day("channel", SUBJECT, DAY) is not None
    assert await at.cases() == ["reconciliation.bill_refused"]
    with pytest.raises(BillStaysError):
        await at.taken(many(4))
    assert len(await at.cases()) == 1, "the same file again is the same case"


async def test_nobody_pays_out_what_is_at_our_own_bank(at: Bench) -> None:
    await at.ours.has(many(5))
    run = await at.ran(many(5))
    at.ours.name = "bank"
    async with at.db.transaction() as conn:
        with pytest.raises(KabaoError, match="holds no money for us"):
            await at.reconciliation.settle(conn, run.id, 4_000)


@pytest.mark.parametrize("correction", [Correction.SUSPEND, Correction.ACCEPT])
async def test_a_bill_whose_breaks_were_decided_on_stays(at: Bench, correction: Correction) -> None:
    await at.ours.has(many(4))
    run = await at.ran(many(5))
    await corrected(at, run, correction)
    before = await suspended_fen(at)
    with pytest.raises(BillStaysError) as refused:
        await at.taken([*many(5), line(6)])
    assert refused.value.code is BILL_DECIDED
    assert await suspended_fen(at) == before
    async with at.db.read() as conn:
        assert (await at.reconciliation.get(conn, run.id)).state is RunState.FINISHED


async def test_an_empty_bill_twice_is_the_same_bill(at: Bench) -> None:
    await at.ours.has(many(1))
    await at.ran([])
    with pytest.raises(KnownBillError) as known:
        await at.taken([])
    assert known.value.run is not None


async def test_nothing_takes_the_place_of_lines(at: Bench) -> None:
    await at.ours.has(many(3))
    await at.ran(many(3))
    with pytest.raises(SpoiltBillError) as refused:
        await at.taken([])
    assert refused.value.code is BILL_CUT


async def test_a_bill_that_came_and_was_replaced_can_come_back(at: Bench) -> None:
    await at.ours.has(many(5))
    first = await at.ran(many(3))
    await at.ran(many(5))
    again = await at.ran(many(3))
    assert again.id != first.id
    assert await at.classes(again) == [("missing_there", "open")] * 2
    with pytest.raises(KnownBillError) as known:
        await at.taken(many(3))
    assert known.value.run is not None and known.value.run.id == again.id
    with pytest.raises(KnownBillError) as known:
        await at.taken(many(3), NEXT)
    assert known.value.run is None, "what stands for that day is another bill, or none"


async def test_what_a_replaced_bill_had_explained_is_open_again(at: Bench) -> None:
    await at.ours.has(many(5))
    first = await at.ran(many(4))
    told = await at.ran([line(5, day=NEXT)], NEXT)
    assert await at.classes(first) == [("missing_there", "cleared")]
    await at.ran([line(9, day=NEXT)], NEXT)
    assert await at.classes(first) == [("missing_there", "open")], "no bill tells it"
    assert await at.classes(told) == [("wrong_day", "cleared")]
    third = await at.ran([line(5, day=NEXT, at_us=AT)], NEXT)
    assert await at.classes(first) == [("missing_there", "cleared")]
    assert await at.classes(third) == [("wrong_day", "cleared")], "no duplicate is invented"


async def test_what_our_books_explained_on_a_replaced_day_is_judged_anew(at: Bench) -> None:
    await at.ours.has(many(4))
    first = await at.ran(many(5))
    await at.ours.has([line(5, day=NEXT)])
    await at.ran([], NEXT)
    assert await at.classes(first) == [("missing_here", "cleared")]
    second = await at.ran([line(7, day=NEXT)], NEXT)
    assert await at.classes(first) == [("missing_here", "cleared")]
    assert await at.classes(second) == [("missing_here", "open")], "and nothing is missing there"


async def test_breaks_of_a_replaced_day_stay_closed(at: Bench) -> None:
    await at.ours.has(many(5))
    first = await at.ran(many(4))
    await at.ran([line(5, day=NEXT)], NEXT)
    second = await at.ran(many(3))
    await at.ran([line(8, day=NEXT)], NEXT)
    assert await at.classes(first) == [("missing_there", "cleared")]
    assert {state for _, state in await at.classes(second)} == {"open"}


async def test_what_is_suspended_is_always_shown(at: Bench) -> None:
    await at.ours.has(many(4))
    run = await at.ran(many(5))
    await corrected(at, run, Correction.SUSPEND)
    async with at.db.transaction() as conn:  # as bills were replaced before they could stay
        await conn.execute("update reconciliation.run set state = 'replaced'")
        (shown,) = await at.reconciliation.open_until(conn, DAY, COMPANY)
    assert (shown.state, shown.count) == ("suspended", 1)
    await corrected(at, run, Correction.RELEASE)
    assert await suspended_fen(at) == 0


async def test_what_a_person_brings_never_replaces_what_was_fetched(at: Bench) -> None:
    await at.ours.has(many(5))
    fetched = await at.ran(many(4))
    brought = ("channel", SUBJECT, COMPANY, DAY, iter(many(5)))
    with pytest.raises(BillStaysError) as refused:
        await at.reconciliation.take(*brought, brought_by="ada")
    assert refused.value.code is BILL_FETCHED
    assert await at.classes(fetched) == [("missing_there", "open")]


async def test_the_sources_own_bill_replaces_what_a_person_brought(at: Bench) -> None:
    await at.ours.has(many(5))
    asked = ("channel", SUBJECT, COMPANY, DAY, iter(many(5)))
    brought = await at.reconciliation.take(*asked, brought_by="ada")
    async with at.db.read() as conn:
        assert (await at.reconciliation.get(conn, brought.id)).brought_by == "ada"
    fetched = await at.ran(many(4))
    assert (fetched.brought_by, fetched.breaks) == (None, 1)
    nothing = ("channel", SUBJECT, COMPANY, NEXT, iter(()))
    with pytest.raises(SpoiltBillError) as refused:
        await at.reconciliation.take(*nothing, brought_by="ada")
    assert refused.value.code is BILL_CUT, "it does not tell whose it is"


async def test_a_replaced_run_tells_nobody_anything(at: Bench) -> None:
    await at.ours.has(many(5))
    former = await at.reconciliation.match((await at.taken(many(4))).id)
    await at.taken(many(5))
    await at.reconciliation.finish(former.id)
    assert at.ours.told == []
    async with at.db.read() as conn:
        whys = "select count(*) from reconciliation.break where why = %s"
        assert await fetch_value(conn, whys, [REPLACED]) == 1


async def test_a_worker_that_still_follows_a_replaced_run_tells_nobody(at: Bench) -> None:
    await at.ours.has(many(5))
    former = await at.reconciliation.match((await at.taken(many(4))).id)
    await at.taken(many(5))
    days, ids = BusinessDays(), RandomIds(at.clock)
    cases = Cases(Policy.load(at.clock, []), ids, at.clock, days)
    rules = at.reconciliation.rules(COMPANY)
    await Following(at.db, cases, at.clock).follow(former, at.ours, rules)
    assert at.ours.told == []


async def test_a_correction_in_flight_keeps_its_bill(at: Bench) -> None:
    await at.ours.has(many(4))
    run = await at.ran(many(5))
    (found,) = await at.breaks(run)
    async with at.db.transaction() as conn:
        await at.reconciliation.correct(conn, found.id, Correction.SUSPEND, "4" * 32)
        taking = asyncio.create_task(at.taken([*many(5), line(6)]))
        async with at.db.read() as looking:
            while not await fetch_value(looking, WAITS):
                assert not taking.done(), "it waits for the correction"
    with pytest.raises(BillStaysError):
        await taking


@pytest.mark.parametrize("field", [{"amount_fen": -500}, {"currency": "CNYX"}, {"currency": "12 "}])
async def test_what_no_bill_may_tell_is_refused_with_its_line(
    at: Bench, field: dict[str, object]
) -> None:
    with pytest.raises(SpoiltBillError) as refused:
        await at.taken([line(1), line(2, **field)])
    assert (refused.value.code, refused.value.line) == (BILL_UNREADABLE, 2)


async def test_a_number_of_the_original_makes_another_bill(at: Bench) -> None:
    await at.ran([line(1, original_no="A")])
    assert (await at.taken([line(1, original_no="B")])).state is RunState.TAKEN


async def test_runs_that_fail_keep_no_others_waiting(at: Bench) -> None:
    days = [DAY - timedelta(days=n) for n in range(21)]
    for n, day in enumerate(days, 1):
        await at.taken([line(n, day=day)], day)
    async with at.db.transaction() as conn:
        failing = "update reconciliation.run set source = 'nobody' where day > %s"
        await conn.execute(failing, [days[-1]])
    assert await at.reconciliation.resume() == 20
    assert await at.reconciliation.resume() == 1
    run = await at.reconciliation.of_day("channel", SUBJECT, days[-1])
    assert run is not None and run.state is RunState.FINISHED
    assert await at.reconciliation.resume() == 20
