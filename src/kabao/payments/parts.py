"""Payments as the tenders of one sale: set aside, taken and given back together.

The verbs are those of `Payments`, posted in the caller's transaction: whoever
keeps the sale writes its own rows there, and a crash leaves all of it or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import UNAVAILABLE
from kabao.base.ids import Ids
from kabao.cards.model import Resolved
from kabao.ledger.model import Command, Decision, HoldState, Moment, Root
from kabao.ledger.ops import Ledger
from kabao.paycodes.model import ByCode, Payable
from kabao.paycodes.ops import PayCodes
from kabao.payments import codes, sql
from kabao.payments.after import (
    HOLDING,
    Capture,
    GiveBack,
    OfPayment,
    Refunded,
    Reverse,
    Void,
    changed,
    set_free,
)
from kabao.payments.model import (
    ORDER_CHANNEL,
    WRONG_STATE,
    Limits,
    Payment,
    Place,
    Reversed,
    Status,
)
from kabao.payments.ops import STALE_TRIES, Payments, within
from kabao.payments.pay import Request, Stale, Terms, command
from kabao.payments.rules import dimensions

_replace = msgspec.structs.replace

ENDLESS_US = 100 * 365 * 86_400 * 1_000_000
"""How long the hold of a tender lasts by itself: the order's own time ends it,
and never while the order's outcome is unknown (ruling 20)."""


class Release(OfPayment, frozen=True, kw_only=True):
    """Set free what is left of a hold, for the order it belongs to; what was
    captured of it stays.
    """

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """A hold that was not captured at all is voided with it."""
        del moment
        payment = loaded
        self.admit(payment)
        if payment.status not in HOLDING:
            raise WRONG_STATE.error(f"The payment is {payment.status}.", rule="P-06")
        assert root is not None
        moves = set_free(payment, (payment.held_principal_fen, payment.held_bonus_fen))
        after = _replace(
            payment,
            held_principal_fen=0,
            held_bonus_fen=0,
            status=Status.CAPTURED if payment.captured_fen else Status.VOIDED,
            balance_after_fen=root.available_fen + payment.held_fen,
        )
        return changed(after, moves, "payment.released", root, HoldState.RELEASED)


class Want(msgspec.Struct, frozen=True):
    """A tender to set aside on a card."""

    company: str
    amount_fen: int
    currency: str
    place: Place
    reference: str
    """Of the order: a pay code is tied to it."""
    metadata: str
    accept_partial: bool


class Held(msgspec.Struct, frozen=True):
    """What became of it: a payment `authorized` or `declined`."""

    payment: Payment
    hold_us: int | None
    """How long the card's programme lets a hold last; None for an unknown card."""


class Part(msgspec.Struct, frozen=True):
    """So much of one payment."""

    payment: Payment
    amount_fen: int


class Parts:
    """Set aside, capture, release, void and refund several payments at once."""

    def __init__(self, payments: Payments, ledger: Ledger, paycodes: PayCodes, ids: Ids) -> None:
        self._payments, self._ledger, self._codes, self._ids = payments, ledger, paycodes, ids

    async def look_up(
        self, conn: Conn, sources: Sequence[Payable], beside: Sequence[str] = ()
    ) -> list[Resolved | None]:
        """The cards of a sale. Their roots are locked in one go, with those of the
        payments beside them: two sales with the same cards in another order must
        not wait for each other in a circle.
        """
        found = await self._codes.resolve(conn, sources)
        roots = [card.root for card in found if card is not None]
        await self._lock(conn, roots, await sql.load(conn, beside) if beside else {})
        return found

    async def lock(self, conn: Conn, payments: Sequence[str]) -> dict[str, Payment]:
        """Payments by id, their roots locked in one go."""
        found = await sql.load(conn, payments) if payments else {}
        await self._lock(conn, [], found)
        return found

    async def _lock(self, conn: Conn, roots: Sequence[str], beside: Mapping[str, Payment]) -> None:
        more = [payment.root for payment in beside.values() if payment.root is not None]
        await self._ledger.lock(conn, sorted({*roots, *more}))

    async def hold(
        self,
        conn: Conn,
        want: Want,
        source: Payable,
        found: Resolved | None,
        covers: Callable[[str], bool],
    ) -> Held:
        """Set value aside on a card that was looked up; a decline is an answer.

        Raises `unavailable` for a card that is changing all the time.
        """
        ident = self._ids.new()
        request = Request(
            id=ident,
            company=want.company,
            key=f"pay/{ident}",
            mac=b"",
            amount_fen=want.amount_fen,
            currency=want.currency,
            place=_replace(want.place, channel=ORDER_CHANNEL),
            reference=want.reference,
            metadata=want.metadata,
            capture=False,
            accept_partial=want.accept_partial,
        )
        before: Resolved | None = None
        for tries in range(STALE_TRIES):
            if tries:
                found = (await self.look_up(conn, [source]))[0]
                if found == before:
                    found = None  # not changing: it was replaced, and is nobody's any more
            before = found
            card = within(found, covers)
            terms = self._payments.terms(card, request.place)
            endless = _endless(terms)
            asked = (
                codes.pay_command(request, card, endless)
                if isinstance(card, ByCode)
                else command(request, card, endless)
            )
            payment = (await self._ledger.post_in(conn, [asked]))[0]
            if not isinstance(payment, Stale):
                return Held(payment, terms.limits.hold_us if terms is not None else None)
        raise UNAVAILABLE.error("The card is changing; try again.")

    # `place` is the till that asks, here and in the verbs below: its shift counts it.

    async def capture(
        self, conn: Conn, parts: Sequence[Part], place: Place, *, final: bool
    ) -> list[Payment]:
        """Take so much of each hold; `final` sets the rest of them free."""
        return await self._post(
            conn,
            [
                Capture(**self._about(part.payment, place), amount_fen=part.amount_fen, final=final)
                for part in parts
            ],
        )

    async def release(self, conn: Conn, payments: Sequence[Payment], place: Place) -> list[Payment]:
        """Set free what is left of each hold."""
        return await self._post(conn, [Release(**self._about(p, place)) for p in payments])

    async def void(
        self, conn: Conn, payments: Sequence[Payment], place: Place, shift: str | None
    ) -> list[Payment]:
        """Undo each whole; `shift` as in `Payments.void`. Raises `void_window_over`."""
        limits = await self._limits(conn, payments)
        return await self._post(
            conn,
            [
                Void(**self._about(p, place), limits=known, shift=shift)
                for p, known in zip(payments, limits, strict=True)
            ],
        )

    async def reverse(
        self, conn: Conn, payments: Sequence[Payment], place: Place
    ) -> list[Reversed]:
        """Undo each whole, because the outcome is not known. Raises `reversal_window_over`."""
        limits = await self._limits(conn, payments)
        return await self._post(
            conn,
            [
                Reverse(**self._about(p, place), limits=known)
                for p, known in zip(payments, limits, strict=True)
            ],
        )

    async def refund(
        self, conn: Conn, parts: Sequence[Part], place: Place, *, by_hand: bool
    ) -> list[Refunded]:
        """Give back so much of each; `by_hand` as in `Payments.refund`.

        Raises `refund_window_over`, `approval_needed`.
        """
        limits = await self._limits(conn, [part.payment for part in parts])
        return await self._post(
            conn,
            [
                GiveBack(
                    **self._about(part.payment, place),
                    amount_fen=part.amount_fen,
                    limits=known,
                    by_hand=by_hand,
                )
                for part, known in zip(parts, limits, strict=True)
            ],
        )

    async def _post(self, conn: Conn, commands: Sequence[Command[Any]]) -> list[Any]:
        return await self._ledger.post_in(conn, commands) if commands else []

    def _about(self, payment: Payment, place: Place) -> dict[str, Any]:
        operation = self._ids.new()
        return {
            "company": payment.company,
            "operation": operation,
            "key": f"order/{operation}",
            "root": payment.root,
            "dims": dimensions(_replace(place, channel=payment.channel)),
            "loader": sql.load,
            "wanted": payment.id,
            "by_order": True,
        }

    async def _limits(self, conn: Conn, payments: Sequence[Payment]) -> list[Limits]:
        """What policy says today of each payment's card."""
        ids = [p.root for p in payments if p.root is not None]
        assert len(ids) == len(payments), "what was set aside has its root"
        roots = await self._ledger.lock(conn, sorted(set(ids)))
        return [self._payments.limits(roots[ident].programme) for ident in ids]


def _endless(terms: Terms | None) -> Terms | None:
    if terms is None:
        return None
    return _replace(terms, limits=_replace(terms.limits, hold_us=ENDLESS_US))
