"""Statements written for stores: the same statement is the same bytes.

sheet   for people: PDF, through `base.sheets`
table   for spreadsheets: CSV
camt    for their books: camt.053.001.08
"""

from __future__ import annotations

import msgspec

from kabao.clearing.model.statements import LineKind, Statement


class Names(msgspec.Struct, frozen=True):
    """Who is who, for people."""

    issuer: str
    store: str
    company: str
    account: str | None = None
    """Where the store is paid, masked; None: through its company."""


WORDS = {
    LineKind.REDEEMED: "Cards redeemed",
    LineKind.GIVEN_BACK: "Given back to cards",
    LineKind.FEES: "Fees",
    LineKind.FEES_RETURNED: "Fees returned",
    LineKind.CASH: "Cash kept by the store",
    LineKind.OTHER_WINDOWS: "Other windows settled together",
    LineKind.SETTLED: "Settled: paid or set off",
}


def yuan(fen: int) -> str:
    """`-1234` to `"-12.34"`, as spreadsheets and books take it."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


__all__ = ["WORDS", "Names", "Statement", "yuan"]
