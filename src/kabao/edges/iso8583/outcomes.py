"""What the platform's answers are called at a till.

A signed-in terminal hears the exact reason (design.md section 4, "Probing"); what the
other slices tell is translated here, in one place.
"""

from __future__ import annotations

from kabao.base.errors import KabaoError, Kind
from kabao.edges.iso8583.model import Outcome
from kabao.payments.model import Decline, Reason

DECLINES = {
    Decline.CARD_NOT_ACCEPTED: Outcome.NO_CARD,
    Decline.CARD_FROZEN: Outcome.RESTRICTED,
    Decline.CARD_LOST: Outcome.LOST,
    Decline.CARD_EXPIRED: Outcome.EXPIRED,
    Decline.CARD_CLOSED: Outcome.RESTRICTED,
    Decline.WRONG_CURRENCY: Outcome.BAD_AMOUNT,
    Decline.STORE_OUTSIDE_GROUP: Outcome.CARD_NOT_ALLOWED,
    Decline.STORE_CLOSED: Outcome.TERMINAL_NOT_ALLOWED,
    Decline.PAYMENTS_STOPPED: Outcome.REFUSED,
    Decline.PIN_REQUIRED: Outcome.PIN_REQUIRED,
    Decline.OVER_SINGLE_LIMIT: Outcome.OVER_AMOUNT,
    Decline.OVER_DAY_COUNT: Outcome.OVER_COUNT,
    Decline.OVER_DAY_SUM: Outcome.OVER_AMOUNT,
    Decline.TOO_MANY_IN_SHORT_TIME: Outcome.OVER_COUNT,
    Decline.SUDDEN_LARGE_AMOUNT: Outcome.SUSPICIOUS,
    Decline.INSUFFICIENT_FUNDS: Outcome.INSUFFICIENT_FUNDS,
    Decline.PAY_CODE_EXPIRED: Outcome.CODE_OVER,
    Decline.PAY_CODE_USED: Outcome.CODE_OVER,
    Decline.REVERSED_BEFORE: Outcome.ALREADY_REVERSED,
}

assert DECLINES.keys() == set(Decline), "every decline has its outcome"

REASONS = {
    Reason.UNKNOWN_CARD: Outcome.NO_CARD,
    Reason.REPLACED: Outcome.RESTRICTED,
    Reason.WRONG_SECRET: Outcome.WRONG_PIN,
    Reason.NO_PIN_SET: Outcome.WRONG_PIN,
    Reason.SECRET_LOCKED: Outcome.PIN_LOCKED,
    Reason.NOT_ACTIVATED: Outcome.EXPIRED,
}

assert REASONS.keys() == set(Reason), "every reason has its outcome"

STATUSES = {
    "active": Outcome.OK,
    "inactive": Outcome.EXPIRED,
    "frozen": Outcome.RESTRICTED,
    "lost": Outcome.LOST,
    "expired": Outcome.EXPIRED,
    "closed": Outcome.RESTRICTED,
}
"""What an inquiry says besides the balance (P-10)."""

_ERRORS = {
    "idempotency_key_reused": Outcome.DUPLICATE,
    "card_changed": Outcome.UNAVAILABLE,
    "reversed_before": Outcome.ALREADY_REVERSED,
    "key_of_another_verb": Outcome.WRONG_ORIGINAL,
    "secret_not_accepted": Outcome.NO_CARD,
    "amount_exceeds_remaining": Outcome.BAD_AMOUNT,
    "amount_out_of_range": Outcome.OVER_AMOUNT,
    "over_balance_limit": Outcome.OVER_AMOUNT,
    "bank_transfer_needed": Outcome.OVER_AMOUNT,
    "later_activity": Outcome.LATER_ACTIVITY,
    "topup_already_spent": Outcome.LATER_ACTIVITY,
    "override_needed": Outcome.SUPERVISOR,
    "override_not_valid": Outcome.SUPERVISOR,
    "override_refused": Outcome.SUPERVISOR,
    "card_used_since": Outcome.LATER_ACTIVITY,
    "card_not_empty": Outcome.LATER_ACTIVITY,
    "topup_already_voided": Outcome.ALREADY_VOIDED,
    "payment_state_forbids": Outcome.WRONG_ORIGINAL,
    "not_found": Outcome.NO_ORIGINAL,
    "terminal_not_active": Outcome.TERMINAL_NOT_ALLOWED,
    "cashier_not_active": Outcome.TERMINAL_NOT_ALLOWED,
    "store_outside_group": Outcome.CARD_NOT_ALLOWED,
    "pin_not_allowed": Outcome.INVALID,
    "wrong_currency": Outcome.BAD_AMOUNT,
}

_KINDS = {
    Kind.UNAVAILABLE: Outcome.UNAVAILABLE,
    Kind.IN_DOUBT: Outcome.IN_DOUBT,
    Kind.INTERNAL: Outcome.IN_DOUBT,
    Kind.TOO_MANY: Outcome.UNAVAILABLE,
    Kind.INVALID: Outcome.INVALID,
    Kind.NOT_FOUND: Outcome.NO_ORIGINAL,
}

UNCERTAIN = frozenset({Outcome.UNAVAILABLE, Outcome.IN_DOUBT})
"""Outcomes that say nothing of the operation: the same message may be sent again."""

GUESSES = frozenset({Outcome.NO_CARD, Outcome.WRONG_PIN})
"""Outcomes of a wrong card or secret: too many, and the terminal is throttled."""


def of_error(error: KabaoError) -> Outcome:
    """What a refusal is called: by its code, else by its kind."""
    return _ERRORS.get(error.code.name) or _KINDS.get(error.code.kind, Outcome.REFUSED)


def of_decline(decline_code: str | None, reason: str | None) -> Outcome:
    """What a declined payment is called. `reason` is what only this door may tell."""
    if reason is not None:
        return REASONS[Reason(reason)]
    return DECLINES[Decline(decline_code)] if decline_code is not None else Outcome.REFUSED
