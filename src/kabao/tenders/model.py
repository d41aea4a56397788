"""What a payment order and its tenders are. Amounts in fen, moments in µs UTC."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import NewType

import msgspec

from kabao.base.errors import Kind as ErrorKind
from kabao.base.errors import code

PaymentOrderId = NewType("PaymentOrderId", str)

ORDER_FORBIDS = code(
    "payment_order_state_forbids", ErrorKind.CONFLICT, "The payment order's state forbids it."
)
ORDER_FROZEN = code(
    "payment_order_frozen", ErrorKind.CONFLICT, "The payment order is frozen; unfreeze it first."
)
INCOMPLETE = code(
    "payment_order_incomplete",
    ErrorKind.REFUSED,
    "The tenders do not make up the payment order's amount.",
)
EXCEEDS = code(
    "exceeds_payment_order", ErrorKind.REFUSED, "More than what is left of the payment order."
)
TIME_OVER = code("payment_order_over", ErrorKind.REFUSED, "The payment order's time is over.")
TOO_MANY_TENDERS = code(
    "too_many_tenders", ErrorKind.REFUSED, "The payment order has as many tenders as it may."
)
TOO_LONG = code(
    "payment_order_too_long", ErrorKind.REFUSED, "Value may not be held for as long as that."
)


class Status(StrEnum):
    """Where a payment order stands."""

    OPEN = "open"
    """Tenders are being set aside; nothing is captured."""
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    CANCELLED = "cancelled"
    """Undone whole, on request."""
    EXPIRED = "expired"
    """Undone whole, because nobody finished it."""


HOLDING = frozenset({Status.OPEN, Status.PARTIALLY_CAPTURED})
"""States in which value may still be set aside."""


class Kind(StrEnum):
    """By what a part of a sale is paid."""

    CARD = "card"
    CASH = "cash"
    CHANNEL = "channel"


class Tender(msgspec.Struct, frozen=True):
    """A part of a sale. What is recorded of cash and channels counts as held, too,
    until the order is captured.
    """

    id: str
    payment_order: str
    no: int
    """Counts from 1, in the order in which they came."""
    kind: str
    channel: str | None
    """The outside channel's name."""
    reference: str | None
    """How the channel calls the payment."""
    payment: str | None
    """The card's payment; None for cash and channels."""
    card: str | None
    last4: str | None
    requested_fen: int
    approved_fen: int
    """0: declined."""
    held_fen: int
    captured_fen: int
    refunded_fen: int
    decline_code: str | None
    rule: str | None
    balance_after_fen: int | None
    """As the card's payment was first answered."""
    created_us: int
    rounding_fen: int = 0
    """What was let off of a cash tender, so that it could be paid in coins."""
    coin_fen: int = 1
    """The smallest coin a drawer gives back."""

    @property
    def of_cash(self) -> bool:
        """Whether it lies in a drawer."""
        return self.kind == Kind.CASH

    @property
    def of_card(self) -> bool:
        """Whether the platform itself moves its value."""
        return self.kind == Kind.CARD

    @property
    def paid_in_fen(self) -> int:
        """What came in from outside."""
        return self.approved_fen - self.rounding_fen

    @property
    def due_back_fen(self) -> int:
        """What the cashier or the channel has to give back, or has given; 0 for a
        card, whose value goes back by itself. Cash in whole coins, rounded up: part of
        a coin is the customer's, and in the end it is what came in.
        """
        if self.of_card:
            return 0
        due_fen = self.approved_fen - self.held_fen - self.captured_fen + self.refunded_fen
        return min(due_fen + -due_fen % self.coin_fen, self.paid_in_fen)

    @property
    def refundable_fen(self) -> int:
        """What can still be given back of what was captured."""
        return self.captured_fen - self.refunded_fen


class PaymentOrder(msgspec.Struct, frozen=True):
    """What a customer is to pay for one sale."""

    id: str
    company: str
    """Whose key opened it."""
    store: str
    terminal: str | None
    cashier: str | None
    shift: str | None
    reference: str | None
    metadata: str
    """JSON object, as text."""
    currency: str
    amount_fen: int
    at_once: bool
    """Captured as soon as the tenders make up the amount: a till, not a shop."""
    status: str
    ends_us: int
    """When its holds are set free, unless it is frozen then."""
    frozen_until_us: int | None
    """None: not frozen. In the past: thawed, unless the outcome is unknown."""
    freeze_reason: str | None
    outcome_unknown: bool
    captured_on: date | None
    """The business day of the last capture."""
    settled_on: date | None
    created_us: int
    business_date: date
    """The business day it was opened."""
    tenders: tuple[Tender, ...] = ()

    @property
    def tendered_fen(self) -> int:
        """What the tenders make up together."""
        return sum(t.approved_fen for t in self.tenders)

    @property
    def remaining_fen(self) -> int:
        """What is still to be tendered."""
        return self.amount_fen - self.tendered_fen

    @property
    def held_fen(self) -> int:
        """What can still be captured."""
        return sum(t.held_fen for t in self.tenders)

    @property
    def captured_fen(self) -> int:
        """What was captured, refunds included."""
        return sum(t.captured_fen for t in self.tenders)

    @property
    def refunded_fen(self) -> int:
        """What was given back of what was captured."""
        return sum(t.refunded_fen for t in self.tenders)

    @property
    def due_back_fen(self) -> int:
        """What cashier and channels have to give back, or have given."""
        return sum(t.due_back_fen for t in self.tenders)

    @property
    def invoiceable_fen(self) -> int:
        """What the seller may invoice: nothing that a card has paid (CR-73), nor what was
        let off.
        """
        return sum(
            min(t.refundable_fen, t.paid_in_fen - t.due_back_fen)
            for t in self.tenders
            if not t.of_card
        )

    def frozen(self, now_us: int) -> bool:
        """Whether nothing may move now (P-06, ruling 20)."""
        if self.frozen_until_us is None:
            return False
        return self.outcome_unknown or now_us < self.frozen_until_us


class CashEntry(msgspec.Struct, frozen=True):
    """Cash of an order that came into a drawer or left it."""

    id: str
    payment_order: str
    tender: str
    shift: str | None
    """Whose drawer; None: no till was at it, as when an order runs out of time."""
    verb: str
    """`order`: taken; `order_refund`: given back, for whatever reason."""
    amount_fen: int
    created_us: int


class RefundPart(msgspec.Struct, frozen=True):
    """What one tender gets of a refund."""

    refund: str
    tender: str
    amount_fen: int
    payment_refund: str | None
    """The refund of the card's payment; None for what the cashier gives back."""
    destination: str
    """`card`, `suspense` (it fits no card), `cash`, `channel`."""
    rule: str | None
    due_back_fen: int = 0
    """What the cashier or the channel gives back for it: less than the amount where some of a
    tender was let off.
    """


class Refund(msgspec.Struct, frozen=True):
    """Value given back for a payment order."""

    id: str
    payment_order: str
    amount_fen: int
    created_us: int
    parts: tuple[RefundPart, ...] = ()
