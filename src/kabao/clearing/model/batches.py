"""Files of payouts: what a bank is asked to pay at once, and everything it may say of it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from kabao.funding.model.answers import NotThere, Refused, Unknown, Unreachable


class Payee(msgspec.Struct, frozen=True):
    """Whose account it is, and where. Never in a log or an error."""

    name: str
    account: str
    bank: str
    """Its number in the clearing system (CNAPS, 行号), 12 digits."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One sum of a file."""

    no: str
    """The payout's, 32 hex characters: a bank shows it again (EndToEndId)."""
    instruction: str
    """What it settles."""
    amount_fen: int
    to: Payee
    words: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one company pays at once. The same batch is the same bytes."""

    no: str
    """32 hex characters; a bank takes a file of this number once (MsgId)."""
    day: date
    """When it is to leave."""
    created_us: int
    parts: tuple[Part, ...]


class Fate(StrEnum):
    """What became of a payout, as far as its bank has told."""

    UNDER_WAY = "under_way"
    PAID = "paid"
    REJECTED = "rejected"
    """It never left."""
    RETURNED = "returned"
    """It left, and came back."""


class Told(msgspec.Struct, frozen=True):
    """What a bank says of one payout."""

    no: str
    fate: Fate
    amount_fen: int | None = None
    """None where it names none."""
    reason: str = ""
    """ISO 20022's code of a no."""
    at_us: int | None = None
    """When its bank booked it, where it tells."""
    whole: bool = False
    """It was said of the whole file, and so says nothing of this payee."""


class BatchTold(msgspec.Struct, frozen=True, tag=True):
    """What a bank says of a file it has; what it does not name is under way."""

    parts: tuple[Told, ...]


class Returns(msgspec.Struct, frozen=True, tag=True):
    """What came back on a day, so far."""

    day: date
    parts: tuple[Told, ...]


BatchAnswer = BatchTold | NotThere | Refused | Unreachable | Unknown
"""`Refused`: nothing of the file was or will be paid."""

ReturnsAnswer = Returns | Unreachable | Unknown
