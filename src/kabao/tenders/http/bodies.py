"""What the routes of payment orders take."""

from __future__ import annotations

from typing import Annotated, assert_never

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from kabao.base.web.fields import Amount, Currency, EdgeId, Metadata, RequestBody, ShortText
from kabao.cards.claims import unsecret
from kabao.cards.model import CardRef
from kabao.paycodes.model import Payable, PayCode
from kabao.tenders.model import Kind
from kabao.tenders.ops import NewTender


class CardTender(RequestBody, frozen=True, tag_field="type", tag="card"):
    """A card: its value is set aside. Without an amount: all that remains."""

    source: Payable
    amount: Amount | None = None
    accept_partial: bool = False


class CashTender(RequestBody, frozen=True, tag_field="type", tag="cash"):
    """Cash in the till: recorded."""

    amount: Amount | None = None


class ChannelTender(RequestBody, frozen=True, tag_field="type", tag="channel"):
    """A payment another channel has taken: recorded, with its own reference."""

    channel: ShortText
    reference: ShortText
    amount: Amount | None = None


TenderBody = CardTender | CashTender | ChannelTender


class OrderBody(RequestBody, frozen=True):
    """A payment order to open."""

    amount: Amount
    currency: Currency
    store: EdgeId
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    reference: ShortText | None = None
    capture: Annotated[
        bool,
        Meta(description="Capture as soon as the tenders make up the amount; a shop says false."),
    ] = True
    tenders: Annotated[list[TenderBody], Meta(max_length=50)] = msgspec.field(default_factory=list)
    metadata: Metadata = msgspec.field(default_factory=dict)


class AtTill(RequestBody, frozen=True):
    """The till that asks for a later verb, where one does: its open shift counts it."""

    terminal: EdgeId | None = None
    cashier: EdgeId | None = None


class CaptureBody(AtTill, frozen=True):
    """How much to take of what is held; nothing given: all of it."""

    amount: Amount | None = None
    final: bool = True


class UndoBody(AtTill, frozen=True):
    """What a cashier may need a supervisor for."""

    override: EdgeId | None = None


class CancelBody(UndoBody, frozen=True):
    """By whom it is cancelled."""


class RefundBody(UndoBody, frozen=True):
    """How much to give back; nothing given: all that is left."""

    amount: Amount | None = None


class FreezeBody(RequestBody, frozen=True):
    """An exception. While the outcome is unknown nothing is released by itself."""

    reason: ShortText
    outcome_unknown: bool = False


def new_tender(body: TenderBody) -> NewTender:
    """A tender as the verbs take it."""
    match body:
        case CardTender():
            return NewTender(
                Kind.CARD, body.amount, source=body.source, accept_partial=body.accept_partial
            )
        case CashTender():
            return NewTender(Kind.CASH, body.amount)
        case ChannelTender():
            return NewTender(
                Kind.CHANNEL, body.amount, channel=body.channel, reference=body.reference
            )
        case _:
            assert_never(body)


def said(body: TenderBody) -> TenderBody:
    """A tender without its secrets: what an Idempotency-Key is bound to (ATK-3). A
    pay code says only itself, and works once.
    """
    if not isinstance(body, CardTender):
        return body
    if isinstance(body.source, PayCode):
        return replace(body, source=CardRef(f"code:{body.source.code}"))
    return replace(body, source=unsecret(body.source))
