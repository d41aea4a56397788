"""A supervisor's override: a second person, with a PIN, lets a cashier do one thing once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code

OVERRIDE_NEEDED = code("override_needed", Kind.REFUSED, "A supervisor must allow this at the till.")
OVERRIDE_REFUSED = code(
    "override_refused", Kind.REFUSED, "Supervisor and PIN are not accepted for this."
)
OVERRIDE_NOT_VALID = code(
    "override_not_valid", Kind.REFUSED, "The override is for something else, too old, or used."
)


class OverrideVerb(StrEnum):
    """What a cashier may need a supervisor for; which of them policy tells."""

    TYPED_CARD = "typed_card"
    """Take a typed card number without its PIN."""
    REFUND = "refund"
    VOID = "void"
    TOPUP_VOID = "topup_void"
    RETURN = "return"
    """Give goods back on a slip, to a new card."""
    PAID_OUT = "paid_out"
    """Take cash out of the drawer for something else than a sale."""
    DROP = "drop"
    """Put cash from the drawer into the safe; whoever sees it is a witness, of any role."""


class OverrideAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What exactly is to be allowed, and to whom."""

    verb: OverrideVerb
    store: str
    cashier: str
    subject: str
    """What it is about, as at the edge: `pay_…`, `card_…`. Never a number."""
    amount_fen: int = 0
    """At most this much."""


class Override(msgspec.Struct, frozen=True):
    """A permission given by a supervisor, for one use."""

    id: str
    verb: OverrideVerb
    store: str
    cashier: str
    subject: str
    amount_fen: int
    supervisor: str
    created_at: datetime
    expires_at: datetime


class Alone(msgspec.Struct, frozen=True):
    """What a cashier may give back of one sale, or pay out or drop in one shift, without a
    second person: all together less than this. Judged where the sale or the shift is locked,
    since others may give back meanwhile.
    """

    below_fen: int
    row: str

    def check(self, given_fen: int) -> None:
        """`given_fen`: before and now. Raises `override_needed`."""
        if given_fen >= self.below_fen:
            raise OVERRIDE_NEEDED.error(rule=self.row, field="override")


class OverrideRules(msgspec.Struct, frozen=True):
    """What policy says today of overrides, and where."""

    verbs: frozenset[str]
    refund_from_fen: int
    void_after_us: int
    paid_out_from_fen: int
    drop_from_fen: int
    valid_s: int
    verbs_row: str
    refund_row: str
    void_row: str
    paid_out_row: str
    drop_row: str

    @property
    def alone(self) -> Alone | None:
        """None: refunds never take a supervisor."""
        named = OverrideVerb.REFUND in self.verbs
        return Alone(self.refund_from_fen, self.refund_row) if named else None

    def alone_at_drawer(self, verb: OverrideVerb) -> Alone | None:
        """What may be taken out of a drawer in one shift by the cashier alone; None: anything."""
        if verb not in self.verbs:
            return None
        if verb is OverrideVerb.DROP:
            return Alone(self.drop_from_fen, self.drop_row)
        return Alone(self.paid_out_from_fen, self.paid_out_row)

    def refusal(self, verb: OverrideVerb, amount_fen: int, age_us: int) -> str | None:
        """The row that wants a supervisor for this, if one does.

        `amount_fen` is all that is given back of a payment, or paid out or dropped in a shift
        without a second person, before and now; `age_us`
        is how long ago the payment was made that is to be undone. Top-ups and
        returns have rules of their own, which their slices know.
        """
        if verb not in self.verbs:
            return None
        match verb:
            case OverrideVerb.TYPED_CARD:
                return self.verbs_row
            case OverrideVerb.REFUND:
                return self.refund_row if amount_fen >= self.refund_from_fen else None
            case OverrideVerb.VOID:
                return self.void_row if age_us > self.void_after_us else None
            case OverrideVerb.PAID_OUT:
                return self.paid_out_row if amount_fen >= self.paid_out_from_fen else None
            case OverrideVerb.DROP:
                return self.drop_row if amount_fen >= self.drop_from_fen else None
            case OverrideVerb.TOPUP_VOID | OverrideVerb.RETURN:
                return None


class CashierPin(msgspec.Struct, frozen=True):
    """A cashier's PIN as stored: a salted MAC, and how often it was said wrongly."""

    cashier: str
    salt: bytes
    mac: bytes
    tries: int
    locked_until: datetime | None
    set_at: datetime

    def locked(self, at: datetime) -> bool:
        """Whether wrong PINs have locked it: it then refuses the right one too."""
        return self.locked_until is not None and at < self.locked_until
