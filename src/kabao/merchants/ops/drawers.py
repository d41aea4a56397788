"""A shift's drawer: cash in and out, blind counts, and what to do about a difference."""

from __future__ import annotations

from collections.abc import Sequence

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.merchants.model import (
    COUNT_NEEDED,
    COUNTED_ENOUGH,
    SHIFT_CLOSED,
    Alone,
    DrawerCount,
    DrawerEntry,
    EntryKind,
    Pieces,
    Shift,
    ZReport,
    alone_fen,
    moved_cash,
    worth,
)
from kabao.merchants.sql import drawers as sql
from kabao.merchants.sql import tills
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

MAX_ENTRIES = 200
"""Of one shift: a drawer that is opened more often is no drawer."""


class Drawers:
    """The drawer verbs of `Shifts`; writing ones take the caller's transaction."""

    def __init__(
        self, org: Org, policy: Policy, cases: Cases, ids: Ids, clock: Clock, days: BusinessDays
    ) -> None:
        self._org, self._policy, self._cases = org, policy, cases
        self._ids, self._clock, self._days = ids, clock, days

    async def entries(self, conn: Conn, shift: str) -> list[DrawerEntry]:
        """What came into a drawer and left it, oldest first."""
        return await sql.entries(conn, shift)

    async def move(
        self,
        conn: Conn,
        shift_id: str,
        kind: EntryKind,
        amount_fen: int,
        reason: str | None,
        supervisor: str | None = None,
        *,
        alone: Alone | None = None,
    ) -> DrawerEntry:
        """Cash comes into the drawer of an open shift, or leaves it.

        `alone` says how much a cashier takes out for this without a second person in the
        whole shift.
        Raises `not_found`, `shift_closed`, `override_needed`, `invalid` for too many entries.
        """
        await self._open(conn, shift_id)
        entries = await sql.entries(conn, shift_id)
        if len(entries) >= MAX_ENTRIES:
            raise INVALID.error(f"A shift has at most {MAX_ENTRIES} entries.")
        if alone is not None:
            alone.check(alone_fen(entries, kind) + amount_fen)
        return await self._book(conn, shift_id, kind, amount_fen, reason, supervisor)

    async def slip(self, conn: Conn, shift_id: str, amount_fen: int, sale: str) -> None:
        """What a sale of cards booked as loads came by card or phone: it is not in the drawer."""
        shift = await tills.lock_shift(conn, shift_id)
        if shift is not None and shift.is_open:
            await self._book(conn, shift_id, EntryKind.SLIP, amount_fen, sale)

    async def undo_slip(self, conn: Conn, sale: str) -> None:
        """Such a sale was undone: so is its slip, in a shift that has not been counted."""
        slip = await sql.slip_of(conn, sale)
        shift = await tills.lock_shift(conn, slip.shift) if slip is not None else None
        if slip is not None and shift is not None and shift.is_open:
            await self._book(conn, shift.id, EntryKind.SLIP_UNDONE, slip.amount_fen, sale)

    async def _book(
        self,
        conn: Conn,
        shift: str,
        kind: EntryKind,
        amount_fen: int,
        reason: str | None = None,
        supervisor: str | None = None,
    ) -> DrawerEntry:
        entry = DrawerEntry(
            id=self._ids.new(),
            shift=shift,
            kind=kind,
            amount_fen=amount_fen,
            reason=reason,
            supervisor=supervisor,
            created_at=now(self._clock),
        )
        await sql.insert_entry(conn, entry)
        return entry

    async def count(self, conn: Conn, shift_id: str, pieces: Sequence[Pieces]) -> DrawerCount:
        """A cashier says what is in the drawer, piece by piece. The last count holds.

        Nothing tells how far it is from what there should be: whoever knows would count
        until it fits. Raises `not_found`, `shift_closed`, `counted_enough`, `invalid`.
        """
        await self._open(conn, shift_id)
        before = await sql.counts(conn, shift_id)
        rules, name = self._rules(), names.TILL_COUNT_MAX_COUNT
        if len(before) >= rules.int(name):
            raise COUNTED_ENOUGH.error(rule=rules.row(name))
        found = DrawerCount(
            shift_id, len(before) + 1, tuple(pieces), worth(pieces), now(self._clock)
        )
        await sql.insert_count(conn, found)
        return found

    async def declared(
        self, conn: Conn, shift: str, said_fen: int | None, *, needed: bool
    ) -> int | None:
        """What a shift ends with: its last count, or else the sum that was said.

        `needed`: cash came or went, and the cashier is there to say what is left.
        Raises `count_needed`, `invalid` for a sum that is not the count's.
        """
        counts = await sql.counts(conn, shift)
        if counts:
            if said_fen not in {None, counts[-1].amount_fen}:
                raise INVALID.error("The drawer was counted.", field="cash")
            return counts[-1].amount_fen
        if said_fen is None and needed:
            raise COUNT_NEEDED.error(rule=self._rules().row(names.TILL_COUNT_MAX_COUNT))
        return said_fen

    async def settle(self, conn: Conn, shift: Shift, report: ZReport) -> None:
        """Book the difference of a shift that has ended, and have somebody look at it.

        A drawer that nobody counted, of a cashier who is gone, is a case as well.
        """
        difference_fen = report.cash_difference_fen
        if difference_fen is None:
            if moved_cash(report.lines):
                await self._look_at(conn, shift, report, "till.not_counted")
            return
        if difference_fen == 0:
            return
        kind = EntryKind.OVER if difference_fen > 0 else EntryKind.SHORT
        await self._book(conn, shift.id, kind, abs(difference_fen))
        if abs(difference_fen) >= self._rules().int(names.TILL_DIFFERENCE_CASE_FROM_FEN):
            await self._look_at(conn, shift, report, "till.difference")

    async def _look_at(self, conn: Conn, shift: Shift, report: ZReport, kind: str) -> None:
        store = await self._org.get_store(conn, shift.store)
        facts: dict[str, str | int] = {
            "cashier": to_edge("csh", shift.cashier),
            "terminal": to_edge("ter", shift.terminal),
            "z_report": report.number,
            "expected_fen": report.cash_expected_fen,
        }
        if report.cash_declared_fen is not None:
            facts["counted_fen"] = report.cash_declared_fen
        case = NewCase(
            kind=kind,
            subject=to_edge("shf", shift.id),
            company=store.company,
            store=shift.store,
            facts=facts,
            key=shift.id,
        )
        await self._cases.open_in(conn, case)

    def is_blind(self) -> bool:
        """Whether a till is not told what its open drawer should hold."""
        return self._rules().flag(names.TILL_COUNT_BLIND)

    async def _open(self, conn: Conn, shift_id: str) -> Shift:
        shift = await tills.lock_shift(conn, shift_id)
        if shift is None:
            raise NOT_FOUND.error("There is no such shift.")
        if not shift.is_open:
            raise SHIFT_CLOSED.error()
        return shift

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)
