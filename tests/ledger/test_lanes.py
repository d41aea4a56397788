"""Posting through lanes, on a real PostgreSQL; two ledgers are two processes."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, Statements, fetch_value, text_array
from kabao.base.errors import INTERNAL, KEY_REUSED, UNAVAILABLE, KabaoError
from kabao.ledger.model import Account, Decision, Event, Moment, Move, Purpose, Root
from kabao.ledger.ops import Ledger
from tests.ledger.make import STORE, do, look, open_roots, pay, replaced, running


async def outcomes(futures: Sequence[asyncio.Future[Any]]) -> list[Any]:
    return await asyncio.gather(*futures, return_exceptions=True)


def statuses(found: Sequence[Any]) -> Counter[str]:
    return Counter(one.code.name if isinstance(one, KabaoError) else one["status"] for one in found)


async def count(db: Database, sql: Any) -> int:
    async with db.read() as conn:
        return int(await fetch_value(conn, sql))


TRANSFERS = "select count(*) from ledger.transfer where purpose = 10"
OPERATIONS = "select count(*) from ledger.operation where result like '%captured%'"


async def test_64_callers_on_one_card(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=1_000, ledger=ledger)

        async def caller() -> list[Any]:
            return [await ledger.post(pay(root, 7)) for _ in range(5)]

        found = [o for each in await asyncio.gather(*(caller() for _ in range(64))) for o in each]
        assert statuses(found) == {"captured": 142, "declined": 178}
        assert sorted(o["left"] for o in found if "left" in o) == list(range(6, 1_000, 7))
        now = await look(db, ledger, root)
    assert (now.principal_fen, now.seq) == (6, 143)


async def test_two_processes_on_the_same_cards(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        roots = await open_roots(db, 10, fen=100, ledger=one)
        asked = [
            ledger.post(pay(root, 9)) for _ in range(20) for root in roots for ledger in (one, two)
        ]
        assert statuses(await outcomes(asked)) == {"captured": 110, "declined": 290}
        for root in roots:
            assert (await look(db, one, root)).principal_fen == 1
    assert await count(db, TRANSFERS) == 110


async def test_counters_that_move_no_value_are_exact_too(db: Database, clock: FixedClock) -> None:
    def wrong_pin(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        assert found is not None
        return Decision(
            result={"status": "wrong"}, set={"pin_tries": found.pin_tries + 1}, remember=False
        )

    async with running(db, clock) as one, running(db, clock) as two:
        (root,) = await open_roots(db, ledger=one)

        async def guess(ledger: Ledger) -> None:
            for _ in range(10):
                await ledger.post(do(wrong_pin, root, key=""))

        await asyncio.gather(*(guess(ledger) for ledger in (one, two) for _ in range(10)))
        assert (await look(db, one, root)).pin_tries == 200


async def test_the_same_key_50_times_at_once(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        (root,) = await open_roots(db, fen=1_000, ledger=one)
        asked = [ledger.post(pay(root, 30, key="same")) for _ in range(25) for ledger in (one, two)]
        found = await outcomes(asked)
        assert found == [{"status": "captured", "left": 970}] * 50
        assert (await look(db, one, root)).principal_fen == 970
        assert await one.post(pay(root, 30, key="same")) == found[0]  # and for ever
    assert await count(db, TRANSFERS) == await count(db, OPERATIONS) == 1


async def test_the_same_key_of_a_card_that_does_not_exist(db: Database, clock: FixedClock) -> None:
    """Without a root there is no lock: the unique key alone decides."""
    async with running(db, clock) as one, running(db, clock) as two:
        asked = [ledger.post(pay(None, 5, key=f"k{n}")) for n in range(20) for ledger in (one, two)]
        assert statuses(await outcomes(asked)) == {"declined": 40}
    assert await count(db, "select count(*) from ledger.operation") == 20


@pytest.mark.parametrize("where", ["in flight", "across processes", "afterwards"])
async def test_the_same_key_on_another_card(db: Database, clock: FixedClock, where: str) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        first, second = await open_roots(db, 2, fen=100, ledger=one)
        a, b = pay(first, 10, key="k", mac=b"first"), pay(second, 10, key="k", mac=b"second")
        if where == "afterwards":
            found = [await one.post(a), *(await outcomes([two.post(b)]))]
        else:
            found = await outcomes([one.post(a), (one if where == "in flight" else two).post(b)])
        assert statuses(found) == {"captured": 1, KEY_REUSED.name: 1}
        left = [(await look(db, one, root)).principal_fen for root in (first, second)]
    assert sorted(left) == [90, 100]


async def test_the_same_key_with_another_body(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        (root,) = await open_roots(db, fen=100, ledger=one)
        asked = [
            ledger.post(pay(root, fen, key="k", mac=bytes([fen])))
            for fen in (10, 20)
            for ledger in (one, two)
        ]
        found = statuses(await outcomes(asked))
        assert found == {"captured": 2, KEY_REUSED.name: 2}
    assert await count(db, TRANSFERS) == 1


async def test_a_full_queue_says_so_at_once(db: Database, clock: FixedClock) -> None:
    async with running(db, clock, lanes=1, queue_max=8) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        asked = [ledger.post(pay(root, 1)) for _ in range(20)]
        assert sum(one.done() for one in asked) == 12
        assert statuses(await outcomes(asked)) == {"captured": 8, UNAVAILABLE.name: 12}
        assert (await look(db, ledger, root)).principal_fen == 92


async def test_a_ledger_that_does_not_run_says_so(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        pass
    assert statuses(await outcomes([ledger.post(pay(None, 1))])) == {UNAVAILABLE.name: 1}


async def test_stopping_finishes_what_is_in_flight(db: Database, clock: FixedClock) -> None:
    async with running(db, clock, lanes=1, batch_max=4) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        asked = [ledger.post(pay(root, 1)) for _ in range(6)]
        await asyncio.sleep(0)  # the lane takes four of them
    assert statuses(await outcomes(asked)) == {"captured": 4, UNAVAILABLE.name: 2}
    assert await count(db, TRANSFERS) == 4


# Bad items


async def explode(conn: Statements, rows: Sequence[Any]) -> None:
    """A row writer with a defect of ours."""
    raise ValueError(f"{len(rows)} rows")


async def violate(conn: Statements, rows: Sequence[Any]) -> None:
    """A row writer whose table refuses one of the rows."""
    await conn.execute("insert into public.note select unnest(%s::int[])", [text_array(rows)])


def writing(root: str, writer: Any, row: Any, **fields: Any) -> Any:
    """A payment of 10 fen that also writes a row."""

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        move = Move(Account.PRINCIPAL, Account.REDEEMED, 10, Purpose.PAYMENT, STORE)
        return Decision(
            result={"status": "captured"}, moves=(move,), rows=((writer, row),), **fields
        )

    return do(run, root)


def raising(root: str) -> Any:
    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        raise RuntimeError("a defect in a decision")

    return do(run, root)


POISONS = {
    "decision": raising,
    "writer": lambda root: writing(root, explode, 1),
    "constraint": lambda root: writing(root, violate, 13),
    "unique": lambda root: writing(root, violate, 7),
    "event": lambda root: writing(root, violate, 1, events=(Event("bad", object()),)),
    "NUL in a key": lambda root: replaced(pay(root, 10), key="a\0b"),
    "surrogate": lambda root: replaced(pay(root, 10), key="\ud800"),
    "dimensions": lambda root: replaced(pay(root, 10), dims=None),
}


@pytest.mark.parametrize("poison", POISONS)
async def test_a_bad_item_fails_alone(db: Database, clock: FixedClock, poison: str) -> None:
    async with db.transaction() as conn:
        await conn.execute("create table public.note (n int primary key check (n <> 13))")
        await conn.execute("insert into public.note values (7)")
    async with running(db, clock, lanes=1, retries_max=1) as ledger:
        (root,) = await open_roots(db, fen=1_000, ledger=ledger)
        for place in (0, 5, 11):
            batch = [pay(root, 10) for _ in range(12)]
            batch[place] = POISONS[poison](root)
            found = await outcomes([ledger.post(c) for c in batch])
            assert statuses(found) == {"captured": 11, INTERNAL.name: 1}
            assert isinstance(found[place], KabaoError)
        # What is left of the failed attempts must not be committed by a later one.
        assert statuses(await outcomes([ledger.post(pay(root, 10))])) == {"captured": 1}
        now = await look(db, ledger, root)
    assert (now.principal_fen, now.seq) == (660, 35)
    assert await count(db, TRANSFERS) == 34
    assert await count(db, "select count(*) from public.note") == 1


async def test_no_row_gets_into_the_log(
    db: Database, clock: FixedClock, stream: io.StringIO
) -> None:
    """PostgreSQL quotes the row that it refuses."""
    async with db.transaction() as conn:
        await conn.execute("create table public.note (n int primary key check (n <> 271828))")
    async with running(db, clock, lanes=1) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        found = await outcomes([ledger.post(writing(root, violate, 271828))])
        assert statuses(found) == {INTERNAL.name: 1}
    assert "ledger.item_failed" in stream.getvalue()
    assert "note_n_check" in stream.getvalue()
    assert "271828" not in stream.getvalue()


async def test_a_batch_of_nothing_but_bad_items(db: Database, clock: FixedClock) -> None:
    async with running(db, clock, lanes=1) as ledger:
        (root,) = await open_roots(db, fen=1_000, ledger=ledger)
        bad = [ledger.post(writing(root, explode, n)) for n in range(9)]
        assert statuses(await outcomes(bad)) == {INTERNAL.name: 9}
        assert (await look(db, ledger, root)).principal_fen == 1_000


# The journal's months


async def test_the_clock_jumps_over_months(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        roots = await open_roots(db, 20, fen=100, ledger=one)
        for days in (40, 31, 365):
            clock.advance(timedelta(days=days))
            asked = [ledger.post(pay(root, 1)) for ledger in (one, two) for root in roots]
            assert statuses(await outcomes(asked)) == {"captured": 40}
    months = "select count(distinct tableoid) from ledger.transfer"
    assert await count(db, months) == 4
    # Every index of the journal has its counterpart in every month.
    assert await count(
        db,
        "select count(distinct (n.indrelid, i.inhparent)) from pg_inherits i"
        " join pg_index n on n.indexrelid = i.inhrelid"
        " join pg_index p on p.indexrelid = i.inhparent"
        " where p.indrelid = 'ledger.transfer'::regclass and n.indisvalid",
    ) == 2 * await count(
        db, "select count(*) from pg_inherits where inhparent = 'ledger.transfer'::regclass"
    )


async def test_a_new_month_does_not_wait_for_a_long_reader(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger, db.transaction() as reader:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        await reader.execute("select count(*) from ledger.transfer")  # as a backup does
        clock.advance(timedelta(days=31))
        assert statuses(await outcomes([ledger.post(pay(root, 1))])) == {"captured": 1}


async def test_a_clock_behind_the_last_closed_day(db: Database, clock: FixedClock) -> None:
    """One process closes the last day of a month, the other's clock is late."""
    late = FixedClock(datetime(2026, 11, 30, 23, 59, 59, tzinfo=ZoneInfo("Asia/Shanghai")))
    clock.advance(timedelta(days=9))
    async with running(db, clock) as ahead, running(db, late) as behind:
        (root,) = await open_roots(db, fen=100, ledger=behind)
        async with db.transaction() as conn:
            await ahead.close_day(conn, date(2026, 11, 30))
        assert statuses(await outcomes([behind.post(pay(root, 1))])) == {"captured": 1}
        async with db.read() as conn:
            (last, *_) = await behind.transfers(conn, root)
    assert last.business_date.isoformat() == "2026-12-01"
