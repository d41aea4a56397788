"""The port to whoever takes money outside. Adapters implement it and keep no state."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from kabao.funding.model.answers import (
    BillAnswer,
    Capabilities,
    Created,
    Incoming,
    Notice,
    Order,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Rejected,
    Reply,
)
from kabao.funding.model.receipts import ReceiptsAnswer


class PayChannel(Protocol):
    """One merchant's account at one channel.

    Nothing here raises for what a channel says or fails to say; none of it is
    called inside a transaction.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this channel can do."""
        ...

    async def create(self, order: Order, payer: Payer) -> Created:
        """Ask for the money. The same order asked twice is one order."""
        ...

    async def query(self, order: Order) -> Queried:
        """Ask what became of an order."""
        ...

    async def close(self, order: Order) -> Queried:
        """End an order. Where the payer's code was scanned, money that was paid goes back.

        `Waiting` where the channel ends orders only when their time is over.
        """
        ...

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Give back part or all."""
        ...

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund."""
        ...

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification: whose it is, when it was sent, for whom."""
        ...

    def reply(self, *, taken: bool) -> Reply:
        """What to answer a notification; one that was not taken comes again."""
        ...

    async def bill(self, day: date) -> BillAnswer:
        """The list of a day, by the channel's calendar (Asia/Shanghai)."""
        ...


class Receives(Protocol):
    """A channel to which money also comes unasked: a bank account."""

    async def receipts(self, day: date) -> ReceiptsAnswer:
        """What came on a day, whoever it is for."""
        ...
