"""The bank that pays what was settled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Protocol, runtime_checkable

from kabao.clearing.model.batches import Batch, BatchAnswer, ReturnsAnswer


class PayoutBank(Protocol):
    """A company's account at a bank, as far as files of payouts go. Adapters keep no state.

    Nothing here raises for what a bank says or fails to say, and none of it is called
    inside a transaction.
    """

    def written(self, batch: Batch) -> bytes:
        """The file, pain.001.001.09: the same batch is the same bytes."""
        ...

    async def send(self, batch: Batch) -> BatchAnswer:
        """Ask for the payouts. The same number is taken once, however often it is sent."""
        ...

    async def ask(self, batch: Batch) -> BatchAnswer:
        """Ask what became of them."""
        ...

    async def returns(self, day: date) -> ReturnsAnswer:
        """What came back on a day: payouts that had been paid."""
        ...


@runtime_checkable
class PaysOut(Protocol):
    """A channel through which a company can also pay its stores and other companies."""

    @property
    def batches(self) -> PayoutBank:
        """Its files."""
        ...


BankOf = Callable[[str], PayoutBank | None]
"""The bank a company pays through; None while it has none that works."""
