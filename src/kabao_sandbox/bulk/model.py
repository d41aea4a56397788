"""What is drawn and planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from kabao_sandbox.party import keys
from kabao_sandbox.party.bills import HOURS, Row
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Party
from kabao_sandbox.party.moment import Now

Opened = Callable[[Now, Chance, keys.New], Party]

MFEN = 1_000
"""Thousandths of a fen to a fen."""


class Flaw(StrEnum):
    """How a bill and the books may differ."""

    MISSING_HERE = "missing_here"  # in the bill, not in the books
    MISSING_THERE = "missing_there"  # in the books, not in the bill
    AMOUNT = "amount"  # the bill is a fen off
    STATUS = "status"  # the bill says done, the books say it came to nothing
    DUPLICATE = "duplicate"  # twice in the bill
    WRONG_DAY = "wrong_day"  # the books have it on the day before
    FEE = "fee"  # the bill takes two fen too many
    CURRENCY = "currency"  # not the same currency


@dataclass(frozen=True, slots=True)
class Known:
    """A payment or refund as the merchant's own books have it."""

    no: str
    """The merchant's number of the order."""
    refund_no: str
    number: str
    """The other side's number, as its bill shows it."""
    amount_fen: int
    fee_mfen: int
    at_us: int
    currency: str = "CNY"
    status: str = "done"


@dataclass(frozen=True, slots=True)
class Planted:
    """One error, by the numbers under which either side knows the row."""

    flaw: Flaw
    no: str
    refund_no: str
    number: str


@dataclass(frozen=True)
class Day:
    """What was drawn: the bill's rows and the books', both in the order of time."""

    rows: Sequence[Row]
    known: Sequence[Known]
    truth: Sequence[Planted]


@dataclass(frozen=True)
class Form:
    """A kind of bill."""

    suffix: str
    number: Callable[[int], str]
    """The other side's number of its nth payment."""
    refund_number: Callable[[int], str]
    """Of its nth refund; empty where a bill shows only that of the payment."""
    shown: Callable[[Row], str]
    """A row's number, as the bill shows it."""
    write: Callable[[Sequence[Row], date, Path], None]
    fee_ppm: int = 6_000
    fee_step_mfen: int = MFEN
    """What fees are rounded to."""
    gives_fees_back: bool = True
    """Whether a refund gives back its fee."""
    shows_currency: bool = False
    """Whether a row has a currency of its own."""
    ends_hour: int = HOURS
    """When its day ends."""
    refunds: bool = True
    """Whether the merchant knows of refunds: at an acquirer's own terminal it does not."""
    party: Opened | None = None
    """Who writes it; None where that is no channel."""
