"""Reading and storing payment orders: what all their verbs stand on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, ids_of_day, to_edge
from kabao.base.outbox import Pending
from kabao.merchants.model import TotalLine
from kabao.org.ops import Org
from kabao.payments.model import Payment, Place
from kabao.payments.parts import Parts
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.tenders import rules, sql
from kabao.tenders.model import CashEntry, PaymentOrder, Refund, Status, Tender

US_PER_MINUTE = 60_000_000
US_PER_DAY = 24 * 60 * US_PER_MINUTE


class Told(msgspec.Struct, frozen=True):
    """What an event tells of an order; the rest is read by its id."""

    payment_order: str
    store: str
    status: str
    amount: int
    captured: int
    refunded: int
    currency: str


class Orders:
    """Payment orders as they are."""

    def __init__(
        self,
        db: Database,
        parts: Parts,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._parts, self._org, self._policy = db, parts, org, policy
        self._clock, self._days, self._ids = clock, days, ids

    # Reading

    async def get(self, conn: Conn, ident: str) -> PaymentOrder:
        """An order as it is now. Raises `not_found`."""
        return _there(await sql.load(conn, ident))

    async def search(
        self,
        conn: Conn,
        *,
        stores: Sequence[str] | None,
        reference: str | None = None,
        status: Status | None = None,
        day: date | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[PaymentOrder]:
        """Orders, newest first; `stores` None: of every store. Without a reference it is
        one business day, today's if none is named.
        """
        if day is None and reference is None:
            day = self._days.of(self._clock.now_us())
        span = (day, *ids_of_day(self._days, day)) if day is not None else None
        return await sql.search(conn, stores, reference, status, span, before, limit)

    async def refunds(
        self, conn: Conn, ident: str, *, after: str | None = None, limit: int = 50
    ) -> list[Refund]:
        """An order's refunds, oldest first."""
        return await sql.refunds_of(conn, ident, after, limit)

    async def _locked(self, conn: Conn, ident: str) -> PaymentOrder:
        return _there(await sql.lock(conn, ident))

    async def _payments(self, conn: Conn, order: PaymentOrder) -> dict[str, Payment]:
        """The payments of an order's cards, which nobody else moves from now on."""
        return await self._parts.lock(conn, [t.payment for t in order.tenders if t.payment])

    # Cash

    async def cash_of_shift(self, conn: Conn, shift: str) -> list[TotalLine]:
        """What a shift's drawer got and gave back for payment orders."""
        return await sql.cash_of_shift(conn, shift)

    async def _give_back(
        self, conn: Conn, before: PaymentOrder, after: PaymentOrder, place: Place
    ) -> None:
        """Note what cashiers give back of cash, at the till that does."""
        await self._cash(conn, rules.given_back(before, after), "order_refund", place)

    async def _cash(
        self, conn: Conn, moved: Sequence[tuple[Tender, int]], verb: str, place: Place
    ) -> None:
        """Note what came into a drawer or left it; what rounding made nothing of is no entry."""
        now_us = self._clock.now_us()
        for tender, fen in moved:
            if not fen:
                continue
            order, shift = tender.payment_order, place.shift
            entry = CashEntry(self._ids.new(), order, tender.id, shift, verb, fen, now_us)
            await sql.insert_cash(conn, entry)

    async def _stored(self, conn: Conn, order: PaymentOrder, event: str) -> PaymentOrder:
        await sql.update_order(conn, order)
        await self._tell(conn, order, event)
        return order

    async def _tell(self, conn: Conn, order: PaymentOrder, event: str) -> None:
        told = Told(
            to_edge("pmo", order.id),
            to_edge("sto", order.store),
            order.status,
            order.amount_fen,
            order.captured_fen,
            order.refunded_fen,
            order.currency,
        )
        pending = Pending(f"payment_order.{event}", told)
        await outbox.write(conn, [pending], self._clock.now_us())

    # Policy

    def _rules(self, store: str) -> Rules:
        """What holds today where a store's company is at home."""
        found = self._org.store(store)
        company = self._org.company(found.company) if found is not None else None
        assert company is not None, "an order without its store"
        today = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction=company.jurisdiction, on=today)

    def _longest_us(self, order: PaymentOrder) -> int:
        return self._rules(order.store).int(names.HOLD_LONGEST_DAYS) * US_PER_DAY


def _there(order: PaymentOrder | None) -> PaymentOrder:
    if order is None:
        raise NOT_FOUND.error("There is no such payment order.")
    return order
