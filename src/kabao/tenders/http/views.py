"""What the routes of payment orders answer."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.base.clock import rfc3339
from kabao.base.ids import to_edge
from kabao.tenders.model import HOLDING, PaymentOrder, Refund, Status, Tender


class TenderCard(msgspec.Struct, frozen=True):
    """The card, as far as the caller may know it."""

    id: str
    last4: str


class TenderView(msgspec.Struct, frozen=True):
    """A tender as the outside sees it."""

    id: str
    type: str
    status: str
    requested_amount: int
    approved_amount: int
    held_amount: int
    captured_amount: int
    refunded_amount: int
    due_back_amount: Annotated[
        int, Meta(description="What cashier or channel give back; nothing of a card.")
    ]
    rounding: Annotated[
        int, Meta(description="Let off of cash: so much less passes over the counter.")
    ]
    payment: str | None
    card: TenderCard | None
    balance_after: int | None
    decline_code: str | None
    rule: str | None
    channel: str | None
    reference: str | None
    created_at: str


class PaymentOrderView(msgspec.Struct, frozen=True):
    """A payment order as the outside sees it."""

    id: str
    status: str
    amount: int
    tendered_amount: int
    remaining_amount: int
    captured_amount: int
    refunded_amount: int
    due_back_amount: int
    invoiceable_amount: int
    currency: str
    capture: bool
    store: str
    terminal: str | None
    cashier: str | None
    reference: str | None
    frozen: bool
    frozen_until: str | None
    freeze_reason: str | None
    outcome_unknown: bool
    expires_at: Annotated[
        str | None, Meta(description="When its holds are set free; null once nothing is held.")
    ]
    settled_on: str | None
    created_at: str
    metadata: msgspec.Raw
    tenders: list[TenderView]


class RefundPartView(msgspec.Struct, frozen=True):
    """What one tender gets of a refund."""

    tender: str
    amount: int
    destination: Annotated[
        str, Meta(description="`card`, `suspense`, or what is due there: `cash`, `channel`.")
    ]
    due_back_amount: Annotated[
        int, Meta(description="What cashier or channel give back: cash in whole coins.")
    ]
    refund: str | None
    rule: str | None


class OrderRefundView(msgspec.Struct, frozen=True):
    """A refund of a payment order, tender by tender."""

    id: str
    payment_order: str
    amount: int
    created_at: str
    parts: list[RefundPartView]


def order_view(order: PaymentOrder, now_us: int) -> PaymentOrderView:
    """A payment order for the outside."""
    until = order.frozen_until_us
    return PaymentOrderView(
        id=to_edge("pmo", order.id),
        status=order.status,
        amount=order.amount_fen,
        tendered_amount=order.tendered_fen,
        remaining_amount=order.remaining_fen if order.status == Status.OPEN else 0,
        captured_amount=order.captured_fen,
        refunded_amount=order.refunded_fen,
        due_back_amount=order.due_back_fen,
        invoiceable_amount=order.invoiceable_fen,
        currency=order.currency,
        capture=order.at_once,
        store=to_edge("sto", order.store),
        terminal=to_edge("ter", order.terminal) if order.terminal else None,
        cashier=to_edge("csh", order.cashier) if order.cashier else None,
        reference=order.reference,
        frozen=order.frozen(now_us),
        frozen_until=rfc3339(until) if until is not None else None,
        freeze_reason=order.freeze_reason,
        outcome_unknown=order.outcome_unknown,
        expires_at=rfc3339(order.ends_us) if order.status in HOLDING else None,
        settled_on=order.settled_on.isoformat() if order.settled_on else None,
        created_at=rfc3339(order.created_us),
        metadata=msgspec.Raw(order.metadata.encode()),
        tenders=[tender_view(tender) for tender in order.tenders],
    )


def tender_view(tender: Tender) -> TenderView:
    """A tender for the outside."""
    return TenderView(
        id=to_edge("tnd", tender.id),
        type=tender.kind,
        status=_status(tender),
        requested_amount=tender.requested_fen,
        approved_amount=tender.approved_fen,
        held_amount=tender.held_fen,
        captured_amount=tender.captured_fen,
        refunded_amount=tender.refunded_fen,
        due_back_amount=tender.due_back_fen,
        rounding=tender.rounding_fen,
        payment=to_edge("pay", tender.payment) if tender.payment else None,
        card=TenderCard(to_edge("card", tender.card), tender.last4 or "") if tender.card else None,
        balance_after=tender.balance_after_fen,
        decline_code=tender.decline_code,
        rule=tender.rule,
        channel=tender.channel,
        reference=tender.reference,
        created_at=rfc3339(tender.created_us),
    )


def _status(tender: Tender) -> str:
    if tender.decline_code is not None:
        return "declined"
    if tender.held_fen:
        return "partially_captured" if tender.captured_fen else "held"
    return "captured" if tender.captured_fen else "released"


def refund_view(refund: Refund) -> OrderRefundView:
    """A refund for the outside."""
    return OrderRefundView(
        to_edge("orf", refund.id),
        to_edge("pmo", refund.payment_order),
        refund.amount_fen,
        rfc3339(refund.created_us),
        [
            RefundPartView(
                to_edge("tnd", part.tender),
                part.amount_fen,
                part.destination,
                part.due_back_fen,
                to_edge("ref", part.payment_refund) if part.payment_refund else None,
                part.rule,
            )
            for part in refund.parts
        ],
    )
