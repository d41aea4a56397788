"""Channels' bills: fetched each day, every line compared with our books (T-20, T-21).

A bill never confirms anything: what it tells and we do not know, the channel is asked.
"""

from __future__ import annotations

from datetime import date, timedelta

from msgspec.structs import replace

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import is_id, to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Bill, BillLine, LineKind, Recalled, Refused
from kabao.funding.model.asking import US
from kabao.funding.model.bills import BillState, Found, Matched, of_payment, of_refund
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.funding.model.collections import HELD, Held
from kabao.funding.model.life import Event
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.crew import AT_ONCE
from kabao.funding.ops.looking import Looking
from kabao.funding.ops.refunding import Refunding
from kabao.funding.ops.steps import Steps
from kabao.funding.sql import bills as sql
from kabao.funding.sql import collections as orders_sql
from kabao.policy import names

LEASE_S = 1_800
"""A bill of a million lines takes a while; a worker that died leaves it for so long."""

PAGE = 500
TEXT_CHARS = 64

log = logs.get("funding")


class Matching:
    """Fetches bills and compares them."""

    def __init__(
        self,
        db: Database,
        channels: Channels,
        steps: Steps,
        looking: Looking,
        refunding: Refunding,
        cases: Cases,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._channels, self._steps = db, channels, steps
        self._looking, self._refunding = looking, refunding
        self._cases, self._clock, self._days = cases, clock, days

    async def due(self) -> int:
        """Fetch and compare every bill whose time has come; for a tick. Gives how many."""
        now_us = self._clock.now_us()
        today = self._days.of(now_us)
        ready_us = self._day_us(today) + self._hours() * 3_600 * US
        async with self._db.transaction() as conn:
            since = {
                channel.id: self._days.of(to_us(channel.created_at))
                for channel in self._channels.every()
            }
            await sql.expect(conn, since, today - timedelta(days=1), ready_us)
            due = await sql.claim_due(conn, now_us, now_us + LEASE_S * US, AT_ONCE)
        for bill in due:
            await self._match_safely(bill)
        return len(due)

    def _day_us(self, day: date) -> int:
        return to_us(self._days.start(day))

    def _hours(self) -> int:
        return self._steps.rules("").int(names.FUNDING_BILL_READY_HOURS)

    async def _match_safely(self, bill: Matched) -> None:
        """One that fails stops no other; it falls due again when its lease is over."""
        try:
            await self._match(bill)
        except Exception as wrong:  # noqa: BLE001 -- it comes again
            log.error("funding.bill_failed", channel=bill.channel, reason=type(wrong).__name__)

    async def _match(self, bill: Matched) -> None:
        adapter = await self._channels.reached(bill.channel)
        channel = self._channels.get(bill.channel)
        if adapter is None or channel is None:
            return
        said = await adapter.bill(bill.day)
        if not isinstance(said, Bill):
            reason = getattr(said, "reason", "") or getattr(said, "code", "")
            await self._not_there(channel, bill, f"{type(said).__name__}: {reason}")
            return
        differences = 0
        for line in said.lines:
            found = await self._line(channel, line)
            if found is not Found.MATCHED:
                differences += 1
                await self._differs(channel, bill.day, found, line)
        differences += await self._absent(channel, bill.day)
        done = replace(
            bill,
            state=BillState.MATCHED,
            lines=len(said.lines),
            differences=differences,
            reason=None,
        )
        async with self._db.transaction() as conn:
            await sql.update(conn, done, None)

    async def _not_there(self, channel: Channel, bill: Matched, reason: str) -> None:
        """Fetch it again; in the end a person looks, unless nothing was sold there that day."""
        rules = self._steps.rules(channel.company)
        asked = bill.asked + 1
        now_us = self._clock.now_us()
        async with self._db.transaction() as conn:
            sold = await self._sold(conn, channel, bill.day, None, 1)
            state, ask_us = bill.state, now_us + 3_600 * US
            if asked >= rules.int(names.FUNDING_ASK_MAX_COUNT):
                if not sold:
                    state, ask_us = BillState.MATCHED, 0
                else:
                    ask_us = now_us + 24 * 3_600 * US
                    facts: dict[str, Fact] = {"reason": reason[:TEXT_CHARS]}
                    await self._case(conn, channel, bill.day, "funding.bill_missing", "", facts)
            waiting = replace(bill, state=state, asked=asked, reason=reason[:TEXT_CHARS])
            await sql.update(conn, waiting, ask_us or None)

    # Lines

    async def _line(self, channel: Channel, line: BillLine) -> Found:
        match line.kind:
            case LineKind.PAYMENT:
                return await self._payment(channel, line)
            case LineKind.REFUND:
                return await self._refund(channel, line)
            case LineKind.RECALL:
                return await self._recall(channel, line)
            case LineKind.RETURN:
                return await self._returned(line)

    async def _payment(self, channel: Channel, line: BillLine) -> Found:
        found = await self._matched_payment(channel, line)
        if found is Found.UNTOLD:
            async with self._db.read() as conn:
                held = await self._held(conn, channel, line)
            assert held is not None, "told by a line of ours"
            if await self._looking.ask_about(held.order.id):
                found = await self._matched_payment(channel, line)
            else:
                found = Found.MATCHED  # it was paid, and a cancellation has paid it back
        return found

    async def _matched_payment(self, channel: Channel, line: BillLine) -> Found:
        async with self._db.transaction() as conn:
            held = await self._held(conn, channel, line)
            if held is not None:
                held = await orders_sql.lock_of_order(conn, held.order.id)
            found = of_payment(line, held)
            if found is Found.MATCHED and held is not None and held.order.state in HELD:
                await self._steps.step(conn, held, Event.MATCHED)
        return found

    async def _refund(self, channel: Channel, line: BillLine) -> Found:
        no = line.refund_no or ""
        for last in (False, True):
            async with self._db.transaction() as conn:
                known = await self._refunding.find(conn, no) if is_id(no) else None
                held = await self._held(conn, channel, line)
            if known is None and held is not None and held.order.state not in HELD:
                return Found.MATCHED  # not asked for by number: a cancellation paid it back
            found = of_refund(line, None if known is None else known[1])
            if found is not Found.UNTOLD or last:
                return found
            await self._refunding.look(no)
        raise AssertionError("the loop returns")

    async def _returned(self, line: BillLine) -> Found:
        """A refund came back to us: that is a difference, whatever we know of it."""
        async with self._db.transaction() as conn:
            no = line.refund_no or ""
            known = await self._refunding.find(conn, no) if is_id(no) else None
            if known is not None:
                await self._refunding.told(conn, *known, Refused(Found.RETURNED))
        return Found.RETURNED

    async def _recall(self, channel: Channel, line: BillLine) -> Found:
        async with self._db.transaction() as conn:
            held = await self._held(conn, channel, line)
            if held is not None:
                held = await orders_sql.lock_of_order(conn, held.order.id)
            if held is None or held.order.channel_no is None:
                return Found.STRANGE
            no = line.refund_no or f"bill:{held.order.id}"
            told = Recalled(no, held.order.channel_no, line.amount_fen, "")
            await self._steps.recall(conn, held, told)
        return Found.MATCHED

    async def _held(self, conn: Conn, channel: Channel, line: BillLine) -> Held | None:
        """The order a line is of: by our number where it has one, else by the channel's."""
        order: str | None = line.order_no
        if not order:
            order = await orders_sql.order_of_number(conn, channel.id, line.channel_no)
        held = await orders_sql.held(conn, order) if order is not None and is_id(order) else None
        return held if held is not None and held.order.channel == channel.id else None

    async def _sold(
        self, conn: Conn, channel: Channel, day: date, after: str | None, limit: int
    ) -> list[str]:
        until_us = self._day_us(day + timedelta(days=1))
        return await sql.paid_unmatched(conn, channel.id, self._day_us(day), until_us, after, limit)

    async def _absent(self, channel: Channel, day: date) -> int:
        """Orders of ours that were paid that day and are not in the bill."""
        count, after = 0, None
        while True:
            async with self._db.transaction() as conn:
                page = await self._sold(conn, channel, day, after, PAGE)
                for order in page:
                    held = await orders_sql.held(conn, order)
                    assert held is not None, "orders are never deleted"
                    facts: dict[str, Fact] = {"found": Found.ABSENT.value, "day": str(day)}
                    await self._steps.open_case(
                        conn, held, "funding.bill_difference", f"{order}:absent", facts
                    )
            count += len(page)
            if len(page) < PAGE:
                return count
            after = page[-1]

    async def _differs(self, channel: Channel, day: date, found: Found, line: BillLine) -> None:
        facts: dict[str, Fact] = {
            "found": found.value,
            "line": line.kind.value,
            "number": line.channel_no[:TEXT_CHARS],
            "amount": line.amount_fen,
        }
        about = f"{line.kind}:{line.channel_no}:{line.refund_no}:{found}"
        async with self._db.transaction() as conn:
            await self._case(conn, channel, day, "funding.bill_difference", about, facts)

    async def _case(
        self, conn: Conn, channel: Channel, day: date, kind: str, about: str, facts: dict[str, Fact]
    ) -> None:
        case = NewCase(
            kind=kind,
            subject=to_edge(CHANNEL, channel.id),
            company=channel.company,
            facts={"day": str(day)} | facts,
            key=f"{channel.id}:{day}:{about}"[:200],
        )
        await self._cases.open_in(conn, case)
