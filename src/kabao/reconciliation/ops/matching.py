"""A run: its lines are taken, then matched with our books. Two transactions, nothing between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.lines import BILL_KNOWN, Line, SpoiltBillError
from kabao.reconciliation.model.rounds import Round, Shape
from kabao.reconciliation.model.runs import Run, RunState, entry, head
from kabao.reconciliation.ports import Source
from kabao.reconciliation.sql import breaks as breaks_sql
from kabao.reconciliation.sql import classing, matching
from kabao.reconciliation.sql import runs as sql

PAGE = 2_000
REPLACED = "another bill of the day came"


class Matching:
    """Takes bills and matches them. Every verb is inside the caller's transaction."""

    def __init__(self, rounds: Mapping[str, Sequence[Round]], ids: Ids, clock: Clock) -> None:
        self._rounds, self._ids, self._clock = rounds, ids, clock

    async def take(self, conn: Conn, asked: Run, lines: Iterable[Line]) -> Run:
        """Copy lines in, as a run that stands instead of any earlier one of that day.

        Raises what the reader raises, and `bill_known_already` for lines that were taken
        before: whoever catches it gives up the transaction.
        """
        count = await sql.copy_lines(conn, asked.id, lines)
        taken = await sql.lines_digest(conn, asked.id)
        before = await sql.taken_before(conn, asked.source, asked.subject, taken)
        if before is not None:
            raise SpoiltBillError(f"it was taken as the bill of {before}", None, BILL_KNOWN)
        now_us = self._clock.now_us()
        former = await sql.of_day(conn, asked.source, asked.subject, asked.day)
        if former is not None:
            await sql.set_state(conn, former.id, RunState.REPLACED)
            await breaks_sql.close_all(conn, former.id, REPLACED, now_us)
        run = replace(asked, lines=count, lines_digest=taken)
        await sql.insert(conn, run, now_us)
        return run

    async def match(self, conn: Conn, run: Run, source: Source, fee_tolerance_mfen: int) -> Run:
        """Pair, class and write down what differs, in sets."""
        rounds = self._rounds[source.name]
        await matching.begin(conn, run.id)
        ours = source.of_day(run.subject, run.day)
        await matching.add_books(conn, run.id, ours.statement, ours.params, named=False)
        await self._play(conn, run, rounds)
        if await self._look_for_rest(conn, run, source):
            await self._play(conn, run, rounds)
        await classing.begin(conn)
        single = [one.name for one in rounds if one.shape is Shape.ONE_TO_ONE]
        await classing.pairs(conn, run, single, fee_tolerance_mfen)
        now_us = self._clock.now_us()
        await classing.carried(conn, run, now_us)
        await classing.rest(conn, run)
        count = await classing.write(conn, run)
        run = replace(
            run,
            breaks=count,
            books_digest=await sql.books_digest(conn, run.id),
            **await classing.sums(conn, run.id),
        )
        run = replace(run, state=RunState.MATCHED, result_digest=await result_digest(conn, run))
        await sql.update(conn, run)
        await classing.clear_carried(conn, run, now_us)
        return run

    async def _play(self, conn: Conn, run: Run, rounds: Sequence[Round]) -> None:
        for one in rounds:
            await matching.play(conn, run.id, one)

    async def _look_for_rest(self, conn: Conn, run: Run, source: Source) -> bool:
        """Look for what lines name, whatever its day; whether any line was left to look for."""
        after, looked = 0, False
        while page := await matching.left_numbers(conn, after, PAGE):
            ours = sorted({no for row in page for no in row[1:3] if no})
            theirs = sorted({row[3] for row in page if row[3]})
            select = source.named(run.subject, ours, theirs)
            await matching.add_books(conn, run.id, select.statement, select.params, named=True)
            after, looked = page[-1][0], True
        return looked


async def entries(conn: Conn, run: str) -> AsyncIterator[list[Break]]:
    """All breaks of a run in order, page by page."""
    after = 0
    while page := await breaks_sql.of_run(conn, run, after=after, limit=PAGE):
        yield page
        after = page[-1].no


async def result_digest(conn: Conn, run: Run) -> bytes:
    """SHA-256 of a run's result, from what is written down."""
    digest = sha256(head(run))
    async for page in entries(conn, run.id):
        for found in page:
            digest.update(entry(found))
    return digest.digest()
