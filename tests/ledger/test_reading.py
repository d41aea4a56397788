"""Statements: what was, at any time, and what is left of which load."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.ledger.model import (
    Account,
    Balances,
    Decision,
    Hold,
    HoldState,
    Moment,
    Move,
    NewRoot,
    Purpose,
    Root,
    RootState,
)
from tests.ledger.make import IDS, ISSUER, PROGRAMME, do, load, look, open_roots, pay, running

A = Account


async def test_a_balance_at_any_past_moment(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, ledger=ledger)
        seen = [(clock.now_us() - 1, Balances())]
        for n in range(1, 20):
            await ledger.post(load(root, 100 * n, n) if n % 3 else pay(root, 50))
            now = await look(db, ledger, root)
            at = Balances(now.principal_fen, now.bonus_fen, now.held_fen)
            seen += [(clock.now_us(), at), (clock.now_us() + 999, at)]
            clock.advance(timedelta(days=7, microseconds=1_000))
        async with db.read() as conn:
            found = [(us, await ledger.balance_at(conn, root, us)) for us, _ in seen]
    assert found == seen


async def test_a_statement_in_pages(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        first, other = await open_roots(db, 2, fen=1_000, ledger=ledger)
        for n in range(1, 8):
            await ledger.post(pay(first, n))
            await ledger.post(pay(other, 100 + n))
            clock.advance(timedelta(days=11))
        async with db.read() as conn:
            pages = []
            before = None
            while page := await ledger.transfers(conn, first, before_seq=before, limit=3):
                pages.append([t.amount_fen for t in page])
                before = page[-1].seq
    assert pages == [[7, 6, 5], [4, 3, 2], [1, 1_000]]


async def test_moments_come_back_to_the_microsecond(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=1_000, ledger=ledger)
        for us in (1, 333_333, 999_999):
            clock.advance(timedelta(microseconds=us))
            occurred = clock.now_us() - 7
            command = pay(root, 1)
            dims = type(command.dims)(occurred_us=occurred)
            await ledger.post(pay(root, 1, dims=dims))
            async with db.read() as conn:
                (last,) = await ledger.transfers(conn, root, limit=1)
            assert (last.recorded_us, last.occurred_us) == (clock.now_us(), occurred)


async def test_holds_whose_time_is_over(db: Database, clock: FixedClock) -> None:
    def hold(ident: str, minutes: int, state: HoldState = HoldState.OPEN) -> Any:
        def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
            assert found is not None
            until = moment.us + minutes * 60_000_000
            return Decision(
                result={},
                moves=(Move(A.PRINCIPAL, A.PRINCIPAL_HELD, 10, Purpose.HOLD),),
                holds=(Hold(ident, found.id, state, 10, 0, until),),
            )

        return run

    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        ids = [IDS.new() for _ in range(4)]
        for ident, minutes in zip(ids, (30, 10, 20, 60), strict=True):
            await ledger.post(do(hold(ident, minutes), root))
        await ledger.post(do(hold(ids[2], 20, HoldState.RELEASED), root))
        clock.advance(timedelta(minutes=30))
        async with db.read() as conn:
            due = await ledger.expired_holds(conn, 10)
            known = await ledger.holds(conn, ids)
    assert [h.id for h in due] == [ids[1], ids[0]]
    assert known[ids[2]].state == HoldState.RELEASED and len(known) == 4


async def test_what_is_left_of_each_load(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, ledger=ledger)
        for fen in (100, 50):
            await ledger.post(load(root, fen, 5))
        await ledger.post(pay(root, 120))
        async with db.read() as conn:
            first = await ledger.lots(conn, root, "fifo")
            last = await ledger.lots(conn, root, "lifo")
    assert [(x.principal_fen, x.bonus_fen) for x in first.left] == [(0, 5), (30, 5)]
    assert [(x.principal_fen, x.bonus_fen) for x in last.left] == [(30, 5), (0, 5)]
    assert first.left[0].lot.lot.price_fen == 100


async def test_roots_are_opened_as_they_are_asked_for(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        new = NewRoot(IDS.new(), IDS.new(), PROGRAMME, ISSUER, "CNY", RootState.INACTIVE, None)
        async with db.transaction() as conn:
            await ledger.open_roots(conn, [new])
            locked = await ledger.lock(conn, [new.id, IDS.new()])
        now = await look(db, ledger, new.id)
    assert locked == {new.id: now}
    assert (now.card, now.programme, now.issuer) == (new.card, PROGRAMME, ISSUER)
    assert (now.state, now.seq, now.balance_fen, now.valid_until) == (0, 0, 0, None)
