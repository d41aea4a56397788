"""What the routes of payments answer."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.base.clock import rfc3339
from kabao.base.ids import to_edge
from kabao.payments.after import Refunded
from kabao.payments.model import UNTOLD, Payment, Refund, Reversed


class CardView(msgspec.Struct, frozen=True, gc=False):
    """The card, as far as the caller may know it."""

    id: str
    last4: str


class PaymentView(msgspec.Struct, frozen=True, gc=False):
    """A payment as the outside sees it."""

    id: str
    status: str
    requested_amount: int
    approved_amount: int
    captured_amount: int
    refunded_amount: int
    currency: str
    balance_after: int | None
    decline_code: str | None
    rule: str | None
    card: CardView | None
    store: str
    terminal: str | None
    cashier: str | None
    reference: str | None
    tender: str
    invoiceable_amount: int
    expires_at: str | None
    created_at: Annotated[str, Meta(description="RFC 3339 with offset.")]
    metadata: msgspec.Raw


class RefundView(msgspec.Struct, frozen=True):
    """A refund, and the payment as it is now."""

    id: str
    amount: int
    currency: str
    destination: str
    rule: str | None
    created_at: str
    payment: PaymentView


class RefundLine(msgspec.Struct, frozen=True):
    """A refund in a list."""

    id: str
    payment: str
    amount: int
    destination: str
    rule: str | None
    created_at: str


class ReversalView(msgspec.Struct, frozen=True):
    """A reversal of a payment or a payment order; of neither, where the original never
    came: it is barred.
    """

    id: str
    status: str
    amount: int
    created_at: str
    payment: PaymentView | None
    payment_order: str | None


class InquiryView(msgspec.Struct, frozen=True):
    """What a card is worth now."""

    card: str
    card_status: str
    balance: int
    available: int
    single_limit: int
    currency: str
    expires_on: str | None


def payment_view(p: Payment) -> PaymentView:
    """A payment for the outside."""
    told = p.card is not None and p.decline_code not in UNTOLD
    return PaymentView(
        id="pay_" + p.id,
        status=p.status,
        requested_amount=p.requested_fen,
        approved_amount=p.approved_fen,
        captured_amount=p.captured_fen,
        refunded_amount=p.refunded_fen,
        currency=p.currency,
        balance_after=p.balance_after_fen,
        decline_code=p.decline_code,
        rule=p.rule,
        card=CardView("card_" + p.card, p.last4 or "") if told and p.card else None,
        store="sto_" + p.store,
        terminal="ter_" + p.terminal if p.terminal else None,
        cashier="csh_" + p.cashier if p.cashier else None,
        reference=p.reference,
        tender=p.tender,
        invoiceable_amount=p.invoiceable_fen,
        expires_at=rfc3339(p.expires_us) if p.expires_us is not None and not p.of_order else None,
        created_at=rfc3339(p.created_us),
        metadata=msgspec.Raw(p.metadata.encode()),
    )


def refund_view(done: Refunded) -> RefundView:
    """A refund for the outside."""
    return RefundView(
        to_edge("ref", done.refund.id),
        done.refund.amount_fen,
        done.payment.currency,
        done.refund.destination,
        done.refund.rule,
        rfc3339(done.refund.created_us),
        payment_view(done.payment),
    )


def refund_line(r: Refund) -> RefundLine:
    """A refund in a list, for the outside."""
    return RefundLine(
        to_edge("ref", r.id),
        to_edge("pay", r.payment),
        r.amount_fen,
        r.destination,
        r.rule,
        rfc3339(r.created_us),
    )


def reversal_view(done: Reversed) -> ReversalView:
    """A reversal for the outside."""
    return ReversalView(
        to_edge("rev", done.reversal.id),
        "reversed" if done.payment or done.payment_order else "barred",
        done.reversal.amount_fen,
        rfc3339(done.reversal.created_us),
        payment_view(done.payment) if done.payment is not None else None,
        to_edge("pmo", done.payment_order) if done.payment_order else None,
    )
