"""The journal between house accounts: written once, one chain, counted in every balance."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from kabao.base.clock import BusinessDays, FixedClock, now
from kabao.base.db import Conn, Database, fetch_value
from kabao.base.errors import KabaoError
from kabao.ledger.digest import GENESIS, house_line
from kabao.ledger.model import DAY_CLOSED, Account, HouseMove, HouseTransfer, Purpose
from kabao.ledger.ops import Ledger
from tests.ledger.make import COMPANY, IDS, ISSUER, STORE, open_roots, pay, running

TODAY = date(2026, 11, 22)


def settle(fen: int, store: str = STORE, **fields: Any) -> HouseMove:
    """What a store is owed becomes payable."""
    given: dict[str, Any] = {
        "debit": Account.REDEEMED,
        "debit_owner": store,
        "credit": Account.PAYABLE,
        "credit_owner": store,
        "amount_fen": fen,
        "purpose": Purpose.SETTLE,
        "issuer": ISSUER,
    }
    return HouseMove(**(given | fields))


async def move(db: Database, ledger: Ledger, key: str, *moves: HouseMove) -> str:
    async with db.transaction() as conn:
        return await ledger.move_in(conn, moves, company=COMPANY, key=key)


async def payable(
    conn: Conn, ledger: Ledger, at_us: int | None = None, store: str = STORE
) -> tuple[int, int]:
    found = await ledger.house_balance(conn, Account.PAYABLE, store, "CNY", at_us)
    return found.debit_fen, found.credit_fen


async def test_a_key_moves_once_and_other_moves_are_refused(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock) as ledger:
        first = await move(db, ledger, "settle/1", settle(700), settle(300))
        assert await move(db, ledger, "settle/1", settle(700), settle(300)) == first
        with pytest.raises(KabaoError, match="Idempotency-Key"):
            await move(db, ledger, "settle/1", settle(700), settle(301))
        async with db.read() as conn:
            assert await payable(conn, ledger) == (0, 1000)
            made = await ledger.house_moved(conn, COMPANY, "settle/1")
            assert await ledger.house_moved(conn, COMPANY, "settle/2") == []
    assert [(t.no, t.amount_fen, t.op, t.business_date) for t in made] == [
        (1, 700, first, TODAY),
        (2, 300, first, TODAY),
    ]


async def test_writers_at_once_make_one_chain(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        keys = [f"settle/{n % 8}" for n in range(16)]
        await asyncio.gather(*(move(db, ledger, key, settle(1), settle(2)) for key in keys))
    async with db.read() as conn:
        rows = await (
            await conn.execute(
                "select no, op, debit, debit_owner, credit, credit_owner, amount_fen, currency,"
                " purpose, issuer, channel, related, for_date,"
                " (extract(epoch from recorded_at) * 1000000)::bigint, business_date, digest"
                " from ledger.house_transfer order by no"
            )
        ).fetchall()
    assert [row[0] for row in rows] == list(range(1, 17))
    previous = GENESIS
    for *fields, digest in rows:
        text = house_line(HouseTransfer(*fields))
        previous = hashlib.sha256(previous + text.encode()).digest()
        assert digest == previous


async def test_what_was_moved_stays(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        await move(db, ledger, "settle/1", settle(700))
    for statement in (
        "update ledger.house_transfer set amount_fen = 1",
        "delete from ledger.house_transfer",
        "truncate ledger.house_transfer",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with db.transaction() as conn:
                await conn.execute(statement)


async def test_balances_count_both_journals_before_and_after_a_day_is_closed(
    db: Database, clock: FixedClock
) -> None:
    async def redeemed(at_us: int | None = None) -> tuple[int, int]:
        async with db.read() as conn:
            found = await ledger.house_balance(conn, Account.REDEEMED, STORE, "CNY", at_us)
        return found.debit_fen, found.credit_fen

    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=5_000, ledger=ledger)
        await ledger.post(pay(root, 1_200))
        before_us = clock.now_us()
        clock.advance(timedelta(minutes=1))
        await move(db, ledger, "settle/1", settle(1_000))
        assert await redeemed() == (1_000, 1_200)
        clock.advance(timedelta(days=1))
        async with db.transaction() as conn:
            await ledger.close_day(conn, TODAY)
        assert await redeemed() == (1_000, 1_200)
        assert await redeemed(before_us) == (0, 1_200)
        await move(db, ledger, "settle/2", settle(150, for_date=TODAY))
        assert await redeemed() == (1_150, 1_200)
        async with db.read() as conn:
            (late,) = await ledger.house_moved(conn, COMPANY, "settle/2")
            kept = await fetch_value(
                conn, "select debit_fen from ledger.checkpoint where account = 11 and owner = %s",
                [STORE],
            )  # fmt: skip
    assert (late.business_date, late.for_date) == (TODAY + timedelta(days=1), TODAY)
    assert kept == 1_000


async def test_a_slow_clock_moves_in_the_day_that_is_open(db: Database, clock: FixedClock) -> None:
    slow = FixedClock(now(clock))
    async with running(db, clock) as ledger:
        await move(db, ledger, "settle/1", settle(1_000))
        clock.advance(timedelta(days=1))
        async with db.transaction() as conn:
            await ledger.close_day(conn, TODAY)
        await move(db, Ledger(db, slow, BusinessDays()), "settle/2", settle(5))
        async with db.read() as conn:
            (late,) = await ledger.house_moved(conn, COMPANY, "settle/2")
        assert late.business_date == TODAY + timedelta(days=1)
        with pytest.raises(KabaoError) as refused:
            async with db.transaction() as conn:
                await ledger.close_day(conn, TODAY)
        assert refused.value.code == DAY_CLOSED


async def test_closing_waits_for_a_move_that_is_under_way(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        await move(db, ledger, "settle/1", settle(1_000))
        async with db.transaction() as conn:
            await ledger.move_in(conn, [settle(5)], company=COMPANY, key="settle/2")
            clock.advance(timedelta(days=1))

            async def close() -> None:
                async with db.transaction() as own:
                    await ledger.close_day(own, TODAY)

            closing = asyncio.create_task(close())
            await asyncio.wait([closing], timeout=0.6)
            assert not closing.done()
        await closing
        async with db.read() as conn:
            kept = await fetch_value(
                conn, "select credit_fen from ledger.checkpoint where account = 22"
            )
    assert kept == 1_005


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_fen": 0},
        {"credit": Account.PRINCIPAL},
        {"credit": Account.REDEEMED},
    ],
)
def test_a_move_has_two_accounts_of_the_house(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        settle(wrong.pop("amount_fen", 5), IDS.new(), **wrong)


async def test_an_operation_of_nothing_is_refused(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        with pytest.raises(KabaoError, match="one transfer or more"):
            await move(db, ledger, "settle/1")
