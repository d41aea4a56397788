"""What becomes of an order: released, cancelled, refunded, frozen, swept, settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from kabao.base import logs
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.merchants.model import Alone
from kabao.payments.model import Payment, Place
from kabao.payments.parts import Part
from kabao.policy import names
from kabao.policy.choices import TenderOrder
from kabao.policy.ops import NATIONAL
from kabao.tenders import rules, sql
from kabao.tenders.model import HOLDING, PaymentOrder, Refund, RefundPart, Status
from kabao.tenders.ops.orders import US_PER_MINUTE
from kabao.tenders.ops.tendering import Tendering

log = logs.get("tenders")

_replace = msgspec.structs.replace

SWEPT_AT_ONCE = 200
SETTLED_AT_ONCE = 1_000


class Tenders(Tendering):
    """Open, add, capture, release, cancel, refund, freeze; sweep and settle."""

    async def release(self, conn: Conn, ident: str, place: Place) -> PaymentOrder:
        """Set free what is held still; what was captured stays.

        Raises `payment_order_state_forbids`, `payment_order_frozen`.
        """
        order = await self._locked(conn, ident)
        rules.require(order, HOLDING, self._clock.now_us())
        return await self._release(conn, order, Status.CANCELLED, place)

    async def _release(
        self, conn: Conn, order: PaymentOrder, otherwise: Status, place: Place
    ) -> PaymentOrder:
        payments = await self._payments(conn, order)
        held = [payments[t.payment] for t in order.tenders if t.payment and t.held_fen]
        await self._parts.release(conn, held, place)
        after = rules.released(order, otherwise)
        await self._give_back(conn, order, after, place)
        event = "released" if after.status == Status.CAPTURED else after.status
        return await self._stored(conn, after, event)

    async def cancel(self, conn: Conn, ident: str, place: Place, shift: str | None) -> PaymentOrder:
        """Undo an order whole, what was captured included; `shift` is the one that its
        cashier works now. What was paid outside is due back.

        Raises `void_window_over`, `later_activity`, `payment_order_state_forbids`,
        `payment_order_frozen`.
        """
        order, now_us = await self._locked(conn, ident), self._clock.now_us()
        window_row = self._rules(order.store).row(names.PAY_VOID_WINDOW)
        after = rules.cancelled(order, now_us, self._days.of(now_us), window_row)
        await self._parts.void(conn, await self._moved(conn, order), place, shift)
        await self._give_back(conn, order, after, place)
        return await self._stored(conn, after, after.status)

    async def reverse(self, conn: Conn, ident: str, place: Place) -> int:
        """Undo an order whole because its outcome is not known, within the time in which
        any payment may be reversed. Returns what was undone in fen, nothing of an
        order that was undone before.

        Raises `reversal_window_over`, `later_activity`, `payment_order_state_forbids`,
        `payment_order_frozen`.
        """
        order, now_us = await self._locked(conn, ident), self._clock.now_us()
        if order.status in rules.UNDONE:
            return 0
        policy, name = self._rules(order.store), names.PAY_REVERSAL_WINDOW_HOURS
        until_us = order.created_us + policy.int(name) * 60 * US_PER_MINUTE
        after = rules.reversed_(order, now_us, until_us, policy.row(name))
        await self._parts.reverse(conn, await self._moved(conn, order), place)
        await self._give_back(conn, order, after, place)
        await self._stored(conn, after, after.status)
        return order.held_fen + order.captured_fen

    async def _moved(self, conn: Conn, order: PaymentOrder) -> list[Payment]:
        """The payments of an order that hold or took value."""
        payments = await self._payments(conn, order)
        return [
            payments[t.payment] for t in order.tenders if t.payment and t.held_fen + t.captured_fen
        ]

    async def refund(
        self,
        conn: Conn,
        ident: str,
        amount_fen: int | None,
        place: Place,
        *,
        by_hand: bool = False,
        alone: Alone | None = None,
    ) -> Refund:
        """Give back part or all of what was captured. Cards get theirs at once; what
        was paid outside is due from the cashier or the channel. `by_hand`: entered
        in the back office, not at a till; `alone`: by a cashier whom no supervisor
        has allowed it.

        Raises `exceeds_payment_order`, `refund_window_over`, `approval_needed`,
        `override_needed`, `payment_order_state_forbids`, `payment_order_frozen`.
        """
        order, now_us = await self._locked(conn, ident), self._clock.now_us()
        rules.require(order, rules.TAKEN, now_us)
        policy = self._rules(order.store)
        by = TenderOrder(policy.text(names.TENDER_REFUND_ORDER))
        shares = rules.to_refund(order, amount_fen, by)
        if by_hand:
            name = names.APPROVAL_REFUND_FROM_FEN
            rules.check_by_hand(order, sum(shares), policy.int(name), policy.row(name))
        if alone is not None:
            alone.check(order.refunded_fen + sum(shares))
        refund = Refund(self._ids.new(), order.id, sum(shares), now_us)
        after = rules.refunded(order, shares)
        parts = await self._refund_parts(conn, refund.id, order, shares, place, by_hand=by_hand)
        due = dict(zip((t.id for t in after.tenders), rules.due_back(order, after), strict=True))
        parts = tuple(_replace(part, due_back_fen=due[part.tender]) for part in parts)
        refund = _replace(refund, parts=parts)
        await sql.insert_refund(conn, refund)
        await self._give_back(conn, order, after, place)
        await self._stored(conn, after, "refunded")
        return refund

    async def _refund_parts(
        self,
        conn: Conn,
        refund: str,
        order: PaymentOrder,
        shares: Sequence[int],
        place: Place,
        *,
        by_hand: bool,
    ) -> tuple[RefundPart, ...]:
        payments = await self._payments(conn, order)
        given = [(t, share) for t, share in zip(order.tenders, shares, strict=True) if share]
        cards = [Part(payments[t.payment], share) for t, share in given if t.payment]
        back = iter(await self._parts.refund(conn, cards, place, by_hand=by_hand))
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
            try:
                swept += await self._sweep_one(ident)
            except KabaoError as refused:
                # The others must not wait for one that somebody has to look at.
                log.error("tenders.not_swept", payment_order=ident, code=refused.code.name)
        return swept

    async def _sweep_one(self, ident: str) -> bool:
        async with self._db.transaction() as conn:
            order = await sql.lock_if_free(conn, ident)
            if order is None or not rules.is_over(order, self._clock.now_us()):
                return False  # somebody was faster
            await self._release(conn, order, Status.EXPIRED, Place(order.store))
            return True

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
