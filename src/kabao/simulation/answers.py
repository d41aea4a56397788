"""Answers of the platform, as far as its clients read them."""

from __future__ import annotations

import msgspec

DECLINED = "declined"


class Paid(msgspec.Struct, frozen=True):
    """A payment as its answer tells it."""

    id: str
    status: str
    requested_amount: int
    approved_amount: int
    captured_amount: int
    refunded_amount: int
    balance_after: int | None
    decline_code: str | None
    rule: str | None
    created_at: str

    @property
    def approved(self) -> bool:
        """Whether it was not declined."""
        return self.status != DECLINED


class GivenBack(msgspec.Struct, frozen=True):
    """A refund as its answer tells it."""

    id: str
    amount: int
    destination: str
    payment: Paid


class Undone(msgspec.Struct, frozen=True):
    """A reversal as its answer tells it."""

    id: str
    status: str
    amount: int
    payment: Paid | None


class LoadedCard(msgspec.Struct, frozen=True):
    """The card of a top-up."""

    id: str


class Loaded(msgspec.Struct, frozen=True):
    """A top-up as its answer tells it."""

    id: str
    status: str
    amount: int
    balance_after: int
    card: LoadedCard


class Allowed(msgspec.Struct, frozen=True):
    """A supervisor's override."""

    id: str


class Worth(msgspec.Struct, frozen=True):
    """A balance inquiry's answer."""

    card: str
    card_status: str
    balance: int
    available: int
