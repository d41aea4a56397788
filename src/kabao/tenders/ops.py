"""The verbs of payment orders. Each is one transaction: the order is locked first,
then the roots of its cards, and everything is stored together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.base.outbox import Pending
from kabao.cards.model import Source
from kabao.org.ops import Org
from kabao.payments.model import Payment, Place
from kabao.payments.parts import Part, Parts, Want
from kabao.policy import names
from kabao.policy.choices import TenderOrder
from kabao.policy.model import Rules
from kabao.policy.ops import NATIONAL, Policy
from kabao.tenders import rules, sql
from kabao.tenders.model import HOLDING, Kind, PaymentOrder, Refund, RefundPart, Status

_replace = msgspec.structs.replace

SWEPT_AT_ONCE = 200
SETTLED_AT_ONCE = 1_000

US_PER_MINUTE = 60_000_000
US_PER_DAY = 24 * 60 * US_PER_MINUTE

Covers = Callable[[str], bool]
"""Whether the caller's scope covers the cards of an issuer."""


class NewOrder(msgspec.Struct, frozen=True):
    """A payment order to open."""

    company: str
    place: Place
    amount_fen: int
    currency: str
    at_once: bool
    reference: str | None
    metadata: str


class NewTender(msgspec.Struct, frozen=True):
    """A tender to add. `source` is given exactly for a card."""

    kind: Kind
    amount_fen: int | None
    """None: all that remains."""
    source: Source | None = None
    accept_partial: bool = False
    channel: str | None = None
    reference: str | None = None


class Told(msgspec.Struct, frozen=True):
    """What an event tells of an order; the rest is read by its id."""

    payment_order: str
    store: str
    status: str
    amount: int
    captured: int
    refunded: int
    currency: str


class Tenders:
    """Open, add, capture, release, cancel, refund, freeze; sweep and settle."""

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

    # Tendering

    async def open(
        self, conn: Conn, new: NewOrder, tenders: Sequence[NewTender], covers: Covers
    ) -> PaymentOrder:
        """Open an order and set its first tenders aside, captured if they suffice
        and it is to be captured at once. A declined tender is an answer.

        Amounts are checked before any card is touched: a refusal in the middle
        would take back what a wrong PIN had been counted.
        """
        now_us = self._clock.now_us()
        today = self._days.of(now_us)
        allowed = self._rules(new.place.store)
        place = new.place
        order = PaymentOrder(
            id=self._ids.new(),
            company=new.company,
            store=place.store,
            terminal=place.terminal,
            cashier=place.cashier,
            shift=place.shift,
            reference=new.reference,
            metadata=new.metadata,
            currency=new.currency,
            amount_fen=new.amount_fen,
            at_once=new.at_once,
            status=Status.OPEN,
            ends_us=now_us + allowed.int(names.HOLD_CART_MINUTES) * US_PER_MINUTE,
            frozen_until_us=None,
            freeze_reason=None,
            outcome_unknown=False,
            captured_on=None,
            settled_on=None,
            created_us=now_us,
            business_date=today,
        )
        rules.check_opening(new.amount_fen, [t.amount_fen for t in tenders], _most(allowed))
        await sql.insert_order(conn, order)
        return await self._tendered(conn, order, tenders, covers)

    async def add(self, conn: Conn, ident: str, new: NewTender, covers: Covers) -> PaymentOrder:
        """Add a tender to an open order, such as cash after a card that had too little.

        Raises `exceeds_payment_order`, `too_many_tenders`, `payment_order_over`,
        `payment_order_state_forbids`, `payment_order_frozen`.
        """
        return await self._tendered(conn, await self._locked(conn, ident), [new], covers)

    async def _tendered(
        self, conn: Conn, order: PaymentOrder, tenders: Sequence[NewTender], covers: Covers
    ) -> PaymentOrder:
        """The order with these tenders, and captured if they are the last."""
        most = _most(self._rules(order.store))
        sources = [t.source for t in tenders if t.source is not None]
        cards = iter(await self._parts.look_up(conn, sources) if sources else ())
        for new in tenders:
            now_us = self._clock.now_us()
            amount = rules.to_tender(order, new.amount_fen, now_us, most)
            ident, hold_us = self._ids.new(), None
            if new.source is None:
                tender = rules.recorded(
                    ident,
                    order,
                    new.kind,
                    amount,
                    now_us,
                    channel=new.channel,
                    reference=new.reference,
                )
            else:
                want = self._want(order, amount, accept_partial=new.accept_partial)
                held = await self._parts.hold(conn, want, new.source, next(cards), covers)
                tender, hold_us = rules.of_payment(ident, order, held.payment, now_us), held.hold_us
            await sql.insert_tender(conn, tender)
            order = rules.tendered(order, tender, now_us, hold_us, self._longest_us(order))
        await sql.update_order(conn, order)
        if order.at_once and not order.remaining_fen:
            return await self._capture(conn, order, None, final=True)
        return order

    def _want(self, order: PaymentOrder, amount_fen: int, *, accept_partial: bool) -> Want:
        named = msgspec.json.encode({"payment_order": to_edge("pmo", order.id)}).decode()
        return Want(
            company=order.company,
            amount_fen=amount_fen,
            currency=order.currency,
            place=Place(order.store, order.terminal, order.cashier, order.shift),
            reference=order.reference,
            metadata=named,
            accept_partial=accept_partial,
        )

    # What becomes of it

    async def capture(
        self, conn: Conn, ident: str, amount_fen: int | None, *, final: bool
    ) -> PaymentOrder:
        """Take all that is held, or part of it: goods that are handed over or sent.
        `final` sets the rest free.

        Raises `payment_order_incomplete`, `exceeds_payment_order`,
        `payment_order_over`, `payment_order_state_forbids`, `payment_order_frozen`.
        """
        return await self._capture(conn, await self._locked(conn, ident), amount_fen, final=final)

    async def _capture(
        self, conn: Conn, order: PaymentOrder, amount_fen: int | None, *, final: bool
    ) -> PaymentOrder:
        now_us = self._clock.now_us()
        shares = rules.to_capture(order, amount_fen, now_us)
        payments = await self._payments(conn, order)
        taken, left = [], []
        for tender, share in zip(order.tenders, shares, strict=True):
            if tender.payment is None or not tender.held_fen:
                continue
            if share:
                taken.append(Part(payments[tender.payment], share))
            elif final:
                left.append(payments[tender.payment])
        await self._parts.capture(conn, taken, final=final)
        await self._parts.release(conn, left)
        after = rules.captured(order, shares, final=final, on=self._days.of(now_us))
        return await self._stored(conn, after, after.status)

    async def release(self, conn: Conn, ident: str) -> PaymentOrder:
        """Set free what is held still; what was captured stays.

        Raises `payment_order_state_forbids`, `payment_order_frozen`.
        """
        order = await self._locked(conn, ident)
        rules.require(order, HOLDING, self._clock.now_us())
        return await self._release(conn, order, Status.CANCELLED)

    async def _release(self, conn: Conn, order: PaymentOrder, otherwise: Status) -> PaymentOrder:
        payments = await self._payments(conn, order)
        held = [payments[t.payment] for t in order.tenders if t.payment and t.held_fen]
        await self._parts.release(conn, held)
        after = rules.released(order, otherwise)
        event = "released" if after.status == Status.CAPTURED else after.status
        return await self._stored(conn, after, event)

    async def cancel(self, conn: Conn, ident: str, shift: str | None) -> PaymentOrder:
        """Undo an order whole, what was captured included; `shift` is the one under
        way at its till. What was paid outside is due back.

        Raises `void_window_over`, `later_activity`, `payment_order_state_forbids`,
        `payment_order_frozen`.
        """
        order = await self._locked(conn, ident)
        after = rules.cancelled(order, self._clock.now_us())
        payments = await self._payments(conn, order)
        moved = [
            payments[t.payment] for t in order.tenders if t.payment and t.held_fen + t.captured_fen
        ]
        await self._parts.void(conn, moved, shift)
        return await self._stored(conn, after, after.status)

    async def refund(self, conn: Conn, ident: str, amount_fen: int | None) -> Refund:
        """Give back part or all of what was captured. Cards get theirs at once; what
        was paid outside is due from the cashier or the channel.

        Raises `exceeds_payment_order`, `refund_window_over`,
        `payment_order_state_forbids`, `payment_order_frozen`.
        """
        order, now_us = await self._locked(conn, ident), self._clock.now_us()
        rules.require(order, rules.TAKEN, now_us)
        by = TenderOrder(self._rules(order.store).text(names.TENDER_REFUND_ORDER))
        shares = rules.to_refund(order, amount_fen, by)
        refund = Refund(self._ids.new(), order.id, sum(shares), now_us)
        refund = _replace(refund, parts=await self._refund_parts(conn, refund.id, order, shares))
        await sql.insert_refund(conn, refund)
        await self._stored(conn, rules.refunded(order, shares), "refunded")
        return refund

    async def _refund_parts(
        self, conn: Conn, refund: str, order: PaymentOrder, shares: Sequence[int]
    ) -> tuple[RefundPart, ...]:
        payments = await self._payments(conn, order)
        given = [(t, share) for t, share in zip(order.tenders, shares, strict=True) if share]
        cards = [Part(payments[t.payment], share) for t, share in given if t.payment]
        back = iter(await self._parts.refund(conn, cards))
        parts = []
        for tender, share in given:
            if tender.payment is None:
                parts.append(RefundPart(refund, tender.id, share, None, tender.kind, None))
                continue
            done = next(back).refund
            parts.append(RefundPart(refund, tender.id, share, done.id, done.destination, done.rule))
        return tuple(parts)

    # Exceptions

    async def freeze(
        self, conn: Conn, ident: str, reason: str, *, outcome_unknown: bool
    ) -> PaymentOrder:
        """Let nothing move for a while; with an unknown outcome, until it is known.

        Raises `payment_order_state_forbids`, `payment_order_too_long`.
        """
        order = await self._locked(conn, ident)
        after = rules.frozen(
            order,
            reason,
            self._clock.now_us(),
            freeze_us=self._rules(order.store).int(names.HOLD_FREEZE_MINUTES) * US_PER_MINUTE,
            longest_us=self._longest_us(order),
            outcome_unknown=outcome_unknown,
        )
        return await self._stored(conn, after, "frozen")

    async def unfreeze(self, conn: Conn, ident: str) -> PaymentOrder:
        """The outcome is known. Raises `payment_order_state_forbids`."""
        order = await self._locked(conn, ident)
        return await self._stored(conn, rules.unfrozen(order, self._clock.now_us()), "unfrozen")

    # Jobs

    async def sweep(self) -> int:
        """Set free what nobody finished in time. Returns how many orders."""
        async with self._db.read() as conn:
            due = await sql.overdue(conn, self._clock.now_us(), SWEPT_AT_ONCE)
        swept = 0
        for ident in due:
            async with self._db.transaction() as conn:
                order, now_us = await sql.lock_if_free(conn, ident), self._clock.now_us()
                if order is None or not rules.is_over(order, now_us):
                    continue  # somebody was faster
                await self._release(conn, order, Status.EXPIRED)
                swept += 1
        return swept

    async def settle(self) -> int:
        """Settle what was captured some days ago, as policy says (P-06). Returns how many."""
        now_us = self._clock.now_us()
        today = self._days.of(now_us)
        house = self._policy.rules(jurisdiction=NATIONAL, on=today)
        until = today - timedelta(days=house.int(names.TENDER_SETTLE_DAYS))
        async with self._db.transaction() as conn:
            settled = await sql.settle(conn, until, today, now_us, SETTLED_AT_ONCE)
            for ident in settled:
                await self._tell(conn, await self.get(conn, ident), "settled")
        return len(settled)

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
        before: str | None = None,
        limit: int = 50,
    ) -> list[PaymentOrder]:
        """Orders, newest first; `stores` None: of every store."""
        return await sql.search(conn, stores, reference, status, before, limit)

    async def refunds(self, conn: Conn, ident: str) -> list[Refund]:
        """An order's refunds, oldest first."""
        return await sql.refunds_of(conn, ident)

    async def _locked(self, conn: Conn, ident: str) -> PaymentOrder:
        return _there(await sql.lock(conn, ident))

    async def _payments(self, conn: Conn, order: PaymentOrder) -> dict[str, Payment]:
        return await self._parts.load(conn, [t.payment for t in order.tenders if t.payment])

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


def _most(allowed: Rules) -> rules.Most:
    name = names.TENDER_MAX_COUNT
    return rules.Most(allowed.int(name), allowed.row(name))
