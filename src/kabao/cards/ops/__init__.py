"""The verbs of cards.

programmes    making and changing programmes; their rules; the snapshot
issue         drawing and storing cards, one at a time
batches       bulk issue in chunks, and its secrets, shown once
credentials   from number, track or barcode to the card; reading cards
"""

from __future__ import annotations

from kabao.cards.ops.batches import Batches
from kabao.cards.ops.credentials import Credentials
from kabao.cards.ops.issue import Blank

__all__ = ["Blank", "Cards"]


class Cards(Batches, Credentials):
    """Programmes, cards and what is shown to pay; one per process."""
