"""Posting in the caller's transaction: all of it or nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Conn, Database, fetch_value, sent
from kabao.base.errors import KabaoError
from kabao.ledger.model import (
    LIMIT_OF_BATCH,
    STALE_ROOT,
    Account,
    Act,
    Decision,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
)
from kabao.ledger.ops import ROOTS_MAX, Ledger
from kabao.ledger.store import borrow_chain, decide, lock, store
from tests.ledger.make import (
    COMPANY,
    IDS,
    ISSUER,
    STORE,
    do,
    load,
    look,
    open_roots,
    pay,
    running,
)

A = Account


def transfer(source: str, target: str, fen: int) -> list[Act]:
    """Card to card: two linked commands through the issuer's transit account."""
    out = IDS.new()

    def give(found: Root | None, moment: Moment) -> Decision:
        if found is None or found.principal_fen < fen:
            raise STALE_ROOT.error()
        move = Move(A.PRINCIPAL, A.TRANSIT, fen, Purpose.TRANSFER, ISSUER)
        return Decision(result={}, moves=(move,))

    def take(found: Root | None, moment: Moment) -> Decision:
        if found is None:
            raise STALE_ROOT.error()
        move = Move(A.TRANSIT, A.PRINCIPAL, fen, Purpose.TRANSFER, ISSUER, out)
        lot = Lot(fen, 0, fen, moment.day, STORE, COMPANY, "transfer")
        return Decision(result={}, moves=(move,), lot=lot)

    return [
        Act(company=COMPANY, operation=out, root=source, run=give),
        Act(company=COMPANY, operation=IDS.new(), root=target, run=take),
    ]


async def transit(conn: Conn, ledger: Ledger) -> int:
    found = await ledger.house_balance(conn, A.TRANSIT, ISSUER, "CNY")
    return found.credit_fen - found.debit_fen


async def test_linked_transfers_happen_together(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        first, second = await open_roots(db, 2, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.post_in(conn, transfer(first, second, 30))
            assert await transit(conn, ledger) == 0
        left = [(await look(db, ledger, r)).principal_fen for r in (first, second)]
    assert left == [70, 130]


@pytest.mark.parametrize("target", ["missing", "short", "caller"])
async def test_or_not_at_all(db: Database, clock: FixedClock, target: str) -> None:
    async with running(db, clock) as ledger:
        first, second = await open_roots(db, 2, fen=100, ledger=ledger)
        acts = {
            "missing": lambda: transfer(first, IDS.new(), 30),
            "short": lambda: [*transfer(first, second, 80), *transfer(first, second, 30)],
            "caller": lambda: transfer(first, second, 30),
        }[target]()

        async def attempt() -> None:
            async with db.transaction() as conn:
                await ledger.post_in(conn, acts)
                raise STALE_ROOT.error()

        with pytest.raises(KabaoError) as refused:
            await attempt()
        assert refused.value.code is STALE_ROOT
        for root in (first, second):
            now = await look(db, ledger, root)
            assert (now.principal_fen, now.seq) == (100, 1)
        async with db.read() as conn:
            assert await fetch_value(conn, "select count(*) from ledger.operation") == 2
            assert await fetch_value(conn, "select sum(last_no) from ledger.writer") == 1


async def test_a_defect_of_a_decision_leaves(db: Database, clock: FixedClock) -> None:
    def run(found: Root | None, moment: Moment) -> Decision:
        raise ZeroDivisionError

    async with running(db, clock) as ledger:
        act = Act(company=COMPANY, operation=IDS.new(), root=None, run=run)
        async with db.transaction() as conn:
            with pytest.raises(ZeroDivisionError):
                await ledger.post_in(conn, [act])


async def test_too_many_roots(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger, db.transaction() as conn:
        commands = [pay(None, 1) for _ in range(ROOTS_MAX + 1)]
        with pytest.raises(KabaoError) as refused:
            await ledger.post_in(conn, commands)
    assert refused.value.code is LIMIT_OF_BATCH


async def test_several_postings_in_one_transaction(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.post_in(conn, [load(root, 100)])
            for _ in range(3):
                await ledger.post_in(conn, [pay(root, 10)])
        now = await look(db, ledger, root)
        assert (now.principal_fen, now.seq) == (70, 4)


async def test_card_to_card_in_a_circle_neither_hangs_nor_loses(
    db: Database, clock: FixedClock
) -> None:
    """Cold transfers both ways, with payments in between: locks go in id order."""
    async with running(db, clock) as one, running(db, clock) as two:
        roots = await open_roots(db, 3, fen=1_000, ledger=one)

        async def send(n: int) -> None:
            source, target = roots[n % 3], roots[(n + 1 + n // 3 % 2) % 3]
            async with db.transaction() as conn:
                await (one, two)[n % 2].post_in(conn, transfer(source, target, 10))

        async def spend(n: int) -> None:
            assert (await two.post(pay(roots[n % 3], 1)))["status"] == "captured"

        await asyncio.gather(*map(send, range(30)), *map(spend, range(30)))
        left = [(await look(db, one, root)).principal_fen for root in roots]
        async with db.read() as conn:
            assert await transit(conn, one) == 0
    assert sum(left) == 3_000 - 30


async def test_transactions_at_once_have_writers_of_their_own(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 3, fen=100, ledger=ledger)

        async def both(hold: asyncio.Barrier, root: str) -> None:
            async with db.transaction() as conn:
                await ledger.post_in(conn, [pay(root, 1)])
                await hold.wait()

        for _ in range(3):
            barrier = asyncio.Barrier(3)
            await asyncio.gather(*(both(barrier, root) for root in roots))
        async with db.read() as conn:
            shared = "select array_agg(last_no order by id) from ledger.writer where shared"
            found = await fetch_value(conn, shared)
    assert sorted(found) == [3, 3, 4]  # the same three, again and again


async def test_a_new_month_is_there_for_all_who_ask_at_once(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock) as one, running(db, clock) as two, running(db, clock) as three:
        roots = await open_roots(db, 3, fen=100, ledger=one)
        clock.advance(timedelta(days=31))

        async def post(ledger: Ledger, root: str) -> None:
            async with db.transaction() as conn:
                await ledger.post_in(conn, [pay(root, 1)])

        await asyncio.gather(*(post(x, r) for x, r in zip((one, two, three), roots, strict=True)))


async def test_a_cold_posting_repeats_its_answer(db: Database, clock: FixedClock) -> None:
    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        return Decision(result={"at": moment.us})

    async with running(db, clock) as ledger:
        command = do(run, None, key="k")
        answers = []
        for _ in range(2):
            clock.advance(timedelta(seconds=1))
            async with db.transaction() as conn:
                answers += await ledger.post_in(conn, [command])
    assert answers[0] == answers[1]


async def test_a_root_that_does_not_stand_where_it_was_locked_ends_the_transaction(
    db: Database, clock: FixedClock
) -> None:
    """It cannot happen, since a locked row stays; if it did, nothing may be lost silently."""
    async with running(db, clock) as ledger:
        here, elsewhere = await open_roots(db, 2, fen=1_000, ledger=ledger)
        commands = [pay(here, 100)]

        async def misplaced() -> None:
            async with db.transaction() as conn:
                played, locked = await decide(conn, commands, clock, BusinessDays())
                other = await lock(conn, sent, [pay(elsewhere, 100)], clock, BusinessDays())
                locked.places[here] = other.places[elsewhere]
                await store(conn, played, locked, await borrow_chain(conn))

        with pytest.raises(psycopg.errors.DivisionByZero):
            await misplaced()
        assert (await look(db, ledger, here)).principal_fen == 1_000
        assert (await look(db, ledger, elsewhere)).principal_fen == 1_000
