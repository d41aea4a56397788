"""Notifications of Alipay: a form, signed. No time of sending is signed."""

from __future__ import annotations

from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kabao.adapters.alipay.signing import notice_holds
from kabao.adapters.figures import fen_of, us_of
from kabao.funding.model.answers import Closed, Incoming, Notice, Paid, Rejected, Why

MAX_FIELDS = 100


def read(incoming: Incoming, key: RSAPublicKey, app_id: str, seller_id: str) -> Notice | Rejected:
    """What a notification says, once it is known to be Alipay's and for us."""
    try:
        pairs = parse_qsl(incoming.body.decode("ascii"), strict_parsing=True, errors="strict",
                          keep_blank_values=True, max_num_fields=MAX_FIELDS)  # fmt: skip
    except ValueError:
        return Rejected(Why.UNREADABLE)
    params = dict(pairs)
    if len(params) != len(pairs):
        return Rejected(Why.UNREADABLE)  # a name twice: which one was signed?
    if not params.get("sign"):
        return Rejected(Why.UNSIGNED)
    if params.get("sign_type") != "RSA2" or not notice_holds(key, params):
        return Rejected(Why.FORGED)
    order_no = params.get("out_trade_no", "")
    if params.get("app_id") != app_id:
        return Rejected(Why.WRONG_APP, order_no)
    if params.get("seller_id") != seller_id:
        return Rejected(Why.WRONG_MERCHANT, order_no)
    return _notice(order_no, params)


def _notice(order_no: str, params: dict[str, str]) -> Notice | Rejected:
    status, paid_at = params.get("trade_status"), params.get("gmt_payment")
    if status == "TRADE_CLOSED" and not paid_at:
        return Notice(order_no, Closed())
    if status not in {"TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"} or not paid_at:
        return Rejected(Why.UNREADABLE, order_no)
    try:
        paid = Paid(
            params["trade_no"],
            fen_of(params["total_amount"]),
            us_of(paid_at),
            buyer := params.get("buyer_open_id") or params.get("buyer_id", ""),
            given_back=bool(params.get("gmt_refund")) or status == "TRADE_CLOSED",
            payer_id=buyer,
        )
    except (KeyError, ValueError):
        return Rejected(Why.UNREADABLE, order_no)
    return Notice(order_no, paid)
