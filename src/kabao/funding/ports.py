"""Ports: to whoever takes money outside, to what money is for, to what chooses a channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol, runtime_checkable

from kabao.base.db import Conn
from kabao.funding.model.answers import (
    BillAnswer,
    Capabilities,
    Created,
    Incoming,
    Notice,
    Order,
    Paid,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Rejected,
    Reply,
)
from kabao.funding.model.channels import Channel, ChannelConfig
from kabao.funding.model.collections import Ask, Choice, Collection, FundingRefund, Outcome
from kabao.funding.model.receipts import Receipt, ReceiptsAnswer


class PayChannel(Protocol):
    """One merchant's account at one channel. Adapters implement it and keep no state.

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


@runtime_checkable
class Receives(Protocol):
    """A channel to which money also comes unasked: a bank account."""

    async def receipts(self, day: date) -> ReceiptsAnswer:
        """What came on a day, whoever it is for."""
        ...


class Claims(Protocol):
    """Whoever else money at a bank may be for. Handed in by whoever stands above."""

    async def came(self, conn: Conn, channel: Channel, receipt: Receipt) -> bool:
        """Whether a sum that bears a reference of no order is theirs; then they book it.

        Called inside the transaction that writes the receipt down.
        """
        ...


MakeChannel = Callable[[ChannelConfig], PayChannel]
"""How `app` makes the adapter of a kind. Raises `channel_account_unusable`."""


class Purpose(Protocol):
    """What money is collected for. Handed in by whoever stands above.

    Every method is called inside the transaction of the step, with the collection
    locked, and once for each thing it tells.
    """

    async def confirmed(self, conn: Conn, collection: Collection, paid: Paid) -> None:
        """The money is ours: do what it is for.

        A KabaoError says that it cannot be done: what it wrote is undone, the money goes
        back by itself, and `given_up` is told with that code and rule. Only
        `unavailable`, `in_doubt` and defects leave everything as it was, to be tried again.
        """
        ...

    async def given_up(
        self, conn: Conn, collection: Collection, code: str, rule: str | None
    ) -> None:
        """Nothing comes, or not any more; what comes late goes back by itself."""
        ...

    async def refunded(self, conn: Conn, refund: FundingRefund) -> None:
        """A refund asked for with `refund_in` is done or refused, as its state says."""
        ...

    async def recalled(self, conn: Conn, collection: Collection, gone: FundingRefund) -> None:
        """Confirmed money was taken back from us: freeze what is left, book the rest.

        `gone`: what the channel took, or a refund that it had first refused.
        """
        ...


class Router(Protocol):
    """Chooses channels, and learns from how they do."""

    async def choose(
        self, conn: Conn, ask: Ask, *, collection: str, tried: Sequence[str]
    ) -> Choice:
        """The channel to try next. `tried`: ids of channels that have failed it already.

        Raises `channel_not_configured`, `channel_not_available`,
        `channel_limit_exceeded` or `source_not_allowed`.
        """
        ...

    def tell(
        self, channel_id: str, outcome: Outcome, took_ms: int, *, sent_us: int, begins: bool
    ) -> None:
        """How a channel did. `took_ms` is 0 where nothing was measured.

        `sent_us`: when the order was begun, by our clock. `begins`: whether this is what
        came of sending it, and not of a later question or notification.
        Counts at once in this process and within a second in the others. What is
        told in a transaction that is undone is told all the same: it was so.
        """
        ...
