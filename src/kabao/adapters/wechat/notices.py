"""Notifications of WeChat Pay: signed with the time of sending, and encrypted."""

from __future__ import annotations

import msgspec

from kabao.adapters.wechat.said import RefundSaid, Trade, of_refund, of_trade
from kabao.adapters.wechat.signing import PREFIX, Merchant, Sealed
from kabao.funding.model.answers import (
    Closed,
    Incoming,
    Notice,
    Paid,
    RefundNews,
    Rejected,
    Unknown,
    Why,
)


class Envelope(msgspec.Struct, frozen=True):
    """A notification before it is opened."""

    event_type: str
    resource: Sealed


def read(incoming: Incoming, merchant: Merchant, now_us: int, *, age_us: int) -> Notice | Rejected:
    """What a notification says, once it is known to be WeChat's, fresh, and for us."""
    why = merchant.distrust(incoming.headers, incoming.body, now_us, age_us=age_us)
    if why is not None:
        return Rejected(why)
    try:
        envelope = msgspec.json.decode(incoming.body, type=Envelope)
        plain = merchant.opened(envelope.resource)
        if plain is None:
            return Rejected(Why.FORGED)
        nonce = incoming.headers[PREFIX + "nonce"]
        if envelope.event_type.startswith("REFUND."):
            return _refund(msgspec.json.decode(plain, type=RefundSaid), merchant, nonce)
        return _trade(msgspec.json.decode(plain, type=Trade), merchant, nonce)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Rejected(Why.UNREADABLE)


def _trade(trade: Trade, merchant: Merchant, nonce: str) -> Notice | Rejected:
    if trade.mchid != merchant.mch_id:
        return Rejected(Why.WRONG_MERCHANT, trade.out_trade_no)
    if trade.appid != merchant.app_id:
        return Rejected(Why.WRONG_APP, trade.out_trade_no)
    if trade.amount.currency != "CNY":
        return Rejected(Why.WRONG_CURRENCY, trade.out_trade_no)
    found = of_trade(trade)
    if not isinstance(found, Paid | Closed):
        return Rejected(Why.UNREADABLE, trade.out_trade_no)
    return Notice(trade.out_trade_no, found, nonce)


def _refund(said: RefundSaid, merchant: Merchant, nonce: str) -> Notice | Rejected:
    if said.mchid != merchant.mch_id:
        return Rejected(Why.WRONG_MERCHANT, said.out_trade_no)
    found = of_refund(said)
    if isinstance(found, Unknown):
        return Rejected(Why.UNREADABLE, said.out_trade_no)
    return Notice(said.out_trade_no, RefundNews(said.out_refund_no, found), nonce)
