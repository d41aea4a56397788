"""What a source tells twice, late, or of what is not done: no money is lost, none invented."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.reconciliation.model.breaks import Class, Correction
from kabao.reconciliation.model.lines import LineKind

from .world import DAY, NEXT, Bench, line, order

REFUND = {"kind": LineKind.REFUND, "our_no": None, "our_sub_no": "a" * 32, "fee_mfen": 0}


@pytest.fixture
async def at(db: Database, clock: FixedClock) -> Bench:
    bench = Bench(db, clock)
    await bench.ours.open()
    return bench


async def test_a_payment_told_again_by_another_bill_is_beyond_what_is_ours(at: Bench) -> None:
    await at.ours.has([line(1)])
    await at.ran([line(1)])
    again = await at.ran([line(1, day=NEXT)], NEXT)
    (found,) = await at.breaks(again)
    assert (found.cls, found.difference_fen) == (Class.DUPLICATE, 1_001)
    assert found.proposed is Correction.SUSPEND


async def test_a_refund_that_went_twice_is_a_duplicate_and_asked_of_nobody(at: Bench) -> None:
    await at.ours.has([line(1, **REFUND, their_no="")])
    at.ours.why = "refunded, the channel said when it was asked"
    run = await at.ran([line(1, 1, **REFUND), line(1, 2, **REFUND | {"their_no": "another"})])
    (found,) = await at.breaks(run)
    assert (found.cls, found.state, found.difference_fen) == ("duplicate", "open", -1_001)
    assert at.ours.asked == []


async def test_a_recall_is_explained_once(at: Bench) -> None:
    at.ours.why = "booked as a recall"
    recall = {"kind": LineKind.RECALL, "fee_mfen": 0, "their_no": "X"}
    first = await at.ran([line(1, 1, **recall), line(1, 2, **recall)])
    assert await at.classes(first) == [("missing_here", "cleared"), ("duplicate", "open")]
    second = await at.ran([line(1, 3, **recall, day=NEXT)], NEXT)
    assert await at.classes(second) == [("duplicate", "open")]


async def test_what_neither_calls_done_is_no_break(at: Bench) -> None:
    await at.ours.has([line(1, **REFUND, status="unknown", their_no="")])
    run = await at.ran([line(1, **REFUND, status="processing")])
    assert (run.pairs, run.breaks) == (1, 0)
    done = await at.ran([line(1, **REFUND, day=NEXT)], NEXT)
    assert await at.classes(done) == [("status", "open")], "it was told before, but not as done"


async def test_what_came_and_did_not_go_is_a_break(at: Bench) -> None:
    await at.ours.has([line(1, status="expired", their_no="")])
    bill = [line(1), line(1, 2, kind=LineKind.REFUND, our_sub_no="theirs", status="fail")]
    run = await at.ran(bill)
    assert {(one.cls, one.difference_fen) for one in await at.breaks(run)} == {
        (Class.STATUS, 1_001),
        (Class.MISSING_HERE, 0),
    }


async def test_what_we_learnt_after_its_day_was_compared_is_late_and_not_told_twice(
    at: Bench,
) -> None:
    await at.ours.has([line(1)])
    await at.ran([line(1)])
    await at.ours.has([line(2)])
    late = await at.ran([line(2, day=NEXT)], NEXT)
    assert await at.classes(late) == [("wrong_day", "open")]
    again = await at.ran([line(2, day=NEXT, at_us=1)], NEXT + timedelta(days=1))
    assert await at.classes(again) == [("duplicate", "open")]


async def test_another_day_and_another_amount_is_one_break(at: Bench) -> None:
    await at.ours.has([line(1)])
    first = await at.ran([])
    late = await at.ran([line(1, day=NEXT, amount_fen=900)], NEXT)
    assert await at.classes(first) == [("missing_there", "cleared")]
    assert [one.difference_fen for one in await at.breaks(late)] == [-101]


async def test_a_slip_that_is_recorded_the_next_day_explains_its_line(at: Bench) -> None:
    first = await at.ran([line(1, our_no=None)])
    await at.ours.has([line(1, day=NEXT)])
    second = await at.ran([], NEXT)
    assert await at.classes(first) == [("missing_here", "cleared")]
    assert await at.classes(second) == []
    await at.ran([line(2, our_no=None, day=NEXT)], NEXT + timedelta(days=1))
    third = DAY + timedelta(days=3)
    await at.ours.has([line(2, day=third, amount_fen=5)])
    assert await at.classes(await at.ran([], third)) == [("missing_there", "open")]


async def test_an_order_does_not_stand_in_a_bill_by_its_second_payment(at: Bench) -> None:
    second, late = {"their_no": "B"}, {"their_no": "C", "day": NEXT}
    await at.ours.has([line(1), line(1, **second), line(2), line(2, **late), line(3)])
    run = await at.ran([line(1, **second), line(3)])
    assert await at.classes(run) == [("missing_there", "open")] * 2
    assert at.ours.told == [order(3)]
    await at.ran([line(2, **late)], NEXT)
    assert at.ours.told == [order(3)]
    assert await at.classes(run) == [("missing_there", "open")] * 2


async def test_a_refund_that_went_late_and_again_is_told_twice(at: Bench) -> None:
    await at.ours.has([line(1, **REFUND | {"our_no": order(1)})])
    again = REFUND | {"their_no": "T1-back"}
    await at.ran([])
    assert await at.classes(await at.ran([line(1, **again, day=NEXT)], NEXT)) == [
        ("wrong_day", "cleared")
    ]
    third = DAY + timedelta(days=2)
    run = await at.ran([line(1, **again, day=third)], third)
    assert await at.classes(run) == [("duplicate", "open")]


async def test_orders_of_a_midnight_pause_nobody(at: Bench) -> None:
    late = [line(n, day=NEXT) for n in (1, 2, 3)]
    await at.ours.has(late)
    run = await at.ran([line(n) for n in (1, 2, 3)])
    assert await at.classes(run) == [("wrong_day", "open")] * 3
    assert at.ours.stopped == []
    async with at.db.read() as conn:
        assert await at.reconciliation.open_parts(conn, DAY) == []


async def test_what_a_payer_calls_it_does_not_hide_their_number(at: Bench) -> None:
    await at.ours.has([line(1), line(2, our_no="")])
    run = await at.ran([line(1, our_no="ABC-77"), line(2, our_no="ABC-77")])
    assert (run.pairs, run.breaks) == (2, 0)
