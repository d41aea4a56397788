"""Verbs, outcomes and messages: what a till says and hears, whatever the dialect."""

from __future__ import annotations

from enum import StrEnum

Value = str | bytes
"""A field's content: bytes where the field is binary."""

Fields = dict[int, Value]


class FormatError(Exception):
    """A frame that cannot be understood. `mti` is known if a reply can be addressed."""

    def __init__(self, reason: str, mti: str | None = None) -> None:
        super().__init__(reason)
        self.mti = mti


class Verb(StrEnum):
    """What a till asks for."""

    SIGN_IN = "sign_in"
    SIGN_OFF = "sign_off"
    ECHO = "echo"
    INQUIRY = "inquiry"
    PURCHASE = "purchase"
    VOID = "void"
    REFUND = "refund"
    HOLD = "hold"
    COMPLETION = "completion"
    COMPLETION_VOID = "completion_void"
    CANCEL = "cancel"
    ADVICE = "advice"
    REVERSAL = "reversal"
    LOAD = "load"
    LOAD_VOID = "load_void"
    ACTIVATE = "activate"
    ACTIVATE_UNDO = "activate_undo"
    CARD_RETURN = "card_return"
    PIN_CHANGE = "pin_change"
    LOSS = "loss"
    LAST = "last"
    SETTLE = "settle"
    UPLOAD = "upload"
    UPLOAD_END = "upload_end"


class Outcome(StrEnum):
    """What the host says of a message. Every dialect has a code for each."""

    OK = "ok"
    PARTIAL = "partial"
    CALL_ISSUER = "call_issuer"
    UNKNOWN_TERMINAL = "unknown_terminal"
    REFUSED = "refused"
    INVALID = "invalid"
    BAD_AMOUNT = "bad_amount"
    NO_CARD = "no_card"
    ALREADY_REVERSED = "already_reversed"
    ALREADY_VOIDED = "already_voided"
    LATER_ACTIVITY = "later_activity"
    WRONG_ORIGINAL = "wrong_original"
    NO_ORIGINAL = "no_original"
    FORMAT_ERROR = "format_error"
    SUSPICIOUS = "suspicious"
    THROTTLED = "throttled"
    UNSUPPORTED = "unsupported"
    LOST = "lost"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED = "expired"
    WRONG_PIN = "wrong_pin"
    PIN_REQUIRED = "pin_required"
    CARD_NOT_ALLOWED = "card_not_allowed"
    TERMINAL_NOT_ALLOWED = "terminal_not_allowed"
    OVER_AMOUNT = "over_amount"
    RESTRICTED = "restricted"
    OVER_COUNT = "over_count"
    PIN_LOCKED = "pin_locked"
    SIGN_IN = "sign_in"
    NOT_EVEN = "not_even"
    DUPLICATE = "duplicate"
    UNAVAILABLE = "unavailable"
    IN_DOUBT = "in_doubt"
    BAD_MAC = "bad_mac"
