"""Tendering: an order is opened, its tenders are set aside, and captured together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.paycodes.model import Payable
from kabao.payments.model import Place
from kabao.payments.parts import Part, Want
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.tenders import rules, sql
from kabao.tenders.model import Kind, PaymentOrder, Status
from kabao.tenders.ops.orders import US_PER_MINUTE, Orders

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
    source: Payable | None = None
    accept_partial: bool = False
    channel: str | None = None
    reference: str | None = None


class Tendering(Orders):
    """Open, add, capture."""

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
        return await self._tendered(conn, order, tenders, covers, place)

    # `place` is the till that asks, here and in the verbs below: its shift counts it.

    async def add(
        self, conn: Conn, ident: str, new: NewTender, covers: Covers, place: Place
    ) -> PaymentOrder:
        """Add a tender to an open order, such as cash after a card that had too little.

        Raises `exceeds_payment_order`, `too_many_tenders`, `payment_order_over`,
        `payment_order_state_forbids`, `payment_order_frozen`.
        """
        return await self._tendered(conn, await self._locked(conn, ident), [new], covers, place)

    async def _tendered(
        self,
        conn: Conn,
        order: PaymentOrder,
        tenders: Sequence[NewTender],
        covers: Covers,
        place: Place,
    ) -> PaymentOrder:
        """The order with these tenders, and captured if they are the last."""
        allowed = self._rules(order.store)
        most = _most(allowed)
        sources = [t.source for t in tenders if t.source is not None]
        beside = [t.payment for t in order.tenders if t.payment]
        cards = iter(await self._parts.look_up(conn, sources, beside) if sources else ())
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
                    coin_fen=allowed.int(names.TILL_CASH_ROUNDING_FEN),
                )
            else:
                want = self._want(order, amount, place, accept_partial=new.accept_partial)
                held = await self._parts.hold(conn, want, new.source, next(cards), covers)
                tender, hold_us = rules.of_payment(ident, order, held.payment, now_us), held.hold_us
            await sql.insert_tender(conn, tender)
            if tender.of_cash:
                await self._cash(conn, [(tender, tender.paid_in_fen)], "order", place)
            order = rules.tendered(order, tender, now_us, hold_us, self._longest_us(order))
        await sql.update_order(conn, order)
        if order.at_once and not order.remaining_fen:
            return await self._capture(conn, order, None, place, final=True)
        return order

    def _want(
        self, order: PaymentOrder, amount_fen: int, place: Place, *, accept_partial: bool
    ) -> Want:
        name = to_edge("pmo", order.id)
        return Want(
            company=order.company,
            amount_fen=amount_fen,
            currency=order.currency,
            place=Place(order.store, order.terminal, order.cashier, place.shift),
            reference=order.reference or name,
            metadata=msgspec.json.encode({"payment_order": name}).decode(),
            accept_partial=accept_partial,
        )

    async def capture(
        self, conn: Conn, ident: str, amount_fen: int | None, place: Place, *, final: bool
    ) -> PaymentOrder:
        """Take all that is held, or part of it: goods that are handed over or sent.
        `final` sets the rest free.

        Raises `payment_order_incomplete`, `exceeds_payment_order`,
        `payment_order_over`, `payment_order_state_forbids`, `payment_order_frozen`.
        """
        order = await self._locked(conn, ident)
        return await self._capture(conn, order, amount_fen, place, final=final)

    async def _capture(
        self,
        conn: Conn,
        order: PaymentOrder,
        amount_fen: int | None,
        place: Place,
        *,
        final: bool,
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
        await self._parts.capture(conn, taken, place, final=final)
        await self._parts.release(conn, left, place)
        after = rules.captured(order, shares, final=final, on=self._days.of(now_us))
        await self._give_back(conn, order, after, place)
        return await self._stored(conn, after, after.status)


def _most(allowed: Rules) -> rules.Most:
    name = names.TENDER_MAX_COUNT
    return rules.Most(allowed.int(name), allowed.row(name))
