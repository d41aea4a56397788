"""The class of the slice: bills against our books, and what keeps a day open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec
from msgspec.structs import replace

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.cases.ops import Cases
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import NATIONAL, Policy
from kabao.reconciliation.model.breaks import Break, BreakState, Class, Correction, OpenBreaks
from kabao.reconciliation.model.gate import OpenPart, judged
from kabao.reconciliation.model.lines import Line
from kabao.reconciliation.model.rounds import load
from kabao.reconciliation.model.runs import (
    MFEN_PER_FEN,
    SOURCE_UNKNOWN,
    BillStaysError,
    OpenPayouts,
    Run,
    RunState,
)
from kabao.reconciliation.ops.correcting import Correcting
from kabao.reconciliation.ops.following import Following, gate_of
from kabao.reconciliation.ops.matching import Matching
from kabao.reconciliation.ops.settling import Settling
from kabao.reconciliation.ports import Gate, Source
from kabao.reconciliation.sql import breaks as breaks_sql
from kabao.reconciliation.sql import runs as sql

LEFT_BEHIND = 20
"""Runs that one tick takes up again."""

log = logs.get("reconciliation")


class Tried(msgspec.Struct, frozen=True):
    """What a run would have found: nothing of it is kept."""

    run: Run
    breaks: list[Break]
    """The first of them."""
    counts: dict[str, int]
    """All of them, by class."""


class Reconciliation:
    """Whether what others say of a day and what our books say of it are the same."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cases: Cases,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._policy, self._org = db, policy, org
        self._ids, self._clock, self._days = ids, clock, days
        self._matching = Matching(load(), ids, clock)
        self._following = Following(db, cases, clock)
        self._correcting = Correcting(ledger, clock)
        self._settling = Settling(ledger)
        self._sources: dict[str, Source] = {}
        self._gates: list[Gate] = []
        self._resumed: str | None = None

    def serve(self, source: Source) -> None:
        """From now on bills of this kind can be taken."""
        self._sources[source.name] = source

    def ask_also(self, gate: Gate) -> None:
        """From now on what this one says keeps a day open as well: tills, which compare their
        batches with the books themselves.
        """
        self._gates.append(gate)

    def source(self, name: str) -> Source:
        """Who owns our side of a kind of bill. Raises `source_unknown`."""
        found = self._sources.get(name)
        if found is None:
            raise SOURCE_UNKNOWN.error(field="source")
        return found

    def rules(self, company: str) -> Rules:
        """What holds today where a company is at home."""
        found = self._org.company(company)
        today = self._days.of(self._clock.now_us())
        jurisdiction = NATIONAL if found is None else found.jurisdiction
        return self._policy.rules(jurisdiction=jurisdiction, on=today)

    # Runs

    async def take(
        self,
        source: str,
        subject: str,
        company: str,
        day: date,
        lines: Iterable[Line],
        *,
        brought_by: str | None = None,
    ) -> Run:
        """Take a bill, all of it or nothing; `finish` compares it.

        Args:
            source: of which kind it is, such as `channel`.
            subject: edge id of what it is of, such as the channel.
            company: whose books it is compared with.
            day: whose bill it is, by the source's calendar.
            lines: as a reader yields them; it raises `SpoiltBillError` at whatever is wrong.
            brought_by: who hands it in; None: it was fetched from the source.

        Raises the codes of a spoilt bill, `source_unknown`, and as `BillStaysError`
        `bill_decided_already` and `bill_fetched_already`; where the source itself tells another
        bill than the one that stays, that is a case.
        """
        self.source(source)
        asked = replace(self._new(source, subject, company, day), brought_by=brought_by)
        try:
            async with self._db.transaction() as conn:
                return await self._matching.take(conn, asked, lines)
        except BillStaysError as refused:
            if brought_by is None:
                await self._following.refused(refused)
            raise

    async def match(self, ident: str) -> Run:
        """Match what was taken, so that its result stands. Raises `not_found`."""
        async with self._db.transaction() as conn:
            run = await sql.get(conn, ident, lock=True)
            if run is None:
                raise NOT_FOUND.error("There is no such reconciliation.")
            return await self._match(conn, run) if run.state is RunState.TAKEN else run

    async def finish(self, ident: str) -> Run:
        """Match what was taken and do what follows; where it is done, nothing. Raises
        `not_found`.
        """
        run = await self.match(ident)
        if run.state is RunState.MATCHED:
            await self._following.follow(run, self.source(run.source), self.rules(run.company))
        async with self._db.read() as conn:
            return await self.get(conn, ident)

    async def try_out(
        self,
        source: str,
        subject: str,
        company: str,
        day: date,
        lines: Iterable[Line],
        *,
        limit: int = 200,
    ) -> Tried:
        """What `take` and `finish` would find. Nothing is kept, and nobody is told."""
        self.source(source)
        async with self._db.transaction() as conn, conn.transaction(force_rollback=True):
            asked = self._new(source, subject, company, day)
            run = await self._match(conn, await self._matching.take(conn, asked, lines))
            first = await breaks_sql.of_run(conn, run.id, limit=limit)
            return Tried(run, first, await breaks_sql.counts(conn, run.id))

    async def resume(self) -> int:
        """Take up runs that somebody left behind; for a tick. Gives how many."""
        async with self._db.read() as conn:
            left = await sql.unfinished(conn, self._resumed, LEFT_BEHIND)
        # Those that fail again and again keep none of the others waiting.
        self._resumed = left[-1] if len(left) == LEFT_BEHIND else None
        for ident in left:
            try:
                await self.finish(ident)
            except Exception as wrong:  # noqa: BLE001 -- it comes again, and stops no other
                log.error("reconciliation.failed", run=ident, reason=type(wrong).__name__)
        return len(left)

    def _new(self, source: str, subject: str, company: str, day: date) -> Run:
        return Run(
            id=self._ids.new(),
            source=source,
            subject=subject,
            company=company,
            day=day,
            state=RunState.TAKEN,
            lines_digest=b"",
        )

    async def _match(self, conn: Conn, run: Run) -> Run:
        tolerance = self.rules(run.company).int(names.RECONCILIATION_FEE_TOLERANCE_FEN)
        return await self._matching.match(
            conn, run, self.source(run.source), tolerance * MFEN_PER_FEN
        )

    # Corrections

    async def get_break(self, conn: Conn, ident: str) -> tuple[Run, Break]:
        """A break with its run. Raises `not_found`."""
        found = await breaks_sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such break.")
        return await self.get(conn, found.run), found

    def check(self, run: Run, found: Break, correction: Correction) -> None:
        """Whether a correction is possible now. Raises `break_closed`, `nothing_to_post`."""
        self._correcting.check(self.source(run.source), found, correction)

    async def correct(self, conn: Conn, ident: str, correction: Correction, approval: str) -> Break:
        """What two persons agreed to; moves post through the ledger in this transaction.

        Raises `not_found`, `break_closed`, `nothing_to_post`.
        """
        _, found = await self.get_break(conn, ident)
        run = await sql.get(conn, found.run, lock=True)  # not while another bill replaces it
        assert run is not None, "runs are never deleted"
        return await self._correcting.correct(
            conn, run, self.source(run.source), ident, correction, approval
        )

    # What sources pay out

    def check_settlement(self, run: Run) -> None:
        """Whether a payout can be booked. Raises `run_not_finished`, `run_settled`,
        `nothing_to_post`.
        """
        self._settling.check(run, self.source(run.source))

    async def settle(self, conn: Conn, ident: str, received_fen: int) -> Run:
        """Book what two persons saw come for a bill: bank, fees, and what differs, in suspense.

        Raises `not_found`, and as `check_settlement`.
        """
        found = await sql.get(conn, ident, lock=True)
        if found is None:
            raise NOT_FOUND.error("There is no such reconciliation.")
        return await self._settling.settle(conn, found, self.source(found.source), received_fen)

    # What keeps a day open

    async def open_parts(self, conn: Conn, day: date) -> list[OpenPart]:
        """What keeps a day from its hard close (T-21): bills that are not there or not
        matched, and those with more open breaks than may be; and what others who are asked say.
        See `ports.Gate`.
        """
        parts = {(part.source, part.subject): part for part in await sql.parts(conn, day)}
        for source in self._sources.values():
            for part in await source.expected(conn, day):
                parts.setdefault((part.source, part.subject), part)
        judgements = (
            judged(part, gate_of(self.source(part.source), self.rules(part.company)))
            for part in parts.values()
        )
        found = [part for part in judgements if part is not None]
        for gate in self._gates:
            found += await gate.open_parts(conn, day)
        return sorted(found, key=lambda one: (one.source, one.subject))

    # Reading

    async def get(self, conn: Conn, ident: str) -> Run:
        """A run as it is. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such reconciliation.")
        return found

    async def of_day(self, source: str, subject: str, day: date) -> Run | None:
        """The run of a bill that counts, if it is there."""
        async with self._db.read() as conn:
            return await sql.of_day(conn, source, subject, day)

    async def search(
        self,
        conn: Conn,
        companies: Sequence[str] | None,
        *,
        source: str | None = None,
        subject: str | None = None,
        day: date | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Runs, newest first; None: not filtered."""
        return await sql.search(
            conn, companies, source=source, subject=subject, day=day, before=before, limit=limit
        )

    async def breaks(
        self,
        conn: Conn,
        run: str,
        *,
        cls: Class | None = None,
        state: BreakState | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> list[Break]:
        """The breaks of a run in order; None: not filtered."""
        return await breaks_sql.of_run(conn, run, cls=cls, state=state, after=after, limit=limit)

    async def waiting(
        self,
        conn: Conn,
        companies: Sequence[str] | None,
        *,
        cls: Class | None = None,
        state: BreakState = BreakState.OPEN,
        after: tuple[str, int] | None = None,
        limit: int = 50,
    ) -> list[tuple[Run, Break]]:
        """Breaks of all bills that are in a state, the oldest first; None: not filtered."""
        found = await breaks_sql.waiting(
            conn, companies, cls=cls, state=state, after=after, limit=limit
        )
        runs = await sql.get_many(conn, sorted({one.run for one in found}))
        return [(runs[one.run], one) for one in found]

    async def open_until(self, conn: Conn, day: date, company: str | None) -> list[OpenBreaks]:
        """What is open or suspended of bills up to a day's, summed. None: of every company."""
        return await breaks_sql.open_until(conn, day, company)

    async def short_until(self, conn: Conn, day: date, company: str | None) -> list[OpenPayouts]:
        """Payouts up to a day's bills that were not as expected. None: of every company."""
        return await sql.short_until(conn, day, company)

    async def counts(self, conn: Conn, run: str) -> dict[str, int]:
        """The breaks of a run, by class."""
        return await breaks_sql.counts(conn, run)
