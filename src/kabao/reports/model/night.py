"""What the night's clearing hands to the report. Amounts in fen."""

from __future__ import annotations

from datetime import date

import msgspec


class OpenItem(msgspec.Struct, frozen=True, kw_only=True):
    """Items of one kind that nobody has explained yet."""

    source: str
    """Whose books differ from ours: a channel's name, a bank, a terminal's batch."""
    kind: str
    """How: missing here or there, amount, status, …"""
    count: int
    amount_fen: int
    oldest: date


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What one company owes another, or one of its stores, after a netting window."""

    settlement: str
    """The settlement's id: what drills down to the slips."""
    issuer: str
    company: str
    store: str | None
    redeemed_fen: int
    given_back_fen: int
    fees_fen: int
    cash_fen: int
    """Cash the store took for the issuer, where it is set off."""
    net_fen: int
    state: str
    due_on: date | None
