"""A process that reconciles one bill, to be killed: `python -m tests.reconciliation.process <url>`.

Whoever owns the orders writes each that it is told of to a table without a key.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kabao.base.clock import FixedClock
from kabao.base.db import Conn, Database
from kabao.reconciliation.model.lines import BILL_KNOWN, Line, SpoiltBillError

from .world import COMPANY, DAY, SUBJECT, Bench, Ours, line

LINES = 8_000
MISSING, EXTRA, WRONG = 401, 577, 733
"""Every so many lines one is left out, made up, or of another amount."""


def bill() -> Iterator[Line]:
    for n in range(1, LINES + 1):
        if n % MISSING:
            yield line(n, amount_fen=7) if n % WRONG == 0 else line(n)
    yield from (line(LINES + n) for n in range(1, LINES // EXTRA))


class Marking(Ours):
    """Marks what matched, once for each time it is told."""

    async def matched(self, conn: Conn, orders: Sequence[str]) -> None:
        await conn.execute(
            "update marked set times = times + 1 where our_no = any(%s)", [list(orders)]
        )


def bench(db: Database) -> Bench:
    made = Bench(db, FixedClock(datetime(2026, 11, 22, tzinfo=UTC)))
    made.ours = Marking(db)
    made.reconciliation.serve(made.ours)
    return made


async def reconcile(at: Bench) -> None:
    """What a worker does with a fetched bill."""
    try:
        ident = (await at.taken(bill())).id
    except SpoiltBillError as spoilt:
        if spoilt.code is not BILL_KNOWN:
            raise
        known = await at.reconciliation.of_day(at.ours.name, SUBJECT, DAY)
        assert known is not None and known.company == COMPANY
        ident = known.id
    await at.reconciliation.finish(ident)


async def main(url: str) -> None:
    db = Database(url)
    await db.open()
    print("begun", flush=True)  # noqa: T201 -- the parent waits for it
    await reconcile(bench(db))
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
