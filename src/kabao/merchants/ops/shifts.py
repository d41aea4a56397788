"""Shifts: one cashier at one terminal, from opening to closing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec.structs import replace

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.ledger.model import Account, Purpose
from kabao.ledger.ops import Ledger
from kabao.merchants.model import (
    SHIFT_CLOSED,
    SHIFT_OPEN,
    EntryKind,
    Shift,
    Taken,
    TotalLine,
    Totals,
    ZReport,
    check_cashier_at,
    check_terminal_at,
    drawer_lines,
    late,
    moved_cash,
    totals_of,
)
from kabao.merchants.ops.drawers import Drawers
from kabao.merchants.ops.stores import open_store
from kabao.merchants.ports import CashTaken
from kabao.merchants.sql import tills as sql
from kabao.merchants.sql import totals as totals_sql
from kabao.org.ops import Org


class Shifts:
    """The shift verbs of `Merchants`; writing ones take the caller's transaction."""

    def __init__(self, ledger: Ledger, org: Org, drawers: Drawers, ids: Ids, clock: Clock) -> None:
        self._ledger, self._org, self._ids, self._clock = ledger, org, ids, clock
        self._others: list[CashTaken] = []
        self.drawers = drawers
        """What is in a shift's drawer besides what was taken."""

    def count_also(self, taken: CashTaken) -> None:
        """Count what a slice above has taken in cash, too."""
        self._others.append(taken)

    async def get(self, conn: Conn, ident: str) -> Shift:
        """A shift as stored. Raises `not_found`."""
        found = await sql.shift(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such shift.")
        return found

    async def closed_since(self, conn: Conn, store: str, since: datetime) -> list[Shift]:
        """The shifts of a store that were closed at that moment or later."""
        return await sql.closed_since(conn, store, since)

    async def list_all(
        self,
        conn: Conn,
        *,
        stores: Collection[str] | None,
        after: str | None,
        limit: int,
        cashier: str | None = None,
        only_open: bool = False,
    ) -> list[Shift]:
        """Shifts in id order after `after`, of these stores unless None."""
        return await sql.list_shifts(
            conn, stores=stores, cashier=cashier, only_open=only_open, after=after, limit=limit
        )

    async def begin(
        self, conn: Conn, cashier_id: str, terminal_id: str, float_fen: int = 0
    ) -> Shift:
        """A cashier begins a shift at a terminal of the own store, with a float in the drawer.

        Raises:
            KabaoError: `not_found`, `store_closed`, `cashier_not_active`,
                `terminal_not_active`, `terminal_of_other_store`, `shift_already_open`.
        """
        cashier = await sql.lock_cashier(conn, cashier_id)
        revision = await sql.next_revision(conn)
        terminal = await sql.terminal(conn, terminal_id)
        if cashier is None or terminal is None:
            raise NOT_FOUND.error(field="cashier" if cashier is None else "terminal")
        check_cashier_at(cashier, cashier.store)
        check_terminal_at(terminal, cashier.store)
        await open_store(conn, self._org, cashier.store)
        if await sql.open_shift_of(conn, cashier_id) is not None:
            raise SHIFT_OPEN.error(field="cashier")
        shift = Shift(
            id=self._ids.new(),
            store=cashier.store,
            cashier=cashier_id,
            terminal=terminal_id,
            opened_at=now(self._clock),
            closed_at=None,
            revision=revision,
        )
        await sql.insert_shift(conn, shift)
        if float_fen:
            await self.drawers.move(conn, shift.id, EntryKind.FLOAT, float_fen, None)
        return shift

    async def cashiers_at(self, conn: Conn, terminal: str, at: datetime) -> list[str]:
        """Who had a shift at a terminal at a moment: usually one."""
        return await sql.cashiers_at(conn, terminal, at)

    async def end(
        self,
        conn: Conn,
        ident: str,
        cash_declared_fen: int | None = None,
        *,
        forced: bool = False,
    ) -> tuple[Shift, ZReport]:
        """A shift ends and is counted. Raises `not_found`, `shift_closed`, `count_needed`.

        `cash_declared_fen` is what the cashier found in the drawer, beyond what it held
        at the beginning if no float was said; a count goes before it. `forced`: the
        cashier is gone.
        """
        shift = await sql.lock_shift(conn, ident)
        if shift is None:
            raise NOT_FOUND.error("There is no such shift.")
        if not shift.is_open:
            raise SHIFT_CLOSED.error()
        # Counted first: the revision holds up every store, and the evening is busy.
        counted = await self.totals(conn, shift)
        needed = moved_cash(counted.lines) and not forced
        declared_fen = await self.drawers.declared(conn, ident, cash_declared_fen, needed=needed)
        revision = await sql.next_revision(conn)
        # A clock stepped back must not keep a shift open.
        closed_at = max(now(self._clock), shift.opened_at)
        shift = replace(shift, closed_at=closed_at, revision=revision)
        await sql.close_shift(conn, shift)
        report = ZReport(
            shift=shift.id,
            terminal=shift.terminal,
            # The revision is held: two shifts of a terminal end one after the other.
            number=await totals_sql.last_number(conn, shift.terminal) + 1,
            lines=counted.lines,
            cash_expected_fen=counted.cash_fen,
            cash_declared_fen=declared_fen,
            created_at=now(self._clock),
        )
        await totals_sql.insert_report(conn, report)
        await self.drawers.settle(conn, shift, report)
        return shift, report

    async def totals(self, conn: Conn, shift: Shift) -> Totals:
        """What is in the books of a shift at this moment (X)."""
        sums = await self._ledger.shift_sums(conn, shift.id, shift.opened_at)
        lines = [
            TotalLine(
                Purpose(each.purpose).name.lower(),
                _TENDERS[Account(each.account)],
                each.operations,
                each.amount_fen,
            )
            for each in sums
        ]
        lines += drawer_lines(await self.drawers.entries(conn, shift.id))
        for other in self._others:
            lines += await other.cash_of_shift(conn, shift.id)
        return totals_of(lines)

    async def report(
        self, conn: Conn, shift: Shift
    ) -> tuple[ZReport, tuple[TotalLine, ...]] | None:
        """The Z report of a closed shift, and what was booked to it later; None while it is open.

        Shifts closed before there were such reports have none either.
        """
        report = await totals_sql.report(conn, shift.id)
        if report is None:
            return None
        return report, late((await self.totals(conn, shift)).lines, report.lines)


_TENDERS = {Account.CASH: Taken.CASH, Account.REDEEMED: Taken.STORED_VALUE}
