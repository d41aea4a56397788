"""A run: its lines are taken, then matched with our books. Two transactions, nothing between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.lines import BILL_CUT, Line, SpoiltBillError
from kabao.reconciliation.model.rounds import Round, Shape
from kabao.reconciliation.model.runs import (
    BILL_DECIDED,
    BILL_FETCHED,
    BillStaysError,
    KnownBillError,
    Run,
    RunState,
    entry,
    head,
)
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

        Raises what the reader raises, `bill_cut_short` for nothing where lines stand,
        `KnownBillError` and `BillStaysError`: whoever catches any gives up the transaction.
        """
        count = await sql.copy_lines(conn, asked.id, lines)
        taken = await sql.lines_digest(conn, asked.id)
        run = replace(asked, lines=count, lines_digest=taken)
        former = await sql.of_day(conn, run.source, run.subject, run.day, lock=True)
        if former is not None and former.lines_digest == taken:
            raise KnownBillError(run.day, former)
        before = await sql.taken_before(conn, run.source, run.subject, taken)
        if before is not None:
            raise KnownBillError(before, None)
        if not count and (run.brought_by is not None or former is not None):
            raise SpoiltBillError("it tells nothing, not even whose it is", None, BILL_CUT)
        if former is not None:
            await self._replace(conn, former, run)
        await sql.insert(conn, run, self._clock.now_us())
        return run

    async def _replace(self, conn: Conn, former: Run, run: Run) -> None:
        """Another bill of the day takes the place of one, which the caller has locked.

        Only while nothing was decided on it: what was posted for a bill is never posted again
        for its successor. Whatever it had explained is open again.
        """
        if former.received_fen is not None or await breaks_sql.decided(conn, former.id):
            raise BillStaysError(BILL_DECIDED, former, run.lines_digest)
        if run.brought_by is not None and former.brought_by is None:
            raise BillStaysError(BILL_FETCHED, former, run.lines_digest)
        await sql.set_state(conn, former.id, RunState.REPLACED)
        await breaks_sql.close_all(conn, former.id, REPLACED, self._clock.now_us())
        await breaks_sql.reopen(conn, former.id)

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
