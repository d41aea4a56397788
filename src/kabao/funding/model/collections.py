"""What is to be collected, the orders that try, what goes back. Amounts in fen, times in µs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.funding.model.answers import Order, Refund, Scene, Waiting
from kabao.funding.model.life import RefundState, State
from kabao.vault.model import RewrapTarget

COLLECTION, ORDER, REFUND = "col", "fund", "frf"
"""Prefixes at the edge."""

REWRAP_TARGETS = (
    RewrapTarget(schema="funding", table="channel", id_column="id", sealed_column="account"),
    RewrapTarget("funding", "channel_offer", "id", "account"),
    RewrapTarget("funding", "channel_order", "id", "payer"),
    RewrapTarget("funding", "receipt", "id", "payer"),
)
"""Columns the vault's key rotation walks."""

CHANNEL_NOT_CONFIGURED = code(
    "channel_not_configured", Kind.REFUSED, "There is no such payment channel here."
)
CHANNEL_NOT_AVAILABLE = code(
    "channel_not_available", Kind.REFUSED, "No payment channel can take this now."
)
CHANNEL_LIMIT = code(
    "channel_limit_exceeded", Kind.REFUSED, "The amount is outside the channel's limits."
)
SOURCE_NOT_ALLOWED = code(
    "source_not_allowed", Kind.REFUSED, "The channel cannot bar what may not pay for this."
)
NOT_COLLECTED = code("not_collected", Kind.CONFLICT, "This collection holds no money of the payer.")
REFUND_NOT_OPEN = code(
    "refund_not_open",
    Kind.CONFLICT,
    "This refund was not refused, or is for whoever asked for it to try again.",
)
MORE_THAN_COLLECTED = code(
    "more_than_collected", Kind.REFUSED, "More would go back than was collected."
)
EXPIRED = code("collection_expired", Kind.REFUSED, "Nobody paid in time.")
CANCELLED = code("collection_cancelled", Kind.REFUSED, "The collection was cancelled.")
PAYMENT_REFUSED = code("payment_refused", Kind.REFUSED, "The payment channel refused the payment.")
TAKEN_BACK = code("payment_taken_back", Kind.REFUSED, "The payment was taken back by its channel.")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody above wants collected, and for what."""

    purpose: str
    """By which name whoever asks is served, such as `topup`."""
    subject: str
    """Edge id of what it is for."""
    company: str
    """Who gets the money."""
    store: str | None = None
    terminal: str | None = None
    programme: str
    scene: Scene
    amount_fen: int
    currency: str = "CNY"
    payer_ref: str | None = None
    """The customer who pays, where one is known."""
    no_credit: bool = False
    channel: str | None = None
    """A channel's name or kind; without it one is chosen."""
    expires_us: int | None = None
    return_url: str | None = None
    face_to_face: bool = False
    by_unit: bool = False
    """Whether a company pays and not a person."""
    title: str = "储值卡充值"
    """What the payer reads."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One sum to be collected; at most one of its orders is confirmed."""

    id: str
    purpose: str
    subject: str
    company: str
    store: str | None
    terminal: str | None
    programme: str
    scene: Scene
    amount_fen: int
    currency: str
    payer_ref: str | None
    no_credit: bool
    channel: str | None
    return_url: str | None
    face_to_face: bool
    by_unit: bool
    title: str
    state: State
    """Of its latest order."""
    current: str
    """Its latest order."""
    wanted: bool
    """False once it was cancelled: then no other channel is tried."""
    settled: bool
    """Whether the purpose was told how it ended."""
    code: str | None
    rule: str | None
    """Why it was given up."""
    created_us: int
    expires_us: int
    day: date

    def ask(self) -> Ask:
        """What was asked for."""
        fields = {name: getattr(self, name) for name in Ask.__struct_fields__}
        return Ask(**fields)


class ChannelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to collect through one channel."""

    id: str
    collection: str
    no: int
    """1 is the first."""
    channel: str
    state: State
    channel_no: str | None
    """The channel's number of the payment."""
    paid_us: int | None
    funds: str
    begun_us: int | None
    """When it was first sent; None: certainly never."""
    ask_us: int | None
    """When to look at it next."""
    asked: int
    """Questions since it came into this state."""
    asked_us: int | None
    """When its channel was asked last."""
    shown: str | None
    """What the payer is shown, as JSON of `Waiting`."""
    reference: str | None
    """What a payer writes with a transfer."""
    refusal: str | None
    """The channel's own code."""
    created_us: int
    expires_us: int

    @property
    def waiting(self) -> Waiting | None:
        """What the payer is to be shown."""
        if self.shown is None:
            return None
        return msgspec.json.decode(self.shown, type=Waiting)

    @property
    def open(self) -> bool:
        """Whether money may come."""
        return self.state in OPEN

    def told(self, collection: Collection, notify_url: str) -> Order:
        """The order as a channel is told of it."""
        return Order(
            no=self.id,
            scene=collection.scene,
            amount_fen=collection.amount_fen,
            subject=collection.title,
            created_us=self.created_us,
            expires_us=self.expires_us,
            notify_url=notify_url,
            return_url=collection.return_url,
            terminal=collection.terminal,
            no_credit=collection.no_credit,
        )


OPEN = frozenset({State.CREATED, State.PENDING, State.UNKNOWN})
HELD = frozenset({State.CONFIRMED, State.RECONCILED})
"""The money is ours."""


class Held(msgspec.Struct, frozen=True):
    """An order and its collection, both locked, or both as they were read."""

    collection: Collection
    order: ChannelOrder

    @property
    def is_current(self) -> bool:
        """Whether no later order has taken its place."""
        return self.collection.current == self.order.id


class Shown(msgspec.Struct, frozen=True):
    """A collection, and what its payer is to be shown."""

    collection: Collection
    waiting: Waiting | None


AGAIN = "again:"
"""What the key of a refund begins with that takes another's place; that one's id follows."""


class Back(StrEnum):
    """Why money went back, or goes."""

    ASKED = "asked"  # somebody above asked for it
    LATE = "late"  # it came to an order that was given up, or could not be used
    SECOND = "second"  # it came twice
    RECALLED = "recalled"  # taken back from us; unknown as long as a refund may have taken it


class FundingRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way back to a payer."""

    id: str
    collection: str
    order: str
    back: Back
    amount_fen: int
    channel_no: str
    """The payment it goes back from."""
    state: RefundState
    key: str
    """Once for each collection."""
    reason: str
    refusal: str | None
    """The channel's own code."""
    sent_us: int | None
    ask_us: int | None
    asked: int
    created_us: int
    done_us: int | None

    @property
    def is_told(self) -> bool:
        """Whether the purpose asked for it and does not know how it ended."""
        return self.back is Back.ASKED and not self.is_again

    @property
    def is_again(self) -> bool:
        """Whether it takes the place of one that did not arrive."""
        return self.key.startswith(AGAIN)

    def told(self, order_fen: int) -> Refund:
        """The refund as a channel is told of it."""
        return Refund(
            self.id, self.amount_fen, order_fen, self.channel_no, self.created_us, self.reason
        )


def gone_fen(refunds: Sequence[FundingRefund]) -> int:
    """What of an order's payment has gone back or is on its way, of all that went back of it."""
    again = {one.key for one in refunds if one.state is not RefundState.REFUSED}
    return sum(
        one.amount_fen
        for one in refunds
        if one.back is not Back.SECOND
        and one.state is not RefundState.REFUSED
        and not (one.back is Back.RECALLED and one.state is RefundState.UNKNOWN)
        and AGAIN + one.id not in again
    )


def done_fen(refunds: Sequence[FundingRefund]) -> int:
    """What of an order's payment is back with the payer."""
    return sum(
        one.amount_fen
        for one in refunds
        if one.back is not Back.SECOND and one.state is RefundState.DONE
    )


class Choice(msgspec.Struct, frozen=True):
    """A channel that was chosen, and the record of why."""

    channel: str
    record: str | None = None


class Outcome(StrEnum):
    """How a channel did, as far as it can be blamed or praised for it."""

    TAKEN = "taken"  # it took an order over and waits for the payer
    SUCCESS = "success"  # paid
    REFUSED_BY_PAYER = "refused_by_payer"  # no money, no will, no time
    FAILED = "failed"  # the channel said no
    UNREACHABLE = "unreachable"  # nothing got out
    UNKNOWN = "unknown"  # no answer that could be trusted
    NOT_ASKED = "not_asked"  # too busy, or we knew better: it says nothing of the channel
