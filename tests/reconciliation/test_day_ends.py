"""UnionPay's day ends at 23:00: what comes later stands in the next day's bill, and is no break."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_all
from kabao.funding.model.life import State
from tests.funding.world import World, world

HOUR = timedelta(hours=1)


async def lines(at: World) -> list[tuple[object, ...]]:
    async with at.db.read() as conn:
        rows = await fetch_all(
            conn, dict, "select day, state, lines, differences from funding.bill order by day"
        )
    return [(row["day"].day, row["state"], row["lines"], row["differences"]) for row in rows]


@pytest.mark.parametrize(
    ("after", "of_the_day"),
    [(13 * HOUR - timedelta(seconds=1), 2), (13 * HOUR, 1), (13 * HOUR + HOUR / 2, 1)],
    ids=["22:59:59", "23:00:00", "23:30:00"],
)
async def test_what_is_paid_late_is_in_the_next_bill(
    after: timedelta, of_the_day: int, db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    """It is 10:00 when the test begins."""
    async with world(db, clock, tmp_path, ["unionpay"]) as at:
        begun = []
        for wait in (timedelta(0), after):
            at.clock.advance(wait)
            begun.append((await at.begun()).collection)
            assert at.pays(begun[-1], "unionpay")
            await at.told()
        at.clock.advance(timedelta(days=2) - after)
        await at.match_bills()
        day = (await lines(at))[0][0]
        assert isinstance(day, int)
        bills = [(day, "matched", of_the_day, 0)]
        if of_the_day == 1:
            bills.append((day + 1, "matched", 1, 0))
        assert [one for one in await lines(at) if one[1] == "matched" and one[2]] == bills
        assert {(await at.now(one)).state for one in begun} == {State.RECONCILED}
        assert await at.cases() == []
