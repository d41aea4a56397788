"""Cards over their limit: noted after a reversal, broken after anything else (ruling 19)."""

from __future__ import annotations

from typing import Any

import pytest

from kabao.audit.model import Line
from kabao.audit.ops import audit
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from tests.audit.make import Town, town

LIMIT = 10_000


async def limits_line(there: Town, **limits: int) -> Line:
    report = await audit(there.db.url, limits=limits or {"registered": LIMIT})
    assert all(line.holds for line in report.lines if "holds more" not in line.text)
    (found,) = [line for line in report.lines if "holds more than it may" in line.text]
    return found


async def undone_over_the_limit(there: Town, verb: str) -> None:
    """Paid, filled up again, and then the payment is undone."""
    till, root = there.tills[0], await there.root(0)
    await there.load(0, LIMIT)
    paid = await there.one(till.pay(root, 3_000))
    await there.load(0, 3_000)
    await there.one(getattr(till, verb)(paid))


@pytest.mark.parametrize("verb", ["void", "reverse"])
async def test_by_a_reversal(db: Database, clock: FixedClock, verb: str) -> None:
    async with town(db, clock, cards=2) as there:
        await undone_over_the_limit(there, verb)
        line = await limits_line(there)
        assert line.holds and line.noted_count == 1
        said = f"root {there.cards[0]}: holds 13000 fen of at most 10000 after a reversal"
        assert line.noted[0].startswith(said)


async def test_by_a_load_on_top_of_it(db: Database, clock: FixedClock) -> None:
    async with town(db, clock, cards=2) as there:
        await undone_over_the_limit(there, "void")
        topup: Any = await there.load(0, 1)
        line = await limits_line(there)
        assert line.breaches == (
            f"root {there.cards[0]}, op {topup.id}: holds 13001 fen of at most 10000",
        )


async def test_what_was_over_once_and_is_not_now(db: Database, clock: FixedClock) -> None:
    async with town(db, clock, cards=2) as there:
        await there.load(0, LIMIT + 1)
        assert not (await limits_line(there)).holds
        await there.one(there.tills[0].pay(await there.root(0), 1))
        assert (await limits_line(there)).holds
        # From there, over again by a void: no longer by the load.
        paid = await there.one(there.tills[0].pay(await there.root(0), 500))
        await there.load(0, 500)
        await there.one(there.tills[0].void(paid))
        line = await limits_line(there)
        assert line.holds and line.noted_count == 1


async def test_what_is_held_counts(db: Database, clock: FixedClock) -> None:
    async with town(db, clock, cards=2) as there:
        await there.load(0, LIMIT)
        await there.one(there.tills[0].pay(await there.root(0), 5_000, hold=True))
        assert (await limits_line(there)).holds
        await there.load(0, 1)
        assert not (await limits_line(there)).holds


async def test_a_refund_to_suspense_never_counts(db: Database, clock: FixedClock) -> None:
    """It touches the card on its way, within one operation."""
    async with town(db, clock, cards=2) as there:
        till = there.tills[0]
        await there.load(0, 499_000)
        paid = await there.one(till.pay(await there.root(0), 90_000))
        await there.load(0, 90_000)
        back = await there.one(till.refund(paid, None))
        assert back.refund.destination == "suspense"
        assert (await limits_line(there, registered=499_000)).holds


async def test_a_programme_with_a_tighter_limit(db: Database, clock: FixedClock) -> None:
    async with town(db, clock, cards=2) as there:
        await there.load(0, LIMIT)
        assert (await limits_line(there)).holds
        assert not (await limits_line(there, registered=LIMIT, **{there.programme: 9_999})).holds
        assert (await limits_line(there, bearer=1)).holds


async def test_without_limits_nothing_is_judged(db: Database, clock: FixedClock) -> None:
    async with town(db, clock, cards=1) as there:
        report = await audit(there.db.url)
    assert not [line for line in report.lines if "more than it may" in line.text]
