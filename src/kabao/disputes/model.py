"""What a dispute is, and where it may go. Amounts in fen."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code

DISPUTE = "dsp"
RULE = "C-04"

WINDOW_OVER = code(
    "dispute_window_over", Kind.REFUSED, "The time in which papers can be asked for is over."
)
ALREADY_DISPUTED = code("already_disputed", Kind.CONFLICT, "The payment is disputed already.")
NOTHING_TO_DISPUTE = code(
    "nothing_to_dispute", Kind.REFUSED, "The payment took nothing, or less than that is left."
)
DISPUTE_FURTHER = code("dispute_state_forbids", Kind.CONFLICT, "The dispute is further than that.")
NOT_ASKED = code("evidence_not_asked_for", Kind.CONFLICT, "Nobody asked the store for it.")


class DisputeState(StrEnum):
    """How far it is."""

    OPENED = "opened"
    EVIDENCE_DUE = "evidence_due"  # the store was asked for its papers
    DECIDED = "decided"


class Reason(StrEnum):
    """What the holder says."""

    NOT_RECOGNISED = "not_recognised"
    CHARGED_TWICE = "charged_twice"
    WRONG_AMOUNT = "wrong_amount"
    NOT_RECEIVED = "not_received"
    NOT_AS_DESCRIBED = "not_as_described"
    REFUND_MISSING = "refund_missing"


class Outcome(StrEnum):
    """How it ended."""

    HOLDER = "holder"
    STORE = "store"
    WITHDRAWN = "withdrawn"


class Bearer(StrEnum):
    """Who bears it when the holder is right."""

    STORE = "store"
    ISSUER = "issuer"


class What(StrEnum):
    """A step of a dispute."""

    OPENED = "opened"
    EVIDENCE_ASKED = "evidence_asked"
    ACCEPTED = "accepted"  # by the store
    CONTESTED = "contested"  # by the store
    CREDITED = "credited"
    OVERDUE = "overdue"
    DECIDED = "decided"


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as stored."""

    id: str
    payment: str
    root: str
    card: str
    issuer: str
    store: str
    store_company: str
    currency: str
    amount_fen: int
    """What the holder says was wrong; refunds since may have left less."""
    reason: Reason
    state: DisputeState
    accepted: bool | None = None
    """What the store said: true: it accepts, false: it contests; None: nothing yet."""
    lent_principal_fen: int = 0
    lent_bonus_fen: int = 0
    """Lent and not yet taken back or borne."""
    evidence_due_on: date | None = None
    decide_by: date
    overdue: bool = False
    """Whether the case of a missed day was opened."""
    outcome: Outcome | None = None
    bearer: Bearer | None = None
    given_fen: int = 0
    """What the holder kept."""
    taken_back_fen: int = 0
    owed_fen: int = 0
    """What was lent and spent, and is a claim on the holder."""
    opened_at: datetime
    decided_at: datetime | None = None

    @property
    def lent_fen(self) -> int:
        """Both together."""
        return self.lent_principal_fen + self.lent_bonus_fen

    @property
    def is_open(self) -> bool:
        """Whether it waits for its outcome."""
        return self.state is not DisputeState.DECIDED

    def late_on(self, today: date) -> bool:
        """Whether a day was missed: the store's, until it has said something, or ours."""
        asked = self.evidence_due_on
        unanswered = asked is not None and self.accepted is None and asked < today
        return self.is_open and (unanswered or self.decide_by < today)


class Step(msgspec.Struct, frozen=True):
    """Something that happened to a dispute; `by` is whose key or approval it was."""

    dispute: str
    n: int
    what: What
    by: str
    note: str
    at: datetime


class Told(msgspec.Struct, frozen=True):
    """What events tell of a dispute."""

    dispute: str
    payment: str
    card: str
    store: str
    company: str
    """The issuer."""
    amount: int
    currency: str
    state: DisputeState
    reason: Reason


def told(one: Dispute) -> Told:
    """A dispute for its events."""
    return Told(
        one.id,
        one.payment,
        one.card,
        one.store,
        one.issuer,
        one.amount_fen,
        one.currency,
        one.state,
        one.reason,
    )


def check_window(paid_on: date, today: date, days: int, row: str) -> None:
    """Raises `dispute_window_over`: papers can be asked for up to so many days after."""
    if (today - paid_on).days > days:
        raise WINDOW_OVER.error(f"It was paid on {paid_on}.", rule=row, field="payment")


def check_ending(outcome: Outcome, bearer: Bearer | None) -> bool:
    """Whether an outcome says who bears it exactly where somebody does."""
    return (bearer is not None) == (outcome is Outcome.HOLDER)
