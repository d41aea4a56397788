"""Channels' bills: when each is due, what our books tell, and what is asked because of a line.

A bill never confirms anything: what it tells and we do not know, the channel is asked. Whoever
compares bills with our books stands above and calls this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, LiteralString

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock, from_us, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID
from kabao.base.ids import is_id, to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Closed, Paid, Queried, Recalled, Refused
from kabao.funding.model.asking import US
from kabao.funding.model.bills import BillState, Matched
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.funding.model.collections import Held
from kabao.funding.model.life import RefundState, State
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.crew import AT_ONCE
from kabao.funding.ops.looking import Looking
from kabao.funding.ops.recalls import booked_fen
from kabao.funding.ops.refunding import Refunding
from kabao.funding.ops.steps import Steps
from kabao.funding.sql import bills as sql
from kabao.funding.sql import books
from kabao.funding.sql import collections as orders_sql
from kabao.funding.sql import refunds as refunds_sql
from kabao.policy import names

Select = tuple[LiteralString, Mapping[str, Any]]
"""A statement and its parameters, for whoever compares."""

LEASE_S = 1_800
"""A bill of a million lines takes a while; a worker that died leaves it for so long."""

TEXT_CHARS = 64
NEVER_OURS = frozenset({State.FAILED, State.EXPIRED, State.REFUNDED})
"""Where a channel may have paid back by itself, if we gave nothing back."""
BACK = "returned"


class Billing:
    """What funding has to say of bills, and does because of them."""

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
        self._calendar = BusinessDays()
        """Channels count days from midnight to midnight in China."""

    # When

    async def due(self) -> list[Matched]:
        """Bills whose time has come; whoever takes them and dies leaves them due again."""
        now_us = self._clock.now_us()
        today = self._days.of(now_us)
        hours = self._steps.rules("").int(names.FUNDING_BILL_READY_HOURS)
        ready_us = to_us(self._days.start(today)) + hours * 3_600 * US
        async with self._db.transaction() as conn:
            since = {
                channel.id: self._days.of(to_us(channel.created_at))
                for channel in self._channels.every()
            }
            await sql.expect(conn, since, today - timedelta(days=1), ready_us)
            return await sql.claim_due(conn, now_us, now_us + LEASE_S * US, AT_ONCE)

    async def fetch_in(self, conn: Conn, channel: str, day: date) -> None:
        """Have a channel's bill of a day fetched at the next tick, also if it was before.

        Raises `invalid` for a day that is not over.
        """
        if day >= self._calendar.of(self._clock.now_us()):
            raise INVALID.error("That day is not over.", field="day")
        await sql.fetch_again(conn, channel, day, self._clock.now_us())

    async def matched(
        self, bill: Matched, lines: int, differences: int, reason: str | None = None
    ) -> None:
        """It was compared with our books. `reason`: why an earlier bill of the day counts."""
        done = replace(
            bill, state=BillState.MATCHED, lines=lines, differences=differences, reason=reason
        )
        async with self._db.transaction() as conn:
            await sql.update(conn, done, None)

    async def not_there(self, channel: Channel, bill: Matched, reason: str) -> None:
        """Fetch it again; in the end a person looks, unless nothing was sold there that day."""
        rules = self._steps.rules(channel.company)
        asked = bill.asked + 1
        now_us = self._clock.now_us()
        async with self._db.transaction() as conn:
            state, ask_us = bill.state, now_us + 3_600 * US
            if asked >= rules.int(names.FUNDING_ASK_MAX_COUNT):
                if channel.id not in await self.sold(conn, bill.day):
                    state, ask_us = BillState.MATCHED, 0
                else:
                    ask_us = now_us + 24 * 3_600 * US
                    await self._case(conn, channel, bill.day, reason)
            waiting = replace(bill, state=state, asked=asked, reason=reason[:TEXT_CHARS])
            await sql.update(conn, waiting, ask_us or None)

    async def sold(self, conn: Conn, day: date) -> set[str]:
        """Channels through which something was paid on a day of theirs."""
        return await sql.sold(conn, *self._span_us(day))

    def _span_us(self, day: date) -> tuple[int, int]:
        start, end = self._calendar.start(day), self._calendar.start(day + timedelta(days=1))
        return to_us(start), to_us(end)

    async def _case(self, conn: Conn, channel: Channel, day: date, reason: str) -> None:
        facts: dict[str, Fact] = {"day": str(day), "reason": reason[:TEXT_CHARS]}
        case = NewCase(
            kind="funding.bill_missing",
            subject=to_edge(CHANNEL, channel.id),
            company=channel.company,
            facts=facts,
            key=f"{channel.id}:{day}:",
        )
        await self._cases.open_in(conn, case)

    # Our side

    def of_day(self, channel: str, day: date) -> Select:
        """What a channel's bill of a day should tell, by our books; see `sql.books`."""
        from_, until = map(from_us, self._span_us(day))
        late = self._late(channel)
        params = {"channel": channel, "from": from_ - late, "until": until - late, "late": late}
        return books.OF_DAY, params

    def named(self, channel: str, ours: Sequence[str], theirs: Sequence[str]) -> Select:
        """What goes by these numbers, ours or the channel's, whatever became of it."""
        known = [no for no in ours if is_id(no)]
        params = {"channel": channel, "ours": known, "theirs": list(theirs)}
        return books.NAMED, params | {"late": self._late(channel)}

    def _late(self, channel: str) -> timedelta:
        """How long before midnight a day of its bills ends."""
        adapter = self._channels.adapter(channel)
        return timedelta(hours=0 if adapter is None else 24 - adapter.capabilities.bill_ends_hour)

    async def reconcile_in(self, conn: Conn, orders: Sequence[str]) -> None:
        """These orders stand in a bill, equal (T-20); told again it is nothing."""
        await books.reconcile(conn, [order for order in orders if is_id(order)])

    # What a line asks for. Outside of any transaction; each says in a word what explains the
    # line, or None where nothing does.

    async def ask_about_payment(self, order: str, their_no: str) -> str | None:
        """The channel's bill tells of a payment that we were not told of."""
        if not is_id(order):
            return None
        said = await self._looking.ask_about(order)
        if _went_back(said):
            return "a cancellation paid it back"
        async with self._db.transaction() as conn:
            held = await orders_sql.held(conn, order)
            if held is None or held.order.channel_no != their_no:
                return None
            await books.reconcile(conn, [order])
            return "paid, the channel said when it was asked"

    async def ask_about_refund(self, refund: str) -> str | None:
        """The bill tells that a refund of ours went, and we were not told."""
        async with self._db.transaction() as conn:
            if not is_id(refund) or await self._refunding.find(conn, refund) is None:
                return None
        await self._refunding.look(refund)
        async with self._db.transaction() as conn:
            known = await self._refunding.find(conn, refund)
        done = known is not None and known[1].state is RefundState.DONE
        return "refunded, the channel said when it was asked" if done else None

    async def paid_back(self, order: str, amount_fen: int) -> str | None:
        """The bill tells of money that went back, and no refund of ours is left to be it.

        Only a channel's own cancellation explains that, and one gives all of it back.
        """
        if not is_id(order):
            return None
        async with self._db.read() as conn:
            held = await orders_sql.held(conn, order)
            ours = await refunds_sql.of_order(conn, order)
        if held is None or held.order.state not in NEVER_OURS or ours:
            return None
        whole = held.collection.amount_fen == amount_fen
        return "a cancellation paid it back" if whole else None

    async def recalled(
        self, channel: str, order: str, payment_no: str, recall_no: str, amount_fen: int
    ) -> str | None:
        """The channel took a payment back. Explained is what was booked of it, to the fen."""
        async with self._db.transaction() as conn:
            held = await self._held(conn, channel, order, payment_no)
            if held is None or held.order.channel_no is None:
                return None
            held = await orders_sql.lock_of_order(conn, held.order.id)
            assert held is not None and held.order.channel_no is not None
            no = recall_no or f"bill:{held.order.id}"
            told = Recalled(no, held.order.channel_no, amount_fen, "")
            await self._steps.recall(conn, held, told)
            ours = await refunds_sql.of_order(conn, held.order.id)
        return "booked as a recall" if booked_fen(ours, told) == amount_fen else None

    async def returned(self, refund: str) -> None:
        """A refund came back to us: nothing explains that, whatever we know of it."""
        async with self._db.transaction() as conn:
            known = await self._refunding.find(conn, refund) if is_id(refund) else None
            if known is not None:
                await self._refunding.told(conn, *known, Refused(BACK))

    async def _held(self, conn: Conn, channel: str, order: str, payment_no: str) -> Held | None:
        """The order a line is of: by our number where it has one, else by the channel's."""
        found = order or await orders_sql.order_of_number(conn, channel, payment_no)
        held = await orders_sql.held(conn, found) if found and is_id(found) else None
        return held if held is not None and held.order.channel == channel else None


def _went_back(said: Queried) -> bool:
    return isinstance(said, Paid | Closed) and said.given_back
