"""Paying by pay code: once, and from its first presentation on at one till for one order.

A code's series has one row here, its *tie*: the newest number that was shown first
somewhere, where, and what it paid. It is read and written under the card's lock, so of
two presentations at once one comes first, and the row needs no lock of its own. What the
code itself must be (right, in time, the newest) was found in `paycodes.resolve`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.cards.model import Proof
from kabao.ledger.model import Decision, Moment, Root
from kabao.paycodes.model import ByCode
from kabao.payments import sql
from kabao.payments.inquire import Inquire
from kabao.payments.model import Decline, Inquiry, Payment, Status, Tie
from kabao.payments.pay import Pay, Request, Terms, command
from kabao.payments.rules import No

RULE = "P-14"
_USED = No(Decline.PAY_CODE_USED, RULE)
_EXPIRED = No(Decline.PAY_CODE_EXPIRED, RULE)


def refusal(shown: ByCode, tie: Tie | None, request: Request, now_us: int) -> No | None:
    """Why a code may not be paid with here and now, if it may not (P-14).

    Its age counts when it is shown first; afterwards the tie is what counts.
    """
    if tie is None or tie.number < shown.number:
        return _EXPIRED if shown.superseded or now_us >= shown.until_us else None
    if tie.number > shown.number:
        return _EXPIRED  # a newer code of the series was shown meanwhile
    place = request.place
    if (tie.store, tie.terminal, tie.reference) != (
        place.store,
        place.terminal,
        order_of(request),
    ):
        return _USED
    if tie.left_fen is not None and request.amount_fen > tie.left_fen:
        return _USED
    return _EXPIRED if now_us >= tie.until_us else None


def order_of(request: Request) -> str | None:
    """What names the order: the caller's reference, unless the door knows better."""
    return request.reference if request.order is None else request.order


def tied(shown: ByCode, tie: Tie | None, payment: Payment, order: str | None, now_us: int) -> Tie:
    """The tie after a presentation that was let through, approved or not.

    A full approval leaves nothing, a partial one the rest; a decline leaves what was.
    """
    first = tie is None or tie.number < shown.number
    approved = payment.status != Status.DECLINED
    paid = None if tie is None or first else tie.payment
    left_fen = None if tie is None or first else tie.left_fen
    return Tie(
        series=shown.series,
        number=shown.number,
        store=payment.store,
        terminal=payment.terminal,
        reference=order,
        until_us=now_us + shown.tie_us if tie is None or first else tie.until_us,
        payment=payment.id if approved else paid,
        left_fen=payment.requested_fen - payment.approved_fen if approved else left_fen,
    )


class PayByCode(Pay, frozen=True, kw_only=True):
    """`Pay`, with the code's tie read before and written after."""

    shown: ByCode

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Decide under the lock. A wrong code counts as any wrong secret does."""
        tie: Tie | None = loaded
        request = self.request
        if request.refused is not None:
            raise request.refused
        if self.shown.proof is Proof.WRONG:
            return super().decide(root, moment, None)
        no = refusal(self.shown, tie, request, moment.us)
        if no is not None:
            return self._declined(no, None, moment)
        decision = super().decide(root, moment, None)
        if not isinstance(decision.result, Payment):
            return decision  # the card is changing: it is looked up again
        after = tied(self.shown, tie, decision.result, order_of(request), moment.us)
        return msgspec.structs.replace(
            decision, rows=(*decision.rows, (sql.store_ties, after)), loaded=after
        )


class InquireByCode(Inquire, frozen=True, kw_only=True):
    """`Inquire`, for a code that has not been shown for a payment yet. It ties nothing."""

    shown: ByCode

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Decide under the lock."""
        tie: Tie | None = loaded
        shown = self.shown
        past = shown.superseded or moment.us >= shown.until_us
        if shown.proof is not Proof.WRONG and (
            past or (tie is not None and tie.number >= shown.number)
        ):
            return Decision(result=Inquiry(accepted=False))  # kept, as every refusal is
        return super().decide(root, moment, None)


def pay_command(request: Request, card: ByCode, terms: Terms | None) -> PayByCode:
    """The command for a request whose source was a pay code."""
    plain = command(request, card, terms)
    return PayByCode(
        **msgspec.structs.asdict(plain)
        | {"shown": card, "loader": sql.load_ties, "wanted": card.series}
    )


def inquire_command(plain: Inquire, card: ByCode) -> InquireByCode:
    """The command for an inquiry whose source was a pay code."""
    return InquireByCode(
        **msgspec.structs.asdict(plain)
        | {"shown": card, "loader": sql.load_ties, "wanted": card.series}
    )
