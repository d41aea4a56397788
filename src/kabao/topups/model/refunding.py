"""How much of a top-up goes back, and what becomes of its bonus (CR-24, CR-25, ruling 18). Pure.

What goes back is what was paid less what was redeemed. What was redeemed counts as policy
values it: at its face, or at the ratio paid / (paid + bonus) where the refund is not the
payer's doing. It is never more than is left of the lot, and the payer never owes anything. All
of it going back ends the lot: bonus that is left is taken back, and paid value that is left
beyond the refund pays for bonus that was spent. Where more goes back than paid value is left,
because that was spent first, bonus that is left pays for the paid value that was. A part of it
takes its share of both, so that parts come to the same as the whole.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.policy.choices import Valuation

REFUND = "trf"
"""Prefix at the edge."""

NOT_REFUNDABLE = code(
    "topup_not_refundable", Kind.CONFLICT, "Nothing of this top-up can go back to its payer."
)
REFUND_TOO_LARGE = code(
    "topup_refund_too_large", Kind.REFUSED, "More than may go back of this top-up."
)
VALUE_HELD = code(
    "topup_value_held", Kind.CONFLICT, "Part of it is held by a payment that is not finished."
)
CARD_STOPPED = code(
    "topup_card_stopped", Kind.REFUSED, "The card is stopped; nothing goes back from it."
)
CASH_NOT_REFUNDED = code(
    "topup_was_cash", Kind.REFUSED, "Cash is given back by a void, or when the card is returned."
)


ANOTHER_NAME = code(
    "refund_to_another_name",
    Kind.REFUSED,
    "The account the money came from is not in the payer's name.",
)


class Fault(StrEnum):
    """Whose doing a refund is: it decides what redeemed value counts (CR-24)."""

    PAYER = "payer"
    ISSUER = "issuer"


class RefundState(StrEnum):
    """Where a refund stands; refused, its value is free on the card again."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


class Left(msgspec.Struct, frozen=True):
    """A top-up's lot: what it was, what has gone back, and what is left of it."""

    paid_fen: int
    bonus_fen: int
    refunded_fen: int
    kept_fen: int
    clawed_fen: int
    principal_left_fen: int
    bonus_left_fen: int
    recalled_fen: int = 0
    """What the payer took back past us, and was not won."""
    frozen_fen: int = 0
    """Of that, what was not spent: it has left the lot."""


class Back(msgspec.Struct, frozen=True):
    """One refund: to the payer, kept for bonus that was spent, and bonus taken back."""

    amount_fen: int
    kept_fen: int
    clawed_fen: int
    from_bonus_fen: int = 0
    """Of the amount, what leaves the card as bonus: it pays for paid value that was spent."""

    @property
    def principal_fen(self) -> int:
        """Paid value that leaves the card."""
        return self.amount_fen + self.kept_fen - self.from_bonus_fen

    @property
    def bonus_fen(self) -> int:
        """Bonus that leaves the card."""
        return self.clawed_fen + self.from_bonus_fen


class TopUpRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as stored. Its id is that of the operation which sets its value aside."""

    id: str
    topup: str
    root: str
    amount_fen: int
    kept_fen: int
    clawed_fen: int
    state: RefundState
    fault: Fault
    reason: str
    funding: str | None
    """The channel's refund."""
    refusal: str | None
    created_us: int
    done_us: int | None
    from_bonus_fen: int = 0

    @property
    def back(self) -> Back:
        """Its amounts."""
        return Back(self.amount_fen, self.kept_fen, self.clawed_fen, self.from_bonus_fen)


def refundable(left: Left, valuation: Valuation) -> int:
    """The most that may go back now."""
    gone = left.refunded_fen + left.kept_fen + left.frozen_fen
    spent = left.paid_fen - gone - left.principal_left_fen
    redeemed = spent + left.bonus_fen - left.clawed_fen - left.bonus_left_fen
    match valuation:
        case Valuation.LIST_PRICE:
            worth = redeemed
        case Valuation.PAID_RATIO:
            worth = -(-redeemed * left.paid_fen // (left.paid_fen + left.bonus_fen))
    back = left.refunded_fen + left.recalled_fen
    left_fen = left.principal_left_fen + left.bonus_left_fen
    return max(0, min(left.paid_fen - back - worth, left_fen))


def share(left: Left, amount_fen: int, most_fen: int) -> Back:
    """What a refund of `amount_fen` takes from the card, of at most `most_fen`."""
    assert 0 < amount_fen <= most_fen, "no more than is refundable goes back"
    principal = -(-left.principal_left_fen * amount_fen // most_fen)
    bonus = -(-left.bonus_left_fen * amount_fen // most_fen)
    from_bonus = max(0, amount_fen - principal)
    return Back(amount_fen, max(0, principal - amount_fen), bonus - from_bonus, from_bonus)
