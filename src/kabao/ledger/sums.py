"""What a business day came to, as reports need it."""

from __future__ import annotations

import msgspec


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """What moved between cards and one house account for one purpose, at one place.

    `value_fen` is value towards the cards: loads are positive, payments negative.
    """

    issuer: str
    currency: str
    account: int
    purpose: int
    store: str | None
    """Where it happened: the redeeming store, or else the selling one."""
    cashier: str | None
    channel: str | None
    operations: int
    value_fen: int


class Hour(msgspec.Struct, frozen=True):
    """What an issuer's cards paid in an hour of the clock, before anything was given back."""

    issuer: str
    hour: int
    operations: int
    amount_fen: int


class Owed(msgspec.Struct, frozen=True):
    """What an issuer owes to all holders of its cards."""

    issuer: str
    currency: str
    fen: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """All transfers of a day between two accounts for one purpose, of both journals."""

    issuer: str
    currency: str
    debit: int
    debit_owner: str | None
    """Of a house account; None for what is under cards."""
    credit: int
    credit_owner: str | None
    purpose: int
    transfers: int
    amount_fen: int
