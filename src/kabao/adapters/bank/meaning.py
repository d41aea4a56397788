"""What entries and statuses mean: values of the port."""

from __future__ import annotations

import msgspec

from kabao.adapters.bank import payout
from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.payout import Status
from kabao.adapters.line import Answer
from kabao.funding.model.answers import (
    TRANSFERRED,
    Notice,
    Order,
    Paid,
    Recalled,
    Refund,
    Refunded,
    RefundNews,
    Refused,
    Unknown,
    Waiting,
)
from kabao.funding.model.receipts import Receipt

DUPLICATE = "AM05"
"""The bank has another payout under this number: what became of that one is asked."""

RETURNED = "returned"
"""The payout was done, and the other bank sent it back."""


class _Problem(msgspec.Struct, frozen=True):
    code: str


def code_of(answer: Answer) -> str:
    """Of a bank's no; empty if it gives none."""
    try:
        return msgspec.json.decode(answer.body, type=_Problem).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def payment(one: Entry, *, given_back: bool = False) -> Paid:
    """A credit."""
    return Paid(
        one.no,
        one.amount_fen,
        one.at_us,
        one.party,
        TRANSFERRED,
        given_back=given_back,
        payer_id=one.party_account,
    )


def undoes(one: Entry, paid: Entry, order: Order) -> bool:
    """Whether an entry gives a payment back, or takes it back."""
    if one.came:
        return False
    return one.original == paid.no if one.reversal else one.order_no == order.no


def news(one: Entry, nonce: str) -> Notice:
    """A notification of a single entry."""
    match one.came, one.reversal:
        case True, False:
            return Notice(one.order_no, payment(one), nonce)
        case False, False:
            return Notice(one.order_no, RefundNews(one.refund_no, Refunded(one.amount_fen)), nonce)
        case True, True:
            return Notice(one.order_no, RefundNews(one.refund_no, Refused(RETURNED)), nonce)
    return Notice(one.order_no, Recalled(one.no, one.original, one.amount_fen, one.words), nonce)


def receipt(one: Entry) -> Receipt:
    """A credit, whoever it is for."""
    return Receipt(
        no=one.no,
        amount_fen=one.amount_fen,
        at_us=one.at_us,
        reference=one.reference,
        payer=one.party,
        payer_account=one.party_account,
    )


def of_status(status: Status, refund: Refund) -> Refunded | Waiting | Refused | Unknown:
    """What became of a payout."""
    if status.code in payout.DONE:
        return Refunded(refund.amount_fen)
    if status.code in payout.UNDER_WAY:
        return Waiting()
    if status.code in payout.REFUSED and status.reason != DUPLICATE:
        return Refused(status.reason or status.code)
    return Unknown(status.reason or status.code)
