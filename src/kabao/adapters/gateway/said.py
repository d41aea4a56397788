"""What a gateway says of orders and refunds, as values of the port."""

from __future__ import annotations

import msgspec

from kabao.adapters.blame import Blame
from kabao.adapters.figures import us_of_rfc3339
from kabao.funding.model.answers import (
    Closed,
    Paid,
    Refunded,
    Refused,
    Unknown,
    Waiting,
)

CNY = "CNY"

BLAME = Blame(
    account=frozenset({"BAD_SIGNATURE", "BY_FORM_ONLY", "NO_SUCH_DOOR"}),
    payer=frozenset({"BANK_LIMIT", "CODE_INVALID", "NOT_ENOUGH"}),
)


class Trade(msgspec.Struct, frozen=True):
    """An order at the gateway."""

    order: str = ""
    state: str = ""
    number: str = ""
    amount: int = 0
    currency: str = ""
    paid_at: str = ""
    payer: str = ""
    funds: str = ""
    given_back: int = 0
    """How much of it has gone back, in fen."""
    code: str = ""
    """Why it failed."""
    qr: str = ""
    page: str = ""


class Back(msgspec.Struct, frozen=True):
    """A refund at the gateway."""

    refund: str = ""
    order: str = ""
    state: str = ""
    amount: int = 0
    code: str = ""


class Problem(msgspec.Struct, frozen=True):
    """What a gateway answers instead."""

    code: str
    text: str = ""


def of_trade(trade: Trade) -> Waiting | Paid | Closed | Refused | Unknown:
    """What became of an order."""
    match trade.state:
        case "WAITING":
            return Waiting()
        case "PAID":
            return paid(trade)
        case "CLOSED":
            return Closed(given_back=trade.given_back > 0)
        case "FAILED":
            return BLAME.declined(trade.code or "FAILED")
    return Unknown("a state we do not know")


def paid(trade: Trade) -> Paid | Unknown:
    """A payment."""
    try:
        at_us = us_of_rfc3339(trade.paid_at)
    except ValueError:
        return Unknown("the time cannot be read")
    if not trade.number or trade.currency != CNY or trade.amount <= 0:
        return Unknown("number, amount or currency cannot be read")
    given_back = trade.given_back > 0
    return Paid(
        trade.number,
        trade.amount,
        at_us,
        trade.payer,
        trade.funds,
        given_back=given_back,
        payer_id=trade.payer,
    )


def of_refund(back: Back) -> Refunded | Waiting | Refused | Unknown:
    """What became of a refund."""
    match back.state:
        case "DONE":
            return Refunded(back.amount)
        case "UNDER_WAY":
            return Waiting()
        case "FAILED":
            return Refused(back.code or "FAILED")
    return Unknown("a state we do not know")
