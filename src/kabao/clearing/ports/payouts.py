"""The bank that pays what was settled."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple, Protocol, runtime_checkable

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


class Through(NamedTuple):
    """The channel that a company pays through, and its bank."""

    channel: str
    bank: PayoutBank


class Banks(Protocol):
    """Which bank pays for whom."""

    def of(self, company: str) -> Through | None:
        """What a company pays through now; None while it has nothing that works."""
        ...

    def at(self, channel: str) -> PayoutBank | None:
        """The bank of a channel, also of one that is given nothing new."""
        ...
