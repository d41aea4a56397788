"""What a shift has taken: read at any time (X), and counted once at its end (Z)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec


class Taken(StrEnum):
    """By what value came in or went out at a till."""

    CASH = "cash"
    """Money in the drawer: loads, their voids, cash-outs."""
    STORED_VALUE = "stored_value"
    """Cards: payments, captures, and what undid them."""


class TotalLine(msgspec.Struct, frozen=True):
    """One verb by one tender. Negative: more went out than came in, in fen.

    `count` is how many operations; a payment from principal and bonus is one.
    """

    verb: str
    tender: Taken
    count: int
    amount_fen: int


class Totals(msgspec.Struct, frozen=True):
    """The lines of a shift, in the order of tender and verb."""

    lines: tuple[TotalLine, ...]

    @property
    def cash_fen(self) -> int:
        """What must have come into the drawer, beyond what it held at the beginning."""
        return sum(line.amount_fen for line in self.lines if line.tender is Taken.CASH)


def moved_cash(lines: Iterable[TotalLine]) -> bool:
    """Whether a shift had anything to do with cash: then somebody says what its drawer holds."""
    return any(line.tender is Taken.CASH for line in lines)


class ZReport(msgspec.Struct, frozen=True):
    """The count at a shift's end: made once, never changed, numbered per terminal without gaps."""

    shift: str
    terminal: str
    number: int
    lines: tuple[TotalLine, ...]
    cash_expected_fen: int
    cash_declared_fen: int | None
    """What the cashier counted; None when nobody did, as when a cashier was dismissed."""
    created_at: datetime

    @property
    def cash_difference_fen(self) -> int | None:
        """Declared less expected: negative when money is missing."""
        if self.cash_declared_fen is None:
            return None
        return self.cash_declared_fen - self.cash_expected_fen


def totals_of(lines: Iterable[TotalLine]) -> Totals:
    """Lines in their order."""
    return Totals(tuple(sorted(lines, key=lambda line: (line.tender, line.verb))))


def late(now: Iterable[TotalLine], counted: Iterable[TotalLine]) -> tuple[TotalLine, ...]:
    """What was booked to a shift after its Z report, from the lines of now and of then.

    A payment in flight while the shift was closed is booked to it all the
    same: it is shown beside the report, which stays as it was.
    """
    before = {(line.verb, line.tender): line for line in counted}
    more = []
    for line in now:
        then = before.get((line.verb, line.tender))
        count = line.count - (then.count if then else 0)
        amount_fen = line.amount_fen - (then.amount_fen if then else 0)
        if count or amount_fen:
            more.append(TotalLine(line.verb, line.tender, count, amount_fen))
    return tuple(more)
