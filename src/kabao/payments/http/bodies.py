"""What the routes of payments take."""

from __future__ import annotations

import msgspec

from kabao.base.web.fields import (
    Amount,
    Currency,
    EdgeId,
    IdempotencyKey,
    Metadata,
    RequestBody,
    ShortText,
)
from kabao.paycodes.model import Payable

canonical = msgspec.json.Encoder(order="deterministic").encode
"""A parsed body, the same bytes each time."""


class PayBody(RequestBody, frozen=True):
    """A payment to make."""

    amount: Amount
    currency: Currency
    source: Payable
    store: EdgeId
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    reference: ShortText | None = None
    capture: bool = True
    accept_partial: bool = False
    metadata: Metadata = msgspec.field(default_factory=dict)


class InquiryBody(RequestBody, frozen=True):
    """A balance to ask for."""

    source: Payable


class AtTill(RequestBody, frozen=True):
    """The till that asks for a later verb, where one does: its open shift counts it."""

    terminal: EdgeId | None = None
    cashier: EdgeId | None = None


class Undo(AtTill, frozen=True):
    """What a cashier may need a supervisor for."""

    override: EdgeId | None = None


class CaptureBody(AtTill, frozen=True):
    """How much of a hold to take; nothing given: all of it."""

    amount: Amount | None = None
    final: bool = True


class VoidBody(Undo, frozen=True):
    """By whom it is voided."""


class RefundBody(Undo, frozen=True):
    """How much to give back; nothing given: all that is left."""

    amount: Amount | None = None


class Original(RequestBody, frozen=True):
    """The payment to undo: by its own key, or by its id."""

    idempotency_key: IdempotencyKey | None = None
    payment: EdgeId | None = None


class ReversalBody(RequestBody, frozen=True):
    """A payment to undo because its outcome is not known."""

    original: Original
