"""Verbs, outcomes and messages: what a till says and hears, whatever the dialect."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.vault.model import RewrapTarget

DIFFERENCE_CHANGED = code(
    "pos_difference_changed",
    Kind.CONFLICT,
    "The difference is resolved, or stands otherwise than was looked at.",
)

REWRAP_TARGETS = (
    RewrapTarget("pos", "session", "terminal", "proven"),
    RewrapTarget("pos", "session", "terminal", "fresh"),
)
"""Columns the vault's key rotation walks."""

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


ABOUT_OTHERS = frozenset(
    {Verb.REVERSAL, Verb.SETTLE, Verb.UPLOAD, Verb.UPLOAD_END, Verb.LAST, Verb.SIGN_OFF}
)
"""Verbs about what was before, perhaps before a sign-in; signing off may be said twice."""

SHOWS_CARD = frozenset(
    {
        Verb.INQUIRY,
        Verb.PURCHASE,
        Verb.HOLD,
        Verb.ADVICE,
        Verb.LOAD,
        Verb.ACTIVATE,
        Verb.PIN_CHANGE,
        Verb.LOSS,
        Verb.CARD_RETURN,
    }
)
"""Verbs with which a terminal could try out cards and secrets."""

FILLS_BATCH = frozenset(
    {Verb.PURCHASE, Verb.HOLD, Verb.COMPLETION, Verb.REFUND, Verb.LOAD, Verb.ACTIVATE}
)
"""Verbs that can wait until the batch is settled; what corrects it, or has happened, cannot."""


class Outcome(StrEnum):
    """What the host says of a message. Every dialect has a code for each."""

    OK = "ok"
    PARTIAL = "partial"
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
    CODE_OVER = "code_over"
    WRONG_PIN = "wrong_pin"
    PIN_REQUIRED = "pin_required"
    CARD_NOT_ALLOWED = "card_not_allowed"
    TERMINAL_NOT_ALLOWED = "terminal_not_allowed"
    OVER_AMOUNT = "over_amount"
    RESTRICTED = "restricted"
    OVER_COUNT = "over_count"
    PIN_LOCKED = "pin_locked"
    SUPERVISOR = "supervisor"
    CASHIER = "cashier"
    SIGN_IN = "sign_in"
    NOT_EVEN = "not_even"
    BATCH_FULL = "batch_full"
    DUPLICATE = "duplicate"
    UNAVAILABLE = "unavailable"
    IN_DOUBT = "in_doubt"
    BAD_MAC = "bad_mac"


class Totals(msgspec.Struct, frozen=True):
    """A batch's sums: `debit` took value off cards, `credit` put value on them (MF-08)."""

    debit_fen: int = 0
    debit_count: int = 0
    credit_fen: int = 0
    credit_count: int = 0

    def plus(self, direction: int, amount_fen: int) -> Totals:
        """With one message more: direction -1 off the card, 1 onto it, 0 neither."""
        if direction < 0:
            return msgspec.structs.replace(
                self, debit_fen=self.debit_fen + amount_fen, debit_count=self.debit_count + 1
            )
        if direction > 0:
            return msgspec.structs.replace(
                self, credit_fen=self.credit_fen + amount_fen, credit_count=self.credit_count + 1
            )
        return self


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What the host answers. What is None is not in the answer."""

    outcome: Outcome
    rrn: str | None = None
    approval: str | None = None
    amount_fen: int | None = None
    available_fen: int | None = None
    tries_left: int | None = None
    private: str | None = None
    totals: Totals | None = None
    """The host's sums of a batch, when it is settled or could not be."""
    keys: bytes | None = None
    """What a sign-in answers with."""
    batch: int | None = None


DIRECTIONS = {
    Verb.PURCHASE: -1,
    Verb.ADVICE: -1,
    Verb.COMPLETION: -1,
    Verb.LOAD_VOID: -1,
    Verb.ACTIVATE_UNDO: -1,
    Verb.CARD_RETURN: -1,
    Verb.VOID: 1,
    Verb.REFUND: 1,
    Verb.COMPLETION_VOID: 1,
    Verb.LOAD: 1,
    Verb.ACTIVATE: 1,
}
"""What a verb counts as in a batch: -1 value off a card, 1 value onto one; others neither."""

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS = [a + b for a in _BASE36 for b in _BASE36]
_RRN_SIGNS = 12


def rrn_of(ident: str) -> str:
    """The RRN of a payment: the first 62 free bits of its id, in twelve characters."""
    number = int(ident[:12] + ident[13:16], 16) << 2 | int(ident[16], 16) & 3
    pairs = []
    for _ in range(_RRN_SIGNS // 2):
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs))


def ids_of(rrn: str) -> tuple[str, str] | None:
    """The first and the last id that has this RRN; None for what is no RRN."""
    if len(rrn) != _RRN_SIGNS or not set(_BASE36).issuperset(rrn):
        return None
    number = int(rrn, 36)
    if number >= 1 << 62:
        return None
    text = f"{number >> 2:015x}"
    head = f"{text[:12]}7{text[12:]}{8 | number & 3:x}"
    return head + "0" * 15, head + "f" * 15


def approval_of(ident: str) -> str:
    """Six characters that tell a cashier one approval from another (field 38)."""
    return ident[-6:].upper()
