"""Breaks: where a source and our books differ, what each means, what is proposed. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.reconciliation.model.lines import LineKind

BREAK = "brk"
"""Prefix at the edge."""


BREAK_CLOSED = code(
    "break_closed", Kind.CONFLICT, "This break is closed, or not in the state this is for."
)
NOTHING_TO_POST = code(
    "nothing_to_post", Kind.REFUSED, "This break is of no amount, or of no account of ours."
)


class Class(StrEnum):
    """In what a source and our books differ."""

    MISSING_HERE = "missing_here"  # the source tells of it, our books do not
    MISSING_THERE = "missing_there"  # our books tell of it, the source does not
    AMOUNT = "amount"
    STATUS = "status"  # done for one of the two only
    DUPLICATE = "duplicate"  # told again
    WRONG_DAY = "wrong_day"  # the two count it to different days
    FEE = "fee"
    CURRENCY = "currency"


class BreakState(StrEnum):
    """What has become of a break."""

    OPEN = "open"
    CLEARED = "cleared"  # explained: a later bill had it, or the source was asked
    SUSPENDED = "suspended"  # its amount waits in UNMATCHED, by two persons
    CORRECTED = "corrected"  # by two persons, for good


class Correction(StrEnum):
    """What two persons may do about a break."""

    SUSPEND = "suspend"  # post the difference to UNMATCHED, until it is known where it belongs
    ACCEPT = "accept"  # nothing is to be posted: it is explained
    RELEASE = "release"  # of what is suspended: it is in the books by now, or the source gave in
    WRITE_OFF = "write_off"  # of what is suspended: it is lost, or nobody's


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. Amounts in fen, fees in thousandths of a fen; None: it is not there."""

    id: str
    run: str
    no: int
    """Where it stands among the breaks of its run: 1-based."""
    cls: Class
    kind: LineKind
    source_no: int | None
    our_no: str
    our_sub_no: str
    their_no: str
    original_no: str
    """The source's number of the payment that went back. Numbers are empty where there is none."""
    ours_fen: int | None
    theirs_fen: int | None
    ours_fee_mfen: int | None
    theirs_fee_mfen: int | None
    ours_status: str | None
    theirs_status: str | None
    ours_day: date | None
    currency: str
    state: BreakState
    why: str | None
    """What closed it."""

    @property
    def difference_fen(self) -> int:
        """What the source counts to our favour beyond our books; may be negative.

        Money that goes back counts the other way round. Another day or fee is no money.
        """
        if self.cls in {Class.WRONG_DAY, Class.FEE, Class.CURRENCY}:
            return 0
        theirs = 0 if self.theirs_fen is None or not _done(self.theirs_status) else self.theirs_fen
        ours = 0 if self.ours_fen is None or not _done(self.ours_status) else self.ours_fen
        if self.cls is Class.DUPLICATE:
            ours = 0  # what is ours was told before; this is beyond it
        return (theirs - ours) * (1 if self.kind in TO_US else -1)

    @property
    def proposed(self) -> Correction:
        """What is proposed to two persons."""
        return Correction.SUSPEND if self.difference_fen else Correction.ACCEPT

    @property
    def explanation(self) -> str:
        """What it means and why that is proposed, for a person."""
        return _WORDS[self.cls]


class OpenBreaks(msgspec.Struct, frozen=True, kw_only=True):
    """Breaks of one class at one source that nobody has explained for good."""

    source: str
    subject: str
    cls: Class
    state: BreakState
    count: int
    amount_fen: int
    """The larger of the two sides of each."""
    oldest: date


AFTER: dict[Correction, tuple[BreakState, BreakState]] = {
    Correction.SUSPEND: (BreakState.OPEN, BreakState.SUSPENDED),
    Correction.ACCEPT: (BreakState.OPEN, BreakState.CORRECTED),
    Correction.RELEASE: (BreakState.SUSPENDED, BreakState.CORRECTED),
    Correction.WRITE_OFF: (BreakState.SUSPENDED, BreakState.CORRECTED),
}
"""What a correction is for, and what a break is after it."""


TO_US = frozenset({LineKind.PAY, LineKind.RETURN, LineKind.DEPOSIT, LineKind.SETTLE})
"""Kinds by which money comes to us; by the others it goes."""

DONE = "done"


def _done(status: str | None) -> bool:
    return status == DONE


_WORDS = {
    Class.MISSING_HERE: "The source has counted money that no order of ours accounts for."
    " It is not ours to use: keep it in suspense until its payer or its order is found.",
    Class.MISSING_THERE: "Our books count money that the source does not tell of. Look into"
    " its next bill first; until then the books should not show it as collected.",
    Class.AMOUNT: "Both know it, with different amounts. The source pays out its own: keep"
    " the difference in suspense until one of the two is shown to be wrong.",
    Class.STATUS: "It is done for one side only. The source is asked by itself; when it stays"
    " so, the amount belongs in suspense.",
    Class.DUPLICATE: "The source tells it again. If it was paid twice the second payment goes"
    " back; until that is known the second amount belongs in suspense.",
    Class.WRONG_DAY: "Both know it and count it to different days. No money is missing:"
    " nothing is to be posted.",
    Class.FEE: "The source took another fee than its terms say. Claim it back, or change the"
    " terms; nothing is to be posted before the source pays out.",
    Class.CURRENCY: "The source tells another currency than our order has. No amounts can be"
    " compared: ask the source.",
}


def waits_for_source(found: Break) -> bool:
    """Whether the source itself may explain it, when it is asked."""
    told_only_there = found.kind in {LineKind.REFUND, LineKind.RECALL, LineKind.RETURN}
    return found.cls is Class.STATUS or (found.cls is Class.MISSING_HERE and told_only_there)
