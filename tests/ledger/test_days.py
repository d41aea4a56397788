"""Closing a business day is a fence; house accounts are summed over checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

import msgspec
import pytest

from kabao.base.clock import BusinessDays, FixedClock, from_us, now, to_us
from kabao.base.db import Conn, Database, Statements, fetch_value
from kabao.base.errors import KabaoError
from kabao.ledger.model import (
    DAY_CLOSED,
    DAY_NOT_OVER,
    Account,
    Decision,
    HouseBalance,
    Moment,
    Root,
)
from kabao.ledger.ops import Ledger
from tests.ledger.make import (
    ISSUER,
    STORE,
    WAITS_FOR_A_LOCK,
    load,
    look,
    open_roots,
    pay,
    replaced,
    running,
    until,
)

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)


async def close(db: Database, ledger: Ledger, day: date) -> int:
    async with db.transaction() as conn:
        return await ledger.close_day(conn, day)


async def house(
    db: Database, ledger: Ledger, account: Account, at: datetime | None = None
) -> tuple[int, int]:
    """Debits and credits of the store's or the issuer's account."""
    owner = ISSUER if account == Account.BONUS_COST else STORE
    async with db.read() as conn:
        found: HouseBalance = await ledger.house_balance(
            conn, account, owner, "CNY", to_us(at) if at else None
        )
    return found.debit_fen, found.credit_fen


async def fetch_columns(conn: Conn, sql: LiteralString, params: Any = None) -> Any:
    """The first row."""
    return await (await conn.execute(sql, params)).fetchone()


async def raw(db: Database, account: Account) -> tuple[int, int]:
    """The same, from all transfers and nothing else."""
    async with db.read() as conn:
        row = await (
            await conn.execute(
                "select coalesce(sum(amount_fen) filter (where debit = %(a)s), 0)::bigint,"
                " coalesce(sum(amount_fen) filter (where credit = %(a)s), 0)::bigint"
                " from ledger.transfer",
                {"a": int(account)},
            )
        ).fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_day_closes_once_in_order_and_when_it_is_over(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        with pytest.raises(KabaoError) as refused:
            await close(db, ledger, TODAY)
        assert refused.value.code is DAY_NOT_OVER
        clock.advance(3 * DAY)
        await ledger.post(pay(root, 1))
        assert await close(db, ledger, TODAY + DAY) == 0  # and the day before with it
        for again in (TODAY, TODAY + DAY):
            with pytest.raises(KabaoError) as refused:
                await close(db, ledger, again)
            assert refused.value.code is DAY_CLOSED
    async with db.read() as conn:
        closed = "select array_agg(transfers order by business_date) from ledger.closed_day"
        assert await fetch_value(conn, closed) == [1, 0]


async def test_what_comes_after_the_closing_belongs_to_the_next_day(
    db: Database, clock: FixedClock
) -> None:
    """Also when a clock is late or goes back over midnight."""
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        clock.advance(DAY)
        await close(db, ledger, TODAY)
        clock.advance(-DAY)
        await ledger.post(pay(root, 1))
        async with db.transaction() as conn:
            await ledger.post_in(conn, [pay(root, 1)])
            days = {t.business_date for t in (await ledger.transfers(conn, root))[:2]}
    assert days == {TODAY + DAY}


async def linger(conn: Statements, rows: Sequence[int]) -> None:
    """A row writer that keeps its batch open for a while."""
    await conn.execute("select pg_sleep(0.005)")


def slow(root: str) -> Any:
    """A payment that takes its time between its decision and its commit."""
    quick = pay(root, 1)

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        return msgspec.structs.replace(quick.run(found, moment, loaded), rows=((linger, 1),))

    return replaced(quick, run=run)


async def test_closing_races_batches(db: Database, clock: FixedClock) -> None:
    """Two processes post while one closes day after day: whatever is recorded in
    a day is in its count and its checkpoints.
    """
    async with running(db, clock) as one, running(db, clock) as two:
        roots = await open_roots(db, 6, fen=10_000, ledger=one)
        done = asyncio.Event()

        async def trade(n: int) -> int:
            paid = 0
            while not done.is_set():
                await (one, two)[n % 2].post(slow(roots[n % 6]))
                paid += 1
            return paid

        async def close_days() -> int:
            for n in range(25):
                await one.post(slow(roots[0]))
                clock.advance(DAY)
                await close(db, one, TODAY + n * DAY)
            done.set()
            return 25

        total = sum(await asyncio.gather(*map(trade, range(12)), close_days()))
        left = [(await look(db, one, root)).principal_fen for root in roots]
        assert sum(left) == 60_000 - total
        assert await house(db, one, Account.REDEEMED) == (0, total)
    async with db.read() as conn:
        wrong = await fetch_value(
            conn,
            """
            select count(*) from ledger.closed_day d where d.transfers <>
              (select count(*) from ledger.transfer t where t.business_date = d.business_date)
            """,
        )
        assert wrong == 0


async def test_payments_go_on_while_a_day_is_summed(db: Database, clock: FixedClock) -> None:
    """Also those of a late clock, into the very day that is being closed."""
    late = FixedClock(now(clock))
    async with running(db, clock) as ledger, running(db, late) as behind:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        clock.advance(2 * DAY)
        async with db.transaction() as conn:
            # Whoever keeps the sums waits for this one, as if there were a lot to sum.
            await conn.execute("lock table ledger.checkpoint in exclusive mode")
            closing = asyncio.create_task(close(db, ledger, TODAY + DAY))
            await until(db, WAITS_FOR_A_LOCK)
            began = asyncio.get_running_loop().time()
            for fen, lane in enumerate((ledger, behind, behind, ledger), 1):
                assert (await lane.post(pay(root, fen)))["status"] == "captured"
            async with db.transaction() as cold:
                await behind.post_in(cold, [pay(root, 10)])
            assert asyncio.get_running_loop().time() - began < 1
            assert not closing.done()
        assert await closing == 0
        await behind.post(pay(root, 20))
        assert await house(db, ledger, Account.REDEEMED) == (0, 40)
    async with db.read() as conn:
        (days,) = await fetch_columns(
            conn, "select array_agg(transfers order by business_date) from ledger.closed_day"
        )
        kept = await fetch_columns(
            conn,
            "select debit_fen::bigint, credit_fen::bigint from ledger.checkpoint"
            " where business_date = %s and account = %s",
            [TODAY, int(Account.REDEEMED)],
        )
    assert days == [4, 0]  # the load, two payments of the late clock, a cold one
    assert kept == (0, 2 + 3 + 10)


async def test_closing_lets_batches_through_while_one_is_slow(
    db: Database, clock: FixedClock
) -> None:
    """Who waits for the fence holds up everybody behind: so it waits in short turns."""
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 2, fen=100, ledger=ledger)
        clock.advance(DAY)
        async with db.transaction() as cold:
            await ledger.post_in(cold, [pay(roots[0], 1)])
            closing = asyncio.create_task(close(db, ledger, TODAY))
            await until(db, WAITS_FOR_A_LOCK)
            for _ in range(3):
                began = asyncio.get_running_loop().time()
                assert (await ledger.post(pay(roots[1], 1)))["status"] == "captured"
                assert asyncio.get_running_loop().time() - began < 1
                await asyncio.sleep(0.1)
            assert not closing.done()
        assert await closing == 2


async def test_two_close_the_same_day(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        await open_roots(db, 3, fen=100, ledger=one)
        clock.advance(DAY)
        found = await asyncio.gather(
            close(db, one, TODAY), close(db, two, TODAY), return_exceptions=True
        )
    refused = [each.code for each in found if isinstance(each, KabaoError)]
    assert refused == [DAY_CLOSED]
    assert 3 in found


async def test_house_accounts_over_checkpoints_are_the_raw_sums(
    db: Database, clock: FixedClock
) -> None:
    accounts = (Account.CASH, Account.REDEEMED, Account.BONUS_COST, Account.TRANSIT)
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 3, ledger=ledger)
        moments: list[tuple[datetime, list[tuple[int, int]]]] = []
        for n in range(6):
            for root in roots:
                await ledger.post(load(root, 100 + n, 10 + n))
                await ledger.post(pay(root, 30))
            here = now(clock)
            moments.append((here, [await raw(db, a) for a in accounts]))
            clock.advance(DAY)
            if n in {1, 2, 4}:
                await close(db, ledger, TODAY + n * DAY)
            assert [await house(db, ledger, a) for a in accounts] == moments[-1][1]
        for at, expected in moments:
            assert [await house(db, ledger, a, at) for a in accounts] == expected
        early = from_us(0)
        assert [await house(db, ledger, a, early) for a in accounts] == [(0, 0)] * 4


async def test_what_moved_on_a_house_account_on_a_day(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        for fen in (1, 2):
            await ledger.post(pay(root, fen))
        clock.advance(DAY)
        await ledger.post(pay(root, 3))
        async with db.read() as conn:

            async def of(day: date, account: Account = Account.REDEEMED) -> list[int]:
                found = await ledger.house_transfers(conn, account, STORE, day)
                return [t.amount_fen for t in found]

            assert await of(TODAY) == [1, 2]
            assert await of(TODAY + DAY) == [3]
            assert await of(TODAY, Account.CASH) == [100]


async def test_a_cut_off_in_the_night(db: Database, clock: FixedClock) -> None:
    """Sales until three in the morning belong to the day before."""
    days = BusinessDays(cutoff=timedelta(hours=3))
    async with running(db, clock, days=days) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        clock.advance(timedelta(hours=16, minutes=59))  # 02:59
        await ledger.post(pay(root, 1))
        clock.advance(timedelta(minutes=1))
        await ledger.post(pay(root, 1))
        async with db.read() as conn:
            found = await ledger.transfers(conn, root, limit=2)
    assert [t.business_date for t in found] == [TODAY + DAY, TODAY]
