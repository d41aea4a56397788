"""What follows from a run: owners are told what matched, sources are asked, people look."""

from __future__ import annotations

from kabao.base import logs
from kabao.base.clock import Clock
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.reconciliation.model.breaks import BREAK, Break, BreakState, waits_for_source
from kabao.reconciliation.model.gate import ZERO, GateRule
from kabao.reconciliation.model.runs import RUN, BillStaysError, Run, RunState
from kabao.reconciliation.ops.matching import entries
from kabao.reconciliation.ports import Source
from kabao.reconciliation.sql import breaks as breaks_sql
from kabao.reconciliation.sql import runs as sql

TOLD = 2_000
"""Orders that are marked in one transaction."""

FACT_CHARS = 64

log = logs.get("reconciliation")


class Following:
    """Every step is safe to repeat: a run that was killed begins again here."""

    def __init__(self, db: Database, cases: Cases, clock: Clock) -> None:
        self._db, self._cases, self._clock = db, cases, clock

    async def follow(self, run: Run, source: Source, rules: Rules) -> None:
        """Do all that follows, then the run is finished."""
        gate = gate_of(source, rules)
        await self._tell(run, source)
        await self._explain(run, source, rules.int(names.RECONCILIATION_ASK_MAX_COUNT))
        async with self._db.transaction() as conn:
            if not await _counts(conn, run):
                return
            await self._open_cases(conn, run, rules.int(names.RECONCILIATION_CASES_MAX_COUNT))
            await self._judge(conn, run, source, gate)
            await sql.set_state(conn, run.id, RunState.FINISHED)

    async def _tell(self, run: Run, source: Source) -> None:
        """Whoever owns the orders marks those that stand in the source."""
        async with self._db.read() as conn:
            last = await breaks_sql.last_book(conn, run.id)
        for after in range(0, last, TOLD):
            async with self._db.transaction() as conn:
                if not await _counts(conn, run):
                    return
                orders = await breaks_sql.matched_orders(conn, run.id, after, TOLD)
                if orders:
                    await source.matched(conn, orders)

    async def _explain(self, run: Run, source: Source, most: int) -> None:
        """Ask about what the source itself may explain."""
        async with self._db.read() as conn:
            doubtful: list[Break] = []
            async for page in entries(conn, run.id):
                doubtful += [one for one in page if one.state is BreakState.OPEN]
                doubtful = [one for one in doubtful if waits_for_source(one)][:most]
                if len(doubtful) == most:
                    break
        for found in doubtful:
            try:
                why = await source.explain(run, found)
            except Exception as wrong:  # noqa: BLE001 -- the break stays open, and a person looks
                log.error("reconciliation.not_explained", run=run.id, reason=type(wrong).__name__)
                continue
            if why is not None:
                async with self._db.transaction() as conn:
                    if not await _counts(conn, run):
                        return
                    now_us = self._clock.now_us()
                    await breaks_sql.close(conn, found.id, BreakState.CLEARED, why, now_us)

    async def _open_cases(self, conn: Conn, run: Run, most: int) -> None:
        """A case for each break that is open; from many on, one for all."""
        opened = await breaks_sql.of_run(conn, run.id, state=BreakState.OPEN, limit=most + 1)
        if len(opened) <= most:
            for found in opened:
                await self._cases.open_in(conn, _case(run, found))
            return
        facts: dict[str, Fact] = {"day": str(run.day), "lines": run.lines}
        await self._cases.open_in(
            conn,
            NewCase(
                kind="reconciliation.breaks",
                subject=to_edge(RUN, run.id),
                company=run.company,
                facts=facts | await breaks_sql.counts(conn, run.id),
                key=run.id,
            ),
        )

    async def refused(self, refused: BillStaysError) -> None:
        """Another bill of a day came and does not count: a person compares the two."""
        run = refused.run
        case = NewCase(
            kind="reconciliation.bill_refused",
            subject=to_edge(RUN, run.id),
            company=run.company,
            facts={"day": str(run.day), "reason": refused.code.name},
            key=f"{run.id}:{refused.digest.hex()}",
        )
        async with self._db.transaction() as conn:
            await self._cases.open_in(conn, case)

    async def _judge(self, conn: Conn, run: Run, source: Source, gate: GateRule) -> None:
        """Too many breaks (T-21): the source is trusted with nothing new, a person looks."""
        count = await breaks_sql.open_count(conn, run.id)
        if not gate.keeps_open(count, run.lines):
            return
        await source.stop(conn, run.subject)
        case = NewCase(
            kind="reconciliation.gate",
            subject=to_edge(RUN, run.id),
            company=run.company,
            facts={"day": str(run.day), "lines": run.lines, "breaks": count},
            key=run.id,
        )
        await self._cases.open_in(conn, case)


async def _counts(conn: Conn, run: Run) -> bool:
    """Whether a run is still to be followed: another bill may have come. It stays locked."""
    still = await sql.get(conn, run.id, lock=True)
    return still is not None and still.state is RunState.MATCHED


def gate_of(source: Source, rules: Rules) -> GateRule:
    """How many breaks are too many for a source; between books of ours it is one."""
    if source.is_ours:
        return ZERO
    return GateRule(
        rules.rate(names.RECONCILIATION_GATE_BP), rules.int(names.RECONCILIATION_GATE_FROM_COUNT)
    )


def _case(run: Run, found: Break) -> NewCase:
    facts: dict[str, Fact] = {
        "class": found.cls.value,
        "day": str(run.day),
        "kind": found.kind.value,
        "number": (found.our_no or found.their_no)[:FACT_CHARS],
        "proposed": found.proposed.value,
    }
    if found.ours_fen is not None:
        facts["ours"] = found.ours_fen
    if found.theirs_fen is not None:
        facts["theirs"] = found.theirs_fen
    return NewCase(
        kind="reconciliation.break",
        subject=to_edge(BREAK, found.id),
        company=run.company,
        facts=facts,
        key=found.id,
    )
