"""What a payment is, and the requests the verbs take. Amounts in fen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

import msgspec

from kabao.base.errors import Kind, code
from kabao.cards.model import Card, Secrets
from kabao.policy.choices import RefundOrder, RiskAction, SpendOrder, VoidWindow

PaymentId = NewType("PaymentId", str)

AMOUNT_EXCEEDS = code(
    "amount_exceeds_remaining", Kind.REFUSED, "More than what is left of this payment."
)
WRONG_STATE = code("payment_state_forbids", Kind.CONFLICT, "The payment's state does not allow it.")
HOLD_EXPIRED = code("hold_expired", Kind.REFUSED, "The hold's time is over.")
VOID_WINDOW = code("void_window_over", Kind.REFUSED, "Too late to void; refund instead.")
REFUND_WINDOW = code("refund_window_over", Kind.REFUSED, "Too late to refund to the card.")
REVERSAL_WINDOW = code("reversal_window_over", Kind.REFUSED, "Too late to reverse; refund instead.")
HAS_REFUNDS = code(
    "later_activity", Kind.CONFLICT, "The payment has refunds; it can no longer be undone whole."
)
NOT_A_PAYMENT = code(
    "key_of_another_verb",
    Kind.CONFLICT,
    "That key belongs to a capture, refund, void or top-up; undo it by its id.",
)
OF_AN_ORDER = code(
    "payment_of_an_order",
    Kind.CONFLICT,
    "The payment is a tender of a payment order; ask for it there.",
)
CARD_NOT_ACCEPTED = code("card_not_accepted", Kind.REFUSED, "The card was not accepted.")
UNKNOWN_STORE = code("unknown_store", Kind.NOT_FOUND, "There is no such store for this key.")
WRONG_CURRENCY = code("wrong_currency", Kind.INVALID, "The card is kept in another currency.")


ORDER_CHANNEL = "payment_order"
"""The channel of payments that are tenders of a payment order. They follow the
order: no verb of their own touches them, and their holds do not run out."""


class Status(StrEnum):
    """Where a payment stands."""

    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    REVERSED = "reversed"
    EXPIRED = "expired"


class Decline(StrEnum):
    """Why a payment was declined. Everything a guesser must not learn is one code."""

    CARD_NOT_ACCEPTED = "card_not_accepted"
    CARD_FROZEN = "card_frozen"
    CARD_LOST = "card_lost"
    CARD_EXPIRED = "card_expired"
    CARD_CLOSED = "card_closed"
    WRONG_CURRENCY = "wrong_currency"
    STORE_OUTSIDE_GROUP = "store_outside_group"
    STORE_CLOSED = "store_closed"
    PAYMENTS_STOPPED = "payments_stopped"
    PIN_REQUIRED = "pin_required"
    OVER_SINGLE_LIMIT = "over_single_limit"
    OVER_DAY_COUNT = "over_day_count"
    OVER_DAY_SUM = "over_day_sum"
    TOO_MANY_IN_SHORT_TIME = "too_many_in_short_time"
    SUDDEN_LARGE_AMOUNT = "sudden_large_amount"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    PAY_CODE_EXPIRED = "pay_code_expired"
    PAY_CODE_USED = "pay_code_used"
    REVERSED_BEFORE = "reversed_before"


UNTOLD = frozenset(
    {
        Decline.CARD_NOT_ACCEPTED,
        Decline.PAY_CODE_EXPIRED,
        Decline.PAY_CODE_USED,
        Decline.REVERSED_BEFORE,
    }
)
"""Declines that tell nothing about the card."""


class Reason(StrEnum):
    """Why a card was not accepted. Only a signed-in till hears it (design.md section 4)."""

    UNKNOWN_CARD = "unknown_card"
    REPLACED = "replaced"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a reason, not a secret
    NO_PIN_SET = "no_pin_set"
    SECRET_LOCKED = "secret_locked"  # noqa: S105 - a reason, not a secret
    NOT_ACTIVATED = "not_activated"


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where and through whom: part of every request, checked before the lane."""

    store: str
    terminal: str | None = None
    cashier: str | None = None
    shift: str | None = None
    channel: str = "http"
    occurred_us: int | None = None


class Limits(msgspec.Struct, frozen=True):
    """What policy says for one programme on one day, with the rows to cite."""

    single_fen: int
    day_count: int
    day_sum_fen: int
    burst_from_count: int
    """From this many payments within the window on, the burst rule fires."""
    burst_window_us: int
    burst_action: RiskAction
    sudden_from_fen: int
    sudden_action: RiskAction
    pin_tries: int
    pin_lock_us: int
    reversal_us: int
    """How long after a payment its reversal may come: tills store and forward."""
    hold_us: int
    spend_order: SpendOrder
    partial: bool
    void_window: VoidWindow
    refund_window_days: int
    refund_order: RefundOrder
    refund_by_hand_below_fen: int
    """From this sum of a payment's refunds on, one entered by hand takes two persons."""
    balance_limit_fen: int
    rows: Mapping[str, str]
    """Field name → row id, for the refusal."""


class Payment(msgspec.Struct, frozen=True, gc=False):
    """A payment as stored. `principal_fen`/`bonus_fen`: what was captured of each;
    `held_*`: what is still set aside.
    """

    id: str
    company: str
    root: str | None
    card: str | None
    last4: str | None
    store: str
    terminal: str | None
    cashier: str | None
    shift: str | None
    channel: str
    reference: str | None
    metadata: str
    """JSON object, as text."""
    currency: str
    requested_fen: int
    approved_fen: int
    captured_fen: int
    refunded_fen: int
    principal_fen: int
    bonus_fen: int
    refunded_principal_fen: int
    refunded_bonus_fen: int
    held_principal_fen: int
    held_bonus_fen: int
    status: str
    decline_code: str | None
    rule: str | None
    balance_after_fen: int | None
    tender: str
    invoiceable_fen: int
    """What the seller may invoice: nothing of a stored-value tender (CR-71, CR-73)."""
    expires_us: int | None
    created_us: int
    day: int
    """Ordinal of the business day it was made."""
    reason: str | None = None
    """Of a first answer only, see `Reason`; not stored with the payment."""
    tries_left: int | None = None
    lent_principal_fen: int = 0
    """Lent to the card, or given for good, because the payment is or was disputed."""
    lent_bonus_fen: int = 0

    @property
    def held_fen(self) -> int:
        """What is still set aside."""
        return self.held_principal_fen + self.held_bonus_fen

    @property
    def of_order(self) -> bool:
        """Whether this is a tender of a payment order."""
        return self.channel == ORDER_CHANNEL

    @property
    def principal_left_fen(self) -> int:
        """What of the principal can still be given back."""
        return self.principal_fen - self.refunded_principal_fen - self.lent_principal_fen

    @property
    def bonus_left_fen(self) -> int:
        """What of the bonus can still be given back."""
        return self.bonus_fen - self.refunded_bonus_fen - self.lent_bonus_fen

    @property
    def refundable_fen(self) -> int:
        """What can still be given back."""
        return self.principal_left_fen + self.bonus_left_fen


class Tie(msgspec.Struct, frozen=True, gc=False):
    """What a series of pay codes is tied to: the newest of them that was shown, and where."""

    series: str
    number: int
    store: str
    terminal: str | None
    reference: str | None
    until_us: int
    payment: str | None
    """The last payment it was accepted for, unless that was undone."""
    left_fen: int | None
    """How much more it may pay here; None: nothing was accepted yet."""


class Refund(msgspec.Struct, frozen=True, gc=False):
    """Value given back for a payment."""

    id: str
    payment: str
    amount_fen: int
    principal_fen: int
    bonus_fen: int
    destination: str
    """`card`, or `suspense` when it fits no card (ruling 19, CR-20)."""
    rule: str | None
    created_us: int


class Reversal(msgspec.Struct, frozen=True, gc=False):
    """The undoing of a payment whose outcome was not known."""

    id: str
    payment: str | None
    """None: the original never came, and will be refused if it does."""
    amount_fen: int
    created_us: int


class Reversed(msgspec.Struct, frozen=True):
    """The answer to a reversal: the payment as it is now, if it ever came."""

    reversal: Reversal
    payment: Payment | None
    payment_order: str | None = None
    """The order that was undone, where it was one."""


class Ask(msgspec.Struct, frozen=True):
    """What every later verb needs to know of who asks. `key` includes the verb."""

    company: str
    key: str
    mac: bytes


class Returned(msgspec.Struct, frozen=True):
    """A refund that went to a new card, whose secrets are known only now."""

    payment: Payment
    refund: Refund
    card: Card
    secrets: Secrets

    def __repr__(self) -> str:
        return f"<Returned {self.refund.id}>"


class Inquiry(msgspec.Struct, frozen=True, gc=False):
    """The answer to a balance inquiry; None stands for `card_not_accepted`."""

    accepted: bool
    reason: str | None = None
    """See `Reason`; for a signed-in till only."""
    tries_left: int | None = None
    card: str | None = None
    card_status: str | None = None
    balance_fen: int = 0
    available_fen: int = 0
    single_limit_fen: int = 0
    expires_on: str | None = None
    currency: str = "CNY"
