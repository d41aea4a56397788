"""Bills against our books: what is paired, what is a break, of which class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.reconciliation.model.breaks import Class
from kabao.reconciliation.model.lines import (
    BILL_KNOWN,
    BILL_TOTALS,
    Line,
    LineKind,
    SpoiltBillError,
)
from kabao.reconciliation.model.runs import RunState

from .world import AT, DAY, NEXT, SUBJECT, Bench, dropping, line, order


@pytest.fixture
async def at(db: Database, clock: FixedClock) -> Bench:
    bench = Bench(db, clock)
    await bench.ours.open()
    return bench


def many(count: int) -> list[Line]:
    return [line(n) for n in range(1, count + 1)]


async def test_what_is_equal_is_paired_and_its_owner_is_told(at: Bench) -> None:
    await at.ours.has(many(50))
    run = await at.ran(many(50))
    assert (run.state, run.lines, run.books, run.pairs, run.breaks) == (
        RunState.FINISHED,
        50,
        50,
        50,
        0,
    )
    assert run.theirs_fen == run.ours_fen == sum(one.amount_fen for one in many(50))
    assert run.fees_mfen == sum(one.fee_mfen for one in many(50))
    assert sorted(at.ours.told) == sorted(order(n) for n in range(1, 51))
    assert await at.cases() == []


async def test_each_class_is_told_from_the_others(at: Bench) -> None:
    ours = many(20)
    await at.ours.has(ours)
    await at.ours.has([line(30, day=NEXT), line(31, status="unpaid", their_no="")])
    bill = many(20)
    bill[1] = line(2, amount_fen=999)
    bill[2] = line(3, fee_mfen=99_000)
    bill[3] = line(4, currency="USD")
    bill[4] = line(5, status="closed")
    del bill[10]
    bill += [line(40), line(30), line(31), line(6, 77), line(7, 78, their_no="T7-again")]
    run = await at.ran(bill)
    found = {(one.cls, one.our_no) for one in await at.breaks(run)}
    assert found == {
        (Class.AMOUNT, order(2)),
        (Class.FEE, order(3)),
        (Class.CURRENCY, order(4)),
        (Class.STATUS, order(5)),
        (Class.MISSING_THERE, order(11)),
        (Class.MISSING_HERE, order(40)),
        (Class.WRONG_DAY, order(30)),
        (Class.STATUS, order(31)),
        (Class.DUPLICATE, order(6)),
        (Class.DUPLICATE, order(7)),
    }
    assert order(3) in at.ours.told, "a fee does not make a payment doubtful"
    assert order(2) not in at.ours.told


async def test_a_refund_is_known_by_its_own_number(at: Bench) -> None:
    refund = {"kind": LineKind.REFUND, "our_sub_no": "a" * 32, "fee_mfen": 0}
    await at.ours.has([line(1), line(1, **refund)])
    run = await at.ran([line(1), line(1, 2, **refund, their_no="T1-back")])
    assert (run.pairs, run.breaks) == (2, 0)


async def test_what_came_and_went_before_we_heard_of_it_is_no_break(at: Bench) -> None:
    await at.ours.has([line(1, status="expired", their_no="")])
    run = await at.ran([line(1), line(1, 2, kind=LineKind.REFUND, our_sub_no="theirs")])
    assert (run.lines, run.breaks) == (2, 0)


async def test_a_line_without_our_number_is_known_by_theirs(at: Bench) -> None:
    await at.ours.has(many(3))
    run = await at.ran([replace(one, our_no=None) for one in many(3)])
    assert (run.pairs, run.breaks) == (3, 0)


async def test_a_collective_posting_is_as_much_as_its_parts(
    db: Database, clock: FixedClock
) -> None:
    at = Bench(db, clock, "bank")
    await at.ours.open()
    parts = [line(n, their_no="BATCH", fee_mfen=0) for n in (1, 2, 3)]
    whole = [replace(line(1), our_no=None, their_no="BATCH", amount_fen=3_006, fee_mfen=0)]
    await at.ours.has(parts)
    tried = await at.reconciliation.try_out("bank", SUBJECT, "2" * 32, DAY, whole)
    assert (tried.run.pairs, tried.breaks) == (3, [])
    short = [replace(whole[0], amount_fen=3_005)]
    tried = await at.reconciliation.try_out("bank", SUBJECT, "2" * 32, DAY, short)
    assert len(tried.breaks) == 3, "the line with the first part, and the two that are left"


async def test_a_payment_in_parts_is_as_much_as_the_order(db: Database, clock: FixedClock) -> None:
    at = Bench(db, clock, "bank")
    await at.ours.open()
    await at.ours.has([line(1, their_no="")])
    bill = [line(1, 1, their_no="A", amount_fen=400), line(1, 2, their_no="B", amount_fen=601)]
    assert (await at.ran(bill)).breaks == 0


async def test_what_was_missing_is_cleared_by_the_next_bill(at: Bench) -> None:
    await at.ours.has(many(5))
    first = await at.ran(many(4))
    assert await at.classes(first) == [("missing_there", "open")]
    late = await at.ran([line(5, day=NEXT)], NEXT)
    assert await at.classes(first) == [("missing_there", "cleared")]
    assert await at.classes(late) == [("wrong_day", "cleared")]
    again = await at.ran([line(5, day=NEXT, at_us=AT)], NEXT + timedelta(days=1))
    assert await at.classes(again) == [("duplicate", "open")]


async def test_what_our_books_learnt_a_day_late_is_cleared(at: Bench) -> None:
    await at.ours.has(many(4))
    first = await at.ran(many(5))
    assert await at.classes(first) == [("missing_here", "open")]
    await at.ours.has([line(5, day=NEXT)])
    second = await at.ran([], NEXT)
    assert await at.classes(first) == [("missing_here", "cleared")]
    assert await at.classes(second) == []


async def test_what_was_matched_on_its_day_is_a_duplicate_on_another(at: Bench) -> None:
    await at.ours.has(many(3))
    await at.ran(many(3))
    second = await at.ran([line(2, day=NEXT)], NEXT)
    assert await at.classes(second) == [("duplicate", "open")]


async def test_a_bill_is_taken_whole_or_not_at_all(at: Bench) -> None:
    def spoilt() -> Iterator[Line]:
        yield from many(3_000)
        raise SpoiltBillError("the totals are wrong", 3_001, BILL_TOTALS)

    with pytest.raises(SpoiltBillError) as refused:
        await at.taken(spoilt())
    assert (refused.value.code, refused.value.line) == (BILL_TOTALS, 3_001)
    with pytest.raises(ConnectionAbortedError):
        await at.taken(dropping(many(3_000), 2_500))
    async with at.db.read() as conn:
        rows = await conn.execute("select count(*) from reconciliation.line")
        assert await rows.fetchone() == (0,)


async def test_the_same_file_is_refused_and_a_better_one_takes_its_place(at: Bench) -> None:
    await at.ours.has(many(5))
    first = await at.ran(many(4))
    for day in (DAY, NEXT):
        with pytest.raises(SpoiltBillError) as refused:
            await at.taken(many(4), day)
        assert refused.value.code is BILL_KNOWN
    second = await at.ran(many(5))
    assert second.breaks == 0
    async with at.db.read() as conn:
        assert (await at.reconciliation.get(conn, first.id)).state is RunState.REPLACED
    assert await at.classes(first) == [("missing_there", "cleared")]


async def test_the_same_lines_and_books_give_the_same_bytes(
    db: Database, clock: FixedClock
) -> None:
    digests = set()
    at = Bench(db, clock)
    await at.ours.open()
    await at.ours.has(many(300))
    bill = [one for one in many(300) if one.source_no % 7] + [line(400), line(3, 401)]
    for _ in range(2):
        tried = await at.reconciliation.try_out("channel", SUBJECT, "2" * 32, DAY, bill)
        digests.add(tried.run.result_digest)
        async with db.transaction() as conn:  # another order on disk, the same books
            await conn.execute("create table again as select * from ours order by random()")
            await conn.execute("drop table ours")
            await conn.execute("alter table again rename to ours")
    run = await at.ran(bill)
    assert digests == {run.result_digest}
