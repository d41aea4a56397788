"""`kill -9` anywhere in a reconciliation: one result, as if nothing had happened (F-17)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from random import Random  # noqa: TID251 -- seeded: a run can be repeated

import pytest

from kabao.base.db import Database, fetch_value
from kabao.reconciliation.model.runs import RunState

from .process import bench, bill, reconcile
from .world import COMPANY, DAY, SUBJECT, Bench

WHOLE_S = 1.2
"""About as long as it all takes."""


async def killed(url: str, after_s: float) -> None:
    """Begin, and end it in the middle, or let it come to its end before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.reconciliation.process", url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), after_s)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def opened(db: Database) -> Bench:
    at = bench(db)
    await at.ours.open()
    await at.ours.has(bill())
    async with db.transaction() as conn:
        await conn.execute("delete from ours where amount_fen > 9800 or amount_fen = 7")
        await conn.execute("create table marked as select our_no, 0 as times from ours")
    return at


@pytest.mark.parametrize("count", [3, pytest.param(30, marks=pytest.mark.proof)])
async def test_whenever_it_is_killed_there_is_one_result(db: Database, count: int) -> None:
    at = await opened(db)
    wanted = await at.reconciliation.try_out("channel", SUBJECT, COMPANY, DAY, bill())
    assert wanted.run.breaks > 0
    chance = Random(count)
    for n in range(count):
        await killed(db.url, WHOLE_S * (n + chance.random()) / count)
    await reconcile(at)
    run = await at.reconciliation.of_day("channel", SUBJECT, DAY)
    assert run is not None and run.state is RunState.FINISHED
    assert run.result_digest == wanted.run.result_digest
    async with db.read() as conn:
        assert await fetch_value(conn, "select count(*) from reconciliation.run") == 1
        assert await fetch_value(conn, "select count(*) from reconciliation.line") == run.lines
        assert await fetch_value(conn, "select count(*) from reconciliation.break") == run.breaks
        unmarked = "select count(*) from marked where times = 0"
        assert await fetch_value(conn, unmarked) < run.breaks
        cases = "select count(*) - count(distinct (kind, key)) from cases.case"
        assert await fetch_value(conn, cases) == 0
