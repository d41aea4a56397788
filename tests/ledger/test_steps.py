"""Steps of payments: what each operation made of a payment, whatever window it is in."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random  # noqa: TID251 -- seeded by the test
from typing import Any

import pytest

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Database
from kabao.ledger.model import Account, Cut, Decision, Moment, Move, PaymentStep, Purpose, Root
from kabao.ledger.ops import Ledger
from tests.ledger.make import ISSUER, STORE, do, open_roots, running

Key = tuple[int, int]


async def move(
    ledger: Ledger, root: str, payment: str | None, fen: int, given_back: Purpose = Purpose.REFUND
) -> str:
    """Pay, capture or (below zero) give back so much of a payment; its operation's id."""

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        del found, moment, loaded
        sides = (Account.PRINCIPAL, Account.REDEEMED)
        debit, credit = sides if fen > 0 else sides[::-1]
        purpose = Purpose.PAYMENT if fen > 0 else given_back
        # Two transfers of one operation, as when paid and given value are both spent.
        parts = (abs(fen) - 1, 1) if abs(fen) > 1 else (abs(fen),)
        moves = tuple(Move(debit, credit, part, purpose, STORE, payment) for part in parts)
        return Decision(result={}, moves=moves)

    command = do(run, root)
    await ledger.post(command)
    return command.operation


async def cut(db: Database, ledger: Ledger, clock: FixedClock) -> Cut:
    clock.advance(timedelta(seconds=1))
    async with db.transaction() as conn:
        return await ledger.cut(conn, clock.now_us())


@pytest.mark.parametrize("seed", range(4))
async def test_every_operation_is_one_step_of_its_payment(
    db: Database, clock: FixedClock, seed: int
) -> None:
    chance = Random(seed)
    expected: list[Counter[Key]] = []
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 3, fen=1_000_000, ledger=ledger)
        known: dict[str, tuple[str, int]] = {}
        edges: list[Cut | None] = [await cut(db, ledger, clock)]
        for _ in range(4):
            steps: Counter[Key] = Counter()
            for _ in range(15):
                clock.advance(timedelta(minutes=chance.randrange(1, 300)))
                if known and chance.random() < 0.6:
                    payment, (root, left) = chance.choice(sorted(known.items()))
                    fen = chance.choice([-left, -(left // 2), 70]) or 70
                    await move(ledger, root, payment, fen)
                else:
                    root, left, fen = chance.choice(roots), 0, chance.randrange(1, 500)
                    payment = await move(ledger, root, None, fen)
                known[payment] = (root, left + fen)
                steps[left, left + fen] += 1
            expected.append(steps)
            edges.append(await cut(db, ledger, clock))
        async with db.read() as conn:
            for (after, upto), steps in zip(pairwise(edges), expected, strict=True):
                assert upto is not None
                found = await ledger.payment_steps(conn, after, upto)
                assert found == sorted(found)
                assert sums(found) == steps


def sums(found: list[PaymentStep]) -> Counter[Key]:
    steps: Counter[Key] = Counter()
    for step in found:
        assert (step.issuer, step.store, step.currency) == (ISSUER, STORE, "CNY")
        steps[step.before_fen, step.after_fen] += step.count
    return steps


async def test_a_step_is_of_the_day_its_payment_was_paid(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        [root] = await open_roots(db, 1, fen=10_000, ledger=ledger)
        first = await cut(db, ledger, clock)
        payment = await move(ledger, root, None, 900)
        paid_on = BusinessDays().of(clock.now_us())
        between = await cut(db, ledger, clock)
        clock.advance(timedelta(days=3))
        await move(ledger, root, payment, -400)
        last = await cut(db, ledger, clock)
        async with db.read() as conn:
            [paid] = await ledger.payment_steps(conn, first, between)
            [back] = await ledger.payment_steps(conn, between, last)
    assert (paid.paid_on, back.paid_on) == (paid_on, paid_on)
    assert (back.before_fen, back.after_fen, back.count) == (900, 500, 1)


@pytest.mark.parametrize("how", [Purpose.REFUND, Purpose.VOID, Purpose.REVERSAL])
async def test_a_step_tells_what_never_was(db: Database, clock: FixedClock, how: Purpose) -> None:
    async with running(db, clock) as ledger:
        [root] = await open_roots(db, 1, fen=10_000, ledger=ledger)
        first = await cut(db, ledger, clock)
        payment = await move(ledger, root, None, 900)
        await move(ledger, root, payment, -900, how)
        last = await cut(db, ledger, clock)
        async with db.read() as conn:
            steps = await ledger.payment_steps(conn, first, last)
    assert [(s.before_fen, s.after_fen, s.undone) for s in steps] == [
        (0, 900, False),
        (900, 0, how is not Purpose.REFUND),
    ]
