"""What comes to our bank accounts: booked for the order it is for, or a case."""

from __future__ import annotations

from datetime import date, timedelta

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.answers import TRANSFERRED, Paid, Unknown, Unreachable
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.funding.model.receipts import Expected, Nobodys, Receipt, Receipts, owner
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.steps import Steps
from kabao.funding.ports import Claims, Receives
from kabao.funding.sql import collections as sql
from kabao.funding.sql import receipts as receipts_sql
from kabao.vault.ops import Vault

log = logs.get("funding")


class Receiving:
    """Looks at what came, yesterday and today: a bank books late, and so do we. After an outage
    it looks from the last day on that was listed to its end.
    """

    def __init__(
        self,
        db: Database,
        channels: Channels,
        steps: Steps,
        cases: Cases,
        vault: Vault,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._channels, self._steps = db, channels, steps
        self._cases, self._vault = cases, vault
        self._ids, self._clock, self._days = ids, clock, days
        self._claims: list[Claims] = []

    def ask_also(self, claims: Claims) -> None:
        """From now on they are asked about what is for no order."""
        self._claims.append(claims)

    async def look(self) -> int:
        """Ask every bank; for a tick. Gives how many sums were new."""
        found = 0
        for channel in self._channels.every():
            adapter = self._channels.adapter(channel.id)
            if isinstance(adapter, Receives):
                found += await self._catch_up(channel, adapter)
        return found

    async def _catch_up(self, channel: Channel, bank: Receives) -> int:
        """Day by day, the oldest first. A bank that cannot be asked is asked from there again."""
        today = self._days.of(self._clock.now_us())
        listed = await self._listed_until(channel)
        day = min(listed, today) - timedelta(days=1)
        found = 0
        while day <= today:
            new = await self._day(channel, bank, day)
            if new is None:
                break
            found += new
            if day > listed:
                await self._keep(channel, day)
            day += timedelta(days=1)
        return found

    async def _listed_until(self, channel: Channel) -> date:
        """The last day that was listed, which may have grown since. Where none was, everything
        from the last receipt on is looked at.
        """
        async with self._db.read() as conn:
            listed = await receipts_sql.listed_until(conn, channel.id)
            last = None if listed is not None else await receipts_sql.last(conn, channel.id)
        return listed or self._days.of(to_us(last or channel.created_at))

    async def _keep(self, channel: Channel, day: date) -> None:
        async with self._db.transaction() as conn:
            await receipts_sql.keep_listed(conn, channel.id, day)

    async def _day(self, channel: Channel, bank: Receives, day: date) -> int | None:
        """How many sums of a day were new; None: the bank cannot be asked now."""
        said = await bank.receipts(day)
        if not isinstance(said, Receipts):
            log.warning("funding.no_receipts", channel=channel.id, reason=said.reason)
            return None if isinstance(said, Unreachable | Unknown) else 0
        async with self._db.read() as conn:
            new = await receipts_sql.new(conn, channel.id, [one.no for one in said.items])
        coming = [one for one in said.items if one.no in new]
        for receipt in coming:
            await self._take_safely(channel, receipt)
        return len(coming)

    async def _take_safely(self, channel: Channel, receipt: Receipt) -> None:
        """One that cannot be taken stops no other, and comes again."""
        try:
            async with self._db.transaction() as conn:
                await self._take(conn, channel, receipt)
        except Exception as wrong:  # noqa: BLE001 -- a purpose's defect: it comes again
            log.error("funding.receipt_failed", channel=channel.id, reason=type(wrong).__name__)

    async def _take(self, conn: Conn, channel: Channel, receipt: Receipt) -> None:
        whose = await self._owner(conn, channel, receipt)
        nobodys = whose if isinstance(whose, Nobodys) else None
        if nobodys is Nobodys.NO_ORDER and await self._claimed(conn, channel, receipt):
            nobodys = Nobodys.ELSEWHERE
        ident = self._ids.new()
        at = ("funding.receipt", "payer", ident)
        first = await receipts_sql.insert(
            conn,
            ident,
            channel.id,
            receipt,
            payer=self._vault.encrypt(*at, receipt.payer.encode()) if receipt.payer else None,
            order=whose.order_no if isinstance(whose, Expected) else None,
            nobodys=nobodys,
            seen_us=self._clock.now_us(),
        )
        if not first:
            return  # another process was faster
        if nobodys is not None:
            if nobodys is not Nobodys.ELSEWHERE:
                await self._case(conn, channel, receipt, nobodys)
            return
        assert isinstance(whose, Expected), "an order, or nobody's"
        held = await sql.lock_of_order(conn, whose.order_no)
        assert held is not None, "orders are never deleted"
        paid = Paid(
            receipt.no,
            receipt.amount_fen,
            receipt.at_us,
            receipt.payer,
            TRANSFERRED,
            payer_id=receipt.payer_account,
        )
        await self._steps.take(conn, held, paid)

    async def _claimed(self, conn: Conn, channel: Channel, receipt: Receipt) -> bool:
        for claims in self._claims:
            if await claims.came(conn, channel, receipt):
                return True
        return False

    async def _owner(self, conn: Conn, channel: Channel, receipt: Receipt) -> Expected | Nobodys:
        references = [receipt.reference] if receipt.reference else []
        waiting = await sql.waiting_for(conn, channel.id, references)
        orders = [Expected(one.order.id, one.collection.amount_fen) for one in waiting]
        return owner(receipt, {receipt.reference: orders})

    async def _case(self, conn: Conn, channel: Channel, receipt: Receipt, why: Nobodys) -> None:
        """Who pays, and what they wrote, stands in the bank's statement under that number."""
        case = NewCase(
            kind="funding.nobodys",
            subject=to_edge(CHANNEL, channel.id),
            company=channel.company,
            facts={"receipt": receipt.no[:64], "amount": receipt.amount_fen, "why": why.value},
            key=f"{channel.id}:{receipt.no}"[:128],
        )
        await self._cases.open_in(conn, case)
