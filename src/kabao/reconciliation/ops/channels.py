"""Channels as a source: their bills are fetched when due, and compared with funding's orders."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date

from kabao.base import logs
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.funding.model.answers import Fetched
from kabao.funding.model.bills import Matched
from kabao.funding.model.channels import CHANNEL, Channel, ChannelState
from kabao.funding.ops import Funding
from kabao.ledger.model import Account
from kabao.reconciliation.model.breaks import DONE, Break
from kabao.reconciliation.model.gate import Part
from kabao.reconciliation.model.lines import BillReader, LineKind, SpoiltBillError
from kabao.reconciliation.model.runs import BillStaysError, KnownBillError, Run
from kabao.reconciliation.ops.reconciliation import Reconciliation
from kabao.reconciliation.ports import Besides, HasBills, Selected

NAME, BANK = "channel", "bank"

log = logs.get("reconciliation")


class Channels:
    """Funding's orders and refunds, as our side of channels' bills. See `ports.Source`."""

    name = NAME
    is_ours = False
    account = Account.COLLECTED

    def __init__(self, funding: Funding, besides: Sequence[Besides] = ()) -> None:
        """`besides`: whoever else books what goes through a channel's account."""
        self._funding, self._billing, self._besides = funding, funding.billing, besides

    def of_day(self, subject: str, day: date) -> Selected:
        """What the bill should tell."""
        channel = from_edge(CHANNEL, subject)
        own = Selected(*self._billing.of_day(channel, day))
        return _together(own, [one.of_day(channel, day) for one in self._besides])

    def named(self, subject: str, ours: Sequence[str], theirs: Sequence[str]) -> Selected:
        """What goes by these numbers."""
        channel = from_edge(CHANNEL, subject)
        own = Selected(*self._billing.named(channel, ours, theirs))
        return _together(own, [one.named(channel, ours, theirs) for one in self._besides])

    async def matched(self, conn: Conn, orders: Sequence[str]) -> None:
        """Confirmed orders become reconciled (T-20)."""
        await self._billing.reconcile_in(conn, orders)

    async def explain(self, run: Run, found: Break) -> str | None:
        """Ask the channel; what it took back is booked, what came back is told.

        What its bill calls undone no answer of its makes done: a person looks.
        """
        if found.theirs_status != DONE:
            return None
        match found.kind:
            case LineKind.PAY:
                return await self._billing.ask_about_payment(found.our_no, found.their_no)
            case LineKind.REFUND if found.ours_fen is not None:
                return await self._billing.ask_about_refund(found.our_sub_no)
            case LineKind.REFUND:
                return await self._billing.paid_back(found.our_no, found.theirs_fen or 0)
            case LineKind.RECALL:
                return await self._billing.recalled(
                    from_edge(CHANNEL, run.subject),
                    found.our_no,
                    found.original_no,
                    found.our_sub_no or found.their_no,
                    found.theirs_fen or 0,
                )
            case LineKind.RETURN:
                await self._billing.returned(found.our_sub_no)
            case LineKind.FEE | LineKind.SETTLE | LineKind.DEPOSIT:
                pass
        return None

    async def expected(self, conn: Conn, day: date) -> Sequence[Part]:
        """Every channel through which something was paid that day."""
        sold = await self._billing.sold(conn, day)
        known = [one for one in self._funding.channels.every() if one.id in sold]
        return [Part(NAME, to_edge(CHANNEL, one.id), one.company, day) for one in known]

    def is_own_account(self, subject: str) -> bool:
        """A bank's statement is of our own account; others hold what they took until they pay."""
        channel = self._funding.channels.get(from_edge(CHANNEL, subject))
        return channel is not None and channel.kind == BANK

    async def stop(self, conn: Conn, subject: str) -> None:
        """Give the channel no new orders; a person resumes it."""
        await self._funding.channels.set_state(
            conn, from_edge(CHANNEL, subject), ChannelState.PAUSED
        )


def _together(own: Selected, others: Sequence[Selected]) -> Selected:
    statement, params = own.statement, dict(own.params)
    for other in others:
        statement = statement + " union all " + other.statement
        params |= other.params
    return Selected(statement, params)


class ChannelBills:
    """Fetches bills that are due, each into a file of its own, and has them compared."""

    def __init__(self, db: Database, funding: Funding, reconciliation: Reconciliation) -> None:
        self._db, self._funding, self._reconciliation = db, funding, reconciliation

    async def due(self) -> int:
        """Fetch and compare every bill whose time has come; for a tick. Gives how many."""
        bills = await self._funding.billing.due()
        for bill in bills:
            try:
                await self._compare(bill)
            except Exception as wrong:  # noqa: BLE001 -- it comes again, and stops no other
                reason = type(wrong).__name__
                log.error("reconciliation.bill_failed", channel=bill.channel, reason=reason)
                await self._not_there(bill, reason)
        return len(bills)

    async def _compare(self, bill: Matched) -> None:
        adapter = await self._funding.channels.reached(bill.channel)
        channel = self._funding.channels.get(bill.channel)
        if channel is None or not isinstance(adapter, HasBills):
            await self._not_there(bill, "its account cannot be used")
            return
        reason = None
        with tempfile.TemporaryFile() as file:
            said = await adapter.fetch_bill(bill.day, file)
            if not isinstance(said, Fetched):
                why = getattr(said, "reason", "") or getattr(said, "code", "")
                await self._not_there(bill, f"{type(said).__name__}: {why}")
                return
            file.seek(0)
            lines = adapter.bill_lines(file, bill.day)
            try:
                run = await self._taken(channel, bill, lines)
            except SpoiltBillError as spoilt:
                await self._not_there(bill, f"{spoilt.code}: {spoilt.detail}")
                return
            except BillStaysError as stays:
                run, reason = stays.run, stays.code.name
        run = await self._reconciliation.finish(run.id)
        await self._funding.billing.matched(bill, run.lines, run.breaks, reason)

    async def _not_there(self, bill: Matched, reason: str) -> None:
        channel = self._funding.channels.get(bill.channel)
        if channel is not None:
            await self._funding.billing.not_there(channel, bill, reason)

    async def _taken(self, channel: Channel, bill: Matched, lines: BillReader) -> Run:
        """The bill as a run; that of a worker that died after it had taken it, if there is one."""
        subject = to_edge(CHANNEL, channel.id)
        try:
            return await self._reconciliation.take(NAME, subject, channel.company, bill.day, lines)
        except KnownBillError as known:
            if known.run is None:
                raise
            return known.run
