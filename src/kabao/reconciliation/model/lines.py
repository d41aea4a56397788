"""What a source tells, line by line; and how a bill is refused as a whole.

Readers yield lines as they go, so that a bill of a million lines takes no more memory
than one of ten. Whatever is wrong with a bill is raised by the reader, at the latest
after its last line: nothing of a spoilt bill is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum

import msgspec

from kabao.base.errors import Code, KabaoError, Kind, code

BILL_UNREADABLE = code("bill_unreadable", Kind.INVALID, "A line of the bill cannot be read.")
BILL_HEADER = code(
    "bill_header_changed", Kind.INVALID, "The bill's columns are not the known ones."
)
BILL_CUT = code("bill_cut_short", Kind.INVALID, "The bill ends before its end.")
BILL_TOTALS = code("bill_wrong_total", Kind.INVALID, "The bill does not agree with its own totals.")
BILL_MERCHANT = code("bill_wrong_merchant", Kind.INVALID, "The bill is another merchant's.")
BILL_DAY = code("bill_wrong_day", Kind.INVALID, "The bill is of another day.")
BILL_CURRENCY = code("bill_wrong_currency", Kind.INVALID, "The bill is in another currency.")
BILL_KNOWN = code("bill_known_already", Kind.CONFLICT, "This very file was taken before.")

SPOILT = (
    BILL_UNREADABLE,
    BILL_HEADER,
    BILL_CUT,
    BILL_TOTALS,
    BILL_MERCHANT,
    BILL_DAY,
    BILL_CURRENCY,
    BILL_KNOWN,
)
"""Every reason to refuse a bill whole."""

RULE = "C-05"


class SpoiltBillError(KabaoError):
    """The bill is refused whole, with the reason and the line (1-based, of the unpacked file)."""

    def __init__(self, reason: str, line: int | None, code: Code = BILL_UNREADABLE) -> None:
        super().__init__(code, reason if line is None else f"line {line}: {reason}", rule=RULE)
        self.reason, self.line = reason, line


class LineKind(StrEnum):
    """What a line tells. Amounts are never negative: the kind says which way money went."""

    PAY = "pay"  # somebody paid us
    REFUND = "refund"  # we gave back
    RECALL = "recall"  # the source took a payment back
    RETURN = "return"  # a refund came back to us
    FEE = "fee"  # the source's own charge, where it stands in a line of its own
    SETTLE = "settle"  # the source paid out what it had collected
    DEPOSIT = "deposit"  # cash brought to the bank


class Line(msgspec.Struct, frozen=True, gc=False):
    """One thing a source tells, in the one form all sources are read into."""

    source_no: int
    """Where it stands in the source: 1-based, one to each line, rising."""
    kind: LineKind
    our_no: str | None
    """Our order's number, as the source tells it; None where it tells none."""
    our_sub_no: str | None
    """Our number of a part of it: the refund's."""
    their_no: str
    """The source's own number, one to each payment, refund or posting."""
    amount_fen: int
    fee_mfen: int
    """The source's fee in thousandths of a fen; negative where it gives fees back."""
    currency: str
    at_us: int
    day: date
    """The day the source counts it to."""
    status: str
    """`done`, or what the source says instead, in lower case."""
    original_no: str | None = None
    """The source's number of the payment that is given or taken back, where it tells one."""


class Expected(msgspec.Struct, frozen=True):
    """Which bill was asked for: one of anything else is refused whole."""

    subject: str
    """Our number at the source: merchant or account."""
    day: date
    currency: str = "CNY"


BillReader = Iterator[Line]
"""Lines as a file is read. The end of it is reached only by a bill that is good throughout;
before that, `SpoiltBillError` may be raised at any line.
"""
