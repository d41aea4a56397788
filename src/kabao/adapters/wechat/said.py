"""What WeChat Pay says of orders and refunds, in answers and notifications alike."""

from __future__ import annotations

import msgspec

from kabao.adapters.blame import Blame
from kabao.adapters.figures import us_of_rfc3339
from kabao.funding.model.answers import Closed, Paid, Refunded, Refused, Unknown, Waiting

BLAME = Blame(
    account=frozenset(
        {
            "APPID_MCHID_NOT_MATCH",
            "APPID_NOT_EXIST",
            "MCH_NOT_EXISTS",
            "NO_AUTH",
            "NOAUTH",
            "SIGN_ERROR",
        }
    ),
    payer=frozenset({"RULE_LIMIT"}),
)


class Amount(msgspec.Struct, frozen=True):
    """In fen."""

    total: int = 0
    refund: int = 0
    currency: str = "CNY"


class Payer(msgspec.Struct, frozen=True):
    """Who paid, by the name this app knows them by."""

    openid: str = ""


class Trade(msgspec.Struct, frozen=True):
    """An order, as WeChat tells it."""

    out_trade_no: str
    trade_state: str
    appid: str = ""
    mchid: str = ""
    transaction_id: str = ""
    success_time: str = ""
    bank_type: str = ""
    amount: Amount = Amount()
    payer: Payer = Payer()


class RefundSaid(msgspec.Struct, frozen=True):
    """A refund, as WeChat tells it; a notification calls its status by another name."""

    out_refund_no: str
    out_trade_no: str = ""
    mchid: str = ""
    status: str = ""
    refund_status: str = ""
    amount: Amount = Amount()


class Problem(msgspec.Struct, frozen=True):
    """What an answer that is no success says."""

    code: str = ""
    message: str = ""


def of_trade(trade: Trade) -> Waiting | Paid | Closed | Refused | Unknown:
    """What became of an order."""
    match trade.trade_state:
        case "NOTPAY" | "USERPAYING" | "ACCEPT":
            return Waiting()
        case "SUCCESS" | "REFUND":
            try:
                paid_us = us_of_rfc3339(trade.success_time)
            except ValueError:
                return Unknown("the time of the payment cannot be read")
            if not trade.transaction_id or trade.amount.currency != "CNY":
                return Unknown("number or currency of the payment is missing")
            return Paid(
                trade.transaction_id,
                trade.amount.total,
                paid_us,
                trade.payer.openid,
                trade.bank_type,
                given_back=trade.trade_state == "REFUND",
                payer_id=trade.payer.openid,
            )
        case "CLOSED" | "REVOKED":
            return Closed()
        case "PAYERROR":
            return BLAME.declined("PAYERROR")
    return Unknown("a trade state we do not know")


def of_refund(said: RefundSaid) -> Refunded | Waiting | Refused | Unknown:
    """What became of a refund. An abnormal one waits for a person at WeChat's console."""
    match said.status or said.refund_status:
        case "SUCCESS":
            return Refunded(said.amount.refund)
        case "PROCESSING":
            return Waiting()
        case "CLOSED":
            return Refused("CLOSED")
        case "ABNORMAL":
            return Waiting()
    return Unknown("a refund status we do not know")
