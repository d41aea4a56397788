"""Notifications of UnionPay: a form, signed with a certificate it brings along."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl

from kabao.adapters.figures import us_of
from kabao.adapters.unionpay.signing import Trust
from kabao.adapters.unionpay.stamps import us_near
from kabao.funding.model.answers import (
    Incoming,
    Notice,
    Paid,
    Refunded,
    RefundNews,
    Refused,
    Rejected,
    Why,
)

MAX_FIELDS = 100
SUCCESS = frozenset({"00", "A6"})
PURCHASE, REFUND, CNY = "01", "04", "156"


def read(incoming: Incoming, trust: Trust, mer_id: str, now: datetime) -> Notice | Rejected:
    """What a notification says, once it is known to be UnionPay's and for us."""
    try:
        pairs = parse_qsl(incoming.body.decode("ascii"), strict_parsing=True, errors="strict",
                          keep_blank_values=True, max_num_fields=MAX_FIELDS)  # fmt: skip
    except ValueError:
        return Rejected(Why.UNREADABLE)
    said = dict(pairs)
    if len(said) != len(pairs):
        return Rejected(Why.UNREADABLE)  # a name twice: which one was signed?
    if not said.get("signature"):
        return Rejected(Why.UNSIGNED)
    if not trust.holds(said, now):
        return Rejected(Why.FORGED)
    order_no = said.get("orderId", "")
    if said.get("merId") != mer_id:
        return Rejected(Why.WRONG_MERCHANT, order_no)
    if said.get("currencyCode", CNY) != CNY:
        return Rejected(Why.WRONG_CURRENCY, order_no)
    return _notice(order_no, said)


def _notice(order_no: str, said: dict[str, str]) -> Notice | Rejected:
    done = said.get("respCode") in SUCCESS
    try:
        amount_fen = int(said["txnAmt"])
        if said.get("txnType") == REFUND:
            answer = Refunded(amount_fen) if done else Refused(said.get("respCode", ""))
            return Notice(said.get("origOrderId", ""), RefundNews(order_no, answer))
        if said.get("txnType") != PURCHASE or not done:
            return Rejected(Why.UNREADABLE, order_no)
        sent_us = us_of(said["txnTime"], "%Y%m%d%H%M%S")
        paid_us = us_near(said["traceTime"], sent_us)
        return Notice(order_no, Paid(said["queryId"], amount_fen, paid_us, said.get("accNo", "")))
    except (KeyError, ValueError):
        return Rejected(Why.UNREADABLE, order_no)
