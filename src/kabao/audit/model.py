"""What an audit says: lines with figures and breaches, liabilities, heads of chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec

SHOWN = 10
"""How many breaches of a line are named; all are counted."""

GENESIS = bytes(32)
"""What a writer's first batch is chained to (docs/LEDGER.md, "The digest of a batch")."""


class Check(msgspec.Struct, frozen=True):
    """One thing to recompute. Each query may use the parameters of the audit."""

    id: str
    text: str
    """What holds when nothing is found, as a sentence."""
    figures: LiteralString
    """One row of numbers, by name."""
    breaches: LiteralString
    """A row per breach; its columns name it (`name_of`)."""
    noted: LiteralString | None = None
    """A row per case that is allowed and worth a look."""
    common: LiteralString = ""
    """A `with` clause before breaches and noted."""


class Line(msgspec.Struct, frozen=True):
    """What became of a check."""

    id: str
    text: str
    figures: dict[str, int]
    holds: bool
    breaches: tuple[str, ...] = ()
    breach_count: int = 0
    noted: tuple[str, ...] = ()
    noted_count: int = 0


class Liability(msgspec.Struct, frozen=True):
    """What an issuer owes to its cards, rolled forward. Amounts in fen; what adds
    to cards is above zero. `closing_fen` is what the cards hold by themselves.
    """

    issuer: str
    currency: str
    opening_fen: int
    loaded_fen: int
    """For money; voids, refunds and charge-backs taken off."""
    bonus_fen: int
    """Given, clawback taken off."""
    redeemed_fen: int
    given_back_fen: int
    """By voids, refunds and reversals of payments."""
    paid_out_fen: int
    suspended_fen: int
    adjusted_fen: int
    lapsed_fen: int
    lost_fen: int
    """What tills sold without a line and no card could pay: the issuer bears it."""
    recalled_fen: int
    """Spent before its money was taken back: payers owe it."""
    disputed_fen: int
    """Lent while disputes are looked into, less what was taken back."""
    moved_fen: int
    """Between cards of the issuer; zero when nothing is under way."""
    closing_fen: int

    @property
    def off_fen(self) -> int:
        """By how much the roll-forward misses the cards."""
        return (
            self.opening_fen
            + self.loaded_fen
            + self.bonus_fen
            + self.redeemed_fen
            + self.given_back_fen
            + self.paid_out_fen
            + self.suspended_fen
            + self.adjusted_fen
            + self.lapsed_fen
            + self.lost_fen
            + self.recalled_fen
            + self.disputed_fen
            + self.moved_fen
            - self.closing_fen
        )


class Head(msgspec.Struct, frozen=True):
    """The last batch of a writer; of writer 0, the last transfer between house accounts.

    `digest` in hexadecimal.
    """

    writer: int
    no: int
    digest: str


class Report(msgspec.Struct, frozen=True):
    """An audit's outcome."""

    holds: bool
    lines: tuple[Line, ...]
    liabilities: tuple[Liability, ...]
    heads: tuple[Head, ...]
    """To be kept outside the database, as the anchor of a later audit."""


class Anchor(msgspec.Struct, frozen=True):
    """Heads of an earlier audit. A whole report can be read as one."""

    heads: tuple[Head, ...]


class Entry(msgspec.Struct, frozen=True):
    """A line of a client journal: an operation, and what its client was told."""

    key: str
    """The Idempotency-Key."""
    status: str
    """As answered; `refused` for a clear no, `unknown` when no answer came."""
    verb: str = "pay"
    amount: int = 0
    """Fen asked for."""
    approved: int | None = None
    """Fen that moved, by the answer; None: as much as was asked for."""
    payment: str | None = None
    id: str | None = None
    """What the platform calls the operation."""


def name_of(row: Mapping[str, Any]) -> str:
    """A breach in words: `transfer <root>/<seq>, operation <op>, batch <writer>/<no>: why`."""
    left = {name: value for name, value in row.items() if value is not None}
    left.pop("of_all", None)
    detail = left.pop("detail", None)
    parts = []
    if "seq" in left and "root" in left:
        parts.append(f"transfer {_plain(left.pop('root'))}/{left.pop('seq')}")
    batch = f"batch {left.pop('writer')}/{left.pop('batch')}" if "batch" in left else None
    parts += [f"{name} {_plain(value)}" for name, value in left.items()]
    if batch is not None:
        parts.append(batch)
    return ", ".join(parts) + (f": {detail}" if detail else "")


def _plain(value: object) -> str:
    return value.hex if isinstance(value, UUID) else str(value)


def total(liabilities: Sequence[Liability], currency: str) -> Liability:
    """All issuers of a currency together; `issuer` is empty."""
    own = [one for one in liabilities if one.currency == currency]
    names = [name for name in Liability.__struct_fields__ if name.endswith("_fen")]
    return Liability("", currency, **{name: sum(getattr(x, name) for x in own) for name in names})
