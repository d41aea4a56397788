"""What somebody should look at: deeds of cashiers to cards of their own."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class OwnCardDeed(StrEnum):
    """What a cashier did to a card of the same person."""

    REFUND = "refund"
    LOAD = "load"
    ACTIVATION = "activation"


class OwnCardFlag(msgspec.Struct, frozen=True):
    """A deed of a cashier to an own card, for somebody to look at (ATK-11)."""

    id: str
    source: str
    """What it was seen by: an operation, or a change of the card. Flagged once."""
    deed: OwnCardDeed
    store: str
    cashier: str
    card: str
    amount_fen: int | None
    at: datetime
    noted_at: datetime
