"""Notifications of a gateway: JSON, signed with the moment of sending."""

from __future__ import annotations

import msgspec

from kabao.adapters import envelope
from kabao.adapters.envelope import Envelope
from kabao.adapters.gateway import said
from kabao.adapters.gateway.products import Merchant
from kabao.funding.model.answers import (
    Incoming,
    Notice,
    Paid,
    Recalled,
    RefundNews,
    Rejected,
    Unknown,
    Why,
)


class Told(msgspec.Struct, frozen=True):
    """A notification: of a payment, a refund or a recall."""

    kind: str
    merchant: str
    product: str
    order: str
    trade: said.Trade | None = None
    refund: said.Back | None = None
    recall: Recall | None = None


class Recall(msgspec.Struct, frozen=True):
    """Money that is taken back from us."""

    recall: str
    number: str
    amount: int
    reason: str


def read(incoming: Incoming, merchant: Merchant, trusted: Envelope) -> Notice | Rejected:
    """What a notification says, once it is known to be the gateway's and for us."""
    why = trusted.distrust(incoming)
    if why is not None:
        return Rejected(why)
    try:
        told = msgspec.json.decode(incoming.body, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Rejected(Why.UNREADABLE)
    if told.merchant != merchant.partner.merchant:
        return Rejected(Why.WRONG_MERCHANT, told.order)
    if told.product != merchant.product:
        return Rejected(Why.WRONG_APP, told.order)
    return _notice(told, incoming.headers.get(envelope.NONCE, ""))


def _notice(told: Told, nonce: str) -> Notice | Rejected:
    unreadable = Rejected(Why.UNREADABLE, told.order)
    if told.kind == "PAYMENT" and told.trade is not None:
        if told.trade.currency != said.CNY:
            return Rejected(Why.WRONG_CURRENCY, told.order)
        paid = said.of_trade(told.trade)
        ours = told.trade.order == told.order
        return Notice(told.order, paid, nonce) if isinstance(paid, Paid) and ours else unreadable
    if told.kind == "REFUND" and told.refund is not None:
        answer = said.of_refund(told.refund)
        if isinstance(answer, Unknown):
            return unreadable
        return Notice(told.order, RefundNews(told.refund.refund, answer), nonce)
    if told.kind == "RECALL" and told.recall is not None:
        one = told.recall
        if one.amount <= 0:
            return unreadable
        return Notice(told.order, Recalled(one.recall, one.number, one.amount, one.reason), nonce)
    return unreadable
