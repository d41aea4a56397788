"""A day's statement as a bill: each entry is a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import IO

from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.xml import NotReadableError
from kabao.adapters.bills import DONE, number, number_or_none
from kabao.reconciliation.model.lines import (
    BillReader,
    Expected,
    Line,
    LineKind,
    SpoiltBillError,
)

Reads = Callable[[IO[bytes], str, date], Iterator[Entry]]
"""`statement.read` or `table.read`."""

_KINDS = {
    (True, False): LineKind.PAY,
    (False, False): LineKind.REFUND,
    (True, True): LineKind.RETURN,
    (False, True): LineKind.RECALL,
}


def read(file: IO[bytes], expected: Expected, reads: Reads) -> BillReader:
    """The lines of a statement. Money for no order has a line without our number."""
    try:
        for at, one in enumerate(reads(file, expected.subject, expected.day), 1):
            yield _line(at, one, expected)
    except NotReadableError as wrong:
        raise SpoiltBillError(str(wrong), wrong.line, wrong.code) from None
    except ValueError:
        raise SpoiltBillError("an entry without a number", None) from None


def _line(at: int, one: Entry, expected: Expected) -> Line:
    kind = _KINDS[one.came, one.reversal]
    undoes = kind in {LineKind.RETURN, LineKind.RECALL}
    return Line(
        source_no=at,
        kind=kind,
        our_no=number_or_none(one.order_no),
        our_sub_no=None if kind is LineKind.RECALL else number_or_none(one.refund_no),
        their_no=number(one.no),
        amount_fen=one.amount_fen,
        fee_mfen=one.fee_mfen,
        currency="CNY",
        at_us=one.at_us,
        day=expected.day,
        status=DONE,
        original_no=number_or_none(one.original) if undoes else None,
    )
