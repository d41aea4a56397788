"""Days: closed softly at night, and hard once every source agrees."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time, timedelta

from kabao.base.clock import BusinessDays, Clock, now, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND, KabaoError
from kabao.base.ids import to_edge
from kabao.clearing.model.days import (
    DAY_KEPT_OPEN,
    DAY_STILL_OPEN,
    GATE_RULE,
    Day,
    DayState,
    Part,
    Window,
    WindowState,
    describe,
)
from kabao.clearing.model.settlement import Settlement
from kabao.clearing.ops.netting import Netting
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.ports.closing import Gate, OpenPart
from kabao.clearing.sql import days as sql
from kabao.clearing.sql import windows as windows_sql
from kabao.ledger.model import DAY_CLOSED
from kabao.ledger.ops import Ledger
from kabao.policy import names

DAYS_MAX = 200
LISTED_MAX = 20
OF_ITS_WINDOW = "Its window is not computed yet, or waits for a store's part of the day before."


class Closing:
    """Closes business days; a closed one is never opened again."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        gate: Gate,
        terms: TermsBook,
        netting: Netting,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._gate = db, ledger, gate
        self._terms, self._netting, self._clock, self._days = terms, netting, clock, days

    def is_over(self) -> date:
        """The last business day that is closed by itself now: some hours after its end."""
        at = now(self._clock)
        rules = self._terms.rules(self._days.of(to_us(at)))
        closes = time.fromisoformat(rules.text(names.CLEARING_DAY_CLOSES_AT))
        late = timedelta(hours=closes.hour, minutes=closes.minute)
        return self._days.of(to_us(at - late)) - timedelta(days=1)

    async def close_ledger(self, day: date) -> bool:
        """Close the books of a day and all before it, unless they are. False: nothing to do."""
        async with self._db.transaction() as conn:
            last = await self._ledger.closed_days(conn, limit=1)
            if last and last[0].business_date >= day:
                return False
            try:
                await self._ledger.close_day(conn, day)
            except KabaoError as refused:
                if refused.code is not DAY_CLOSED:
                    raise
                return False  # somebody else has closed it since it was looked at
        return True

    async def note_closed(self) -> None:
        """Days that the ledger has closed since are softly closed here."""
        async with self._db.transaction() as conn:
            await windows_sql.lock(conn)
            known = await sql.last_day(conn)
            closed = await self._ledger.closed_days(conn, limit=DAYS_MAX)
            new = {
                each.business_date: each.closed_at
                for each in closed
                if known is None or each.business_date > known
            }
            if new:
                await sql.close_softly(conn, new)

    async def hard_close(self, day: date) -> Day | None:
        """Settle what agrees, and close the day for good when nothing is left out.

        Safe to repeat. None: the day is not closed softly, or its window is not computed yet.
        Raises `calendar_unknown`.
        """
        async with self._db.transaction() as conn:
            await windows_sql.lock(conn)
            found = await sql.day(conn, day)
            if found is None or found.state is DayState.HARD_CLOSED:
                return found
            window = await windows_sql.window_of(conn, day)
            if not await self._is_figured(conn, day, window):
                return None
            kept = await self._keep_out(conn, day)
            whole = window is None or await self._settle(conn, window, kept)
            if whole and not kept:
                await sql.close_hard(conn, day, now(self._clock))
            return await sql.day(conn, day)

    async def _is_figured(self, conn: Conn, day: date, window: Window | None) -> bool:
        """Days before the first window have none; of all others it is waited for."""
        if window is not None:
            return window.state is WindowState.FIGURED
        last = await windows_sql.last_window(conn)
        return last is not None and last.day > day

    async def _keep_out(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        """What the gate says of the day, and since when."""
        at = now(self._clock)
        kept = await self._gate.open_parts(conn, day)
        parts = [
            Part(
                source=p.source,
                subject=p.subject,
                reason=p.reason,
                breaks=p.breaks,
                kept_out_at=at,
                closed_at=None,
            )
            for p in kept
        ]
        await sql.keep_out(conn, day, parts, at)
        return kept

    async def _settle(self, conn: Conn, window: Window, kept: Sequence[OpenPart]) -> bool:
        """Net what agrees; the rest waits until its source does. Whether nothing is left.

        A window begins in the evening of the day before, so what keeps that one open counts.
        """
        waiting = await windows_sql.waiting(conn, window.id)
        if not waiting:
            return True
        before = await self._gate.open_parts(conn, window.day - timedelta(days=1))
        kept = [*before, *kept]
        ready = [s for s in waiting if not any(_keeps_out(part, s) for part in kept)]
        if ready:
            await self._netting.run(conn, window, ready)
        left = {s.id for s in waiting} - {s.id for s in ready}
        if left:
            await windows_sql.kept_out(conn, sorted(left))
        return not left

    async def require_closed(self, conn: Conn, day: date) -> Day:
        """A day that is closed for good.

        Raises:
            KabaoError: `not_found`, or `day_kept_open` with what keeps it open.
        """
        found = await sql.day(conn, day)
        if found is None:
            raise NOT_FOUND.error("That day is not closed yet.")
        if found.state is not DayState.HARD_CLOSED:
            parts = [p for p in await sql.parts(conn, day) if p.closed_at is None]
            said = "; ".join(describe(part) for part in parts[:LISTED_MAX])
            raise DAY_KEPT_OPEN.error(said or OF_ITS_WINDOW, rule=GATE_RULE)
        return found

    async def check_adjustment(self, conn: Conn, day: date, amount_fen: int) -> None:
        """Raises `invalid` for nothing, `day_still_open` for a day that needs no adjustment.

        A day whose bill never comes stays open; once all its settlements are final, they are
        corrected like those of a closed one.
        """
        if amount_fen == 0:
            raise INVALID.error("A correction is of something.", field="amount")
        found = await sql.day(conn, day)
        if found is None or not (
            found.state is DayState.HARD_CLOSED or await self._all_settled(conn, day)
        ):
            raise DAY_STILL_OPEN.error(rule="C-05", field="day")

    async def _all_settled(self, conn: Conn, day: date) -> bool:
        """Whether the window of a day is computed and nothing of it waits for a run."""
        window = await windows_sql.window_of(conn, day)
        if window is None or window.state is not WindowState.FIGURED:
            return False
        return not await windows_sql.waiting(conn, window.id)


def _keeps_out(part: OpenPart, settlement: Settlement) -> bool:
    """Whether a part keeps a settlement out: it is about its store.

    A channel's bill is about money that came in through it: what stores are owed for
    goods is settled all the same.
    """
    return part.subject == to_edge("sto", settlement.store)
