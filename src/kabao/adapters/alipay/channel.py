"""The port to Alipay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import IO, Any
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from kabao.adapters.alipay import bill, notices, signing
from kabao.adapters.bills import Billed
from kabao.adapters.blame import Blame, unsent
from kabao.adapters.figures import cut, fen_of, local, us_of, yuan
from kabao.adapters.line import OK, Answer, Line
from kabao.base.clock import Clock
from kabao.funding.model.answers import (
    BillFile,
    Capabilities,
    Closed,
    Created,
    Fetched,
    Incoming,
    NoBill,
    Notice,
    NotThere,
    Order,
    Paid,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Refunded,
    Refused,
    Rejected,
    Reply,
    Scene,
    Show,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.reconciliation.model.lines import BillReader, Expected

DONE, PAYER_ASKED, UNAVAILABLE, FAILED = "10000", "10003", "20000", "40004"
NO_TRADE = "ACQ.TRADE_NOT_EXIST"

UNDECIDED = frozenset(
    {
        "ACQ.SYSTEM_ERROR",
        "ACQ.TRADE_HAS_SUCCESS",
        "ACQ.TRADE_HAS_CLOSE",
        "ACQ.TRADE_STATUS_ERROR",
        "ACQ.CONTEXT_INCONSISTENT",
    }
)
"""Failures after which only a query tells what became of the order."""

REFUND_FINAL = frozenset(
    {
        "ACQ.TRADE_HAS_FINISHED",
        "ACQ.TRADE_HAS_CLOSE",
        "ACQ.REASON_TRADE_REFUND_FEE_ERR",
        "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
        "ACQ.NOT_ALLOW_PARTIAL_REFUND",
        "ACQ.ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
    }
)
"""Failures of a refund that no repetition helps. All others, such as too little money in our
account there (`ACQ.SELLER_BALANCE_NOT_ENOUGH`), are repeated with the same number."""

BLAME = Blame(
    account=frozenset(
        {
            "40001",
            "40002",
            "40006",
            "ACQ.ACCESS_FORBIDDEN",
            "ACQ.BLOCK_USER_FORBBIDEN_RECIEVE",
            "ACQ.ERROR_SELLER_CERTIFY_LEVEL_LIMIT",
            "ACQ.EXIST_FORBIDDEN_WORD",
            "ACQ.MERCHANT_AGREEMENT_INVALID",
            "ACQ.MERCHANT_AGREEMENT_NOT_EXIST",
            "ACQ.PARTNER_ERROR",
            "ACQ.SELLER_BEEN_BLOCKED",
            "ACQ.SELLER_NOT_EXIST",
        }
    ),
    payer=frozenset(
        {
            "ACQ.BEYOND_PAY_RESTRICTION",
            "ACQ.BEYOND_PER_RECEIPT_RESTRICTION",
            "ACQ.PRODUCT_AMOUNT_LIMIT_ERROR",
            "ACQ.TOTAL_FEE_EXCEED",
        }
    ),
)

REASON_BYTES = 256

CREDIT = "credit_group"
"""Credit cards and pay-later, as `disable_pay_channels` names them."""

_PRODUCT = {
    Scene.PAGE: ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    Scene.QR: ("alipay.trade.precreate", "FACE_TO_FACE_PAYMENT"),
    Scene.CODE: ("alipay.trade.pay", "FACE_TO_FACE_PAYMENT"),
}

CAPABILITIES = Capabilities(
    scenes=frozenset(_PRODUCT),
    no_credit=True,
    closes=True,
    reverses_paid=frozenset({Scene.CODE}),
    notice_age_signed=False,
)


class Merchant(msgspec.Struct, frozen=True):
    """A merchant's account: who we are there, and both sides' keys."""

    app_id: str
    seller_id: str
    key: RSAPrivateKey
    alipay_key: RSAPublicKey


class Said(msgspec.Struct, frozen=True):
    """An answer of Alipay's that is signed; what is not used here is left out."""

    code: str
    sub_code: str = ""
    sub_msg: str = ""
    out_trade_no: str = ""
    trade_no: str = ""
    total_amount: str = ""
    trade_status: str = ""
    gmt_payment: str = ""
    send_pay_date: str = ""
    buyer_user_id: str = ""
    buyer_open_id: str = ""
    qr_code: str = ""
    retry_flag: str = ""
    action: str = ""
    fund_change: str = ""
    refund_fee: str = ""
    refund_amount: str = ""
    refund_status: str = ""
    out_request_no: str = ""
    bill_download_url: str = ""


class AlipayChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel`."""

    capabilities = CAPABILITIES

    def __init__(self, line: Line, merchant: Merchant, clock: Clock) -> None:
        """`line` leads to the gateway, `https://openapi.alipay.com/gateway.do`."""
        self._line, self._merchant, self._clock = line, merchant, clock

    async def create(self, order: Order, payer: Payer) -> Created:
        """Ask for the money; a page needs no question, only a signed address."""
        if order.scene not in _PRODUCT:
            return unsent("scene_not_offered")
        method, product = _PRODUCT[order.scene]
        content = _content(order, product)
        if order.scene is Scene.PAGE:
            params = self._params(method, content, order.notify_url)
            if order.return_url:
                params["return_url"] = order.return_url
            signed = signing.signed(self._merchant.key, params)
            return Waiting(Show.REDIRECT, self._line.url("?" + urlencode(signed)))
        if order.scene is Scene.CODE:
            content |= {"scene": "bar_code", "auth_code": payer.code or ""}
        said = await self._ask(method, content, order.notify_url)
        if not isinstance(said, Said):
            return said
        if said.code == PAYER_ASKED:
            return Waiting()
        if said.code != DONE:
            return _failed(said, order.scene)
        if order.scene is Scene.CODE:
            return _paid(said, order, said.gmt_payment)
        return Waiting(Show.QR, said.qr_code) if said.qr_code else Unknown("no QR code came")

    async def query(self, order: Order) -> Queried:
        """Ask what became of an order."""
        said = await self._ask("alipay.trade.query", {"out_trade_no": order.no})
        if not isinstance(said, Said):
            return said
        if said.code != DONE:
            return NotThere() if said.sub_code == NO_TRADE else _not_told(said)
        match said.trade_status:
            case "WAIT_BUYER_PAY":
                return Waiting()
            case "TRADE_SUCCESS" | "TRADE_FINISHED":
                return _paid(said, order, said.send_pay_date)
            case "TRADE_CLOSED" if said.send_pay_date:
                return _paid(said, order, said.send_pay_date, given_back=True)
            case "TRADE_CLOSED":
                return Closed()
        return Unknown("a trade status we do not know")

    async def close(self, order: Order) -> Queried:
        """Close what is unpaid; cancel where a code was scanned, which pays back."""
        cancels = order.scene is Scene.CODE
        method = "alipay.trade.cancel" if cancels else "alipay.trade.close"
        said = await self._ask(method, {"out_trade_no": order.no})
        if not isinstance(said, Said):
            return said
        if said.code == DONE and said.retry_flag == "Y":
            return Unknown("to be cancelled again")
        if said.code == DONE:
            return Closed(given_back=said.action == "refund")
        if said.sub_code == NO_TRADE:
            return NotThere()
        return _not_told(said)

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Give back part or all. Without `fund_change` only a query tells."""
        content = {
            **_payment(order, refund),
            "refund_amount": yuan(refund.amount_fen),
            "refund_reason": cut(refund.reason, REASON_BYTES),
        }
        said = await self._ask("alipay.trade.refund", content)
        if not isinstance(said, Said):
            return said
        if said.code != DONE:
            final = said.sub_code in REFUND_FINAL
            return Refused(said.sub_code, said.sub_msg) if final else _not_told(said)
        return Refunded(refund.amount_fen) if said.fund_change == "Y" else Waiting()

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund. An answer without its status knows of none."""
        content = _payment(order, refund)
        said = await self._ask("alipay.trade.fastpay.refund.query", content)
        if not isinstance(said, Said):
            return said
        if said.code != DONE:
            return NotThere() if said.sub_code == NO_TRADE else _not_told(said)
        if said.refund_status != "REFUND_SUCCESS":
            return NotThere()
        if said.out_request_no != refund.no or _fen(said.refund_amount) != refund.amount_fen:
            return Unknown("another refund was told")
        return Refunded(refund.amount_fen)

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification."""
        merchant = self._merchant
        return notices.read(incoming, merchant.alipay_key, merchant.app_id, merchant.seller_id)

    def reply(self, *, taken: bool) -> Reply:
        """Alipay repeats for a day what is not answered by `success`."""
        return Reply(200, "text/plain", b"success" if taken else b"failure")

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The trade bill of a day, zipped."""
        content = {"bill_type": "trade", "bill_date": day.isoformat()}
        said = await self._ask("alipay.data.dataservice.bill.downloadurl.query", content)
        if not isinstance(said, Said):
            return said
        if said.code != DONE:
            missing = said.sub_code.lower().endswith("bill_not_exist")
            return NoBill(said.sub_code) if missing else _not_told(said)
        file = await self._line.save(said.bill_download_url, into)
        if not isinstance(file, Answer):
            return file
        return Fetched() if file.status == OK else Unknown("no file came")

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        return bill.read(file, Expected(self._merchant.seller_id, day))

    async def _ask(
        self, method: str, content: Mapping[str, Any], notify_url: str = ""
    ) -> Said | Unreachable | Unknown:
        params = self._params(method, content, notify_url)
        answer = await self._line.ask(
            "POST",
            "?charset=utf-8",
            headers={"content-type": "application/x-www-form-urlencoded;charset=utf-8"},
            content=urlencode(signing.signed(self._merchant.key, params)).encode(),
        )
        if not isinstance(answer, Answer):
            return answer
        name = method.replace(".", "_") + "_response"
        node = signing.node_of(self._merchant.alipay_key, name, answer.body)
        if node is None:
            return Unknown("the answer is not signed by Alipay")
        try:
            said = msgspec.json.decode(node, type=Said)
        except msgspec.DecodeError:
            return Unknown("the answer cannot be read")
        if said.out_trade_no not in {"", content.get("out_trade_no", "")}:
            return Unknown("the answer is about another order")
        return said

    def _params(self, method: str, content: Mapping[str, Any], notify_url: str) -> dict[str, str]:
        params = {
            "app_id": self._merchant.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": local(self._clock.now_us()),
            "version": "1.0",
            "biz_content": msgspec.json.encode(content).decode(),
        }
        return params | ({"notify_url": notify_url} if notify_url else {})


def _content(order: Order, product: str) -> dict[str, Any]:
    content = {
        "out_trade_no": order.no,
        "total_amount": yuan(order.amount_fen),
        "subject": order.subject,
        "product_code": product,
        "time_expire": local(order.expires_us),
    }
    if order.no_credit:
        content["disable_pay_channels"] = CREDIT
    if order.terminal:
        content["terminal_id"] = order.terminal
    return content


def _payment(order: Order, refund: Refund) -> dict[str, Any]:
    """Which refund of which payment; where an order was paid twice its number does not say."""
    return {
        "out_trade_no": order.no,
        "trade_no": refund.channel_no,
        "out_request_no": refund.no,
    }


def _failed(said: Said, scene: Scene) -> Refused | Unknown:
    """A failure when money was asked for: final, unless it says otherwise."""
    undecided = said.code == UNAVAILABLE or said.sub_code in UNDECIDED
    if undecided or said.sub_code.startswith(("aop.", "isp.")):
        return Unknown(said.sub_code or said.code)
    if said.sub_code.startswith("isv."):
        return Refused(said.sub_code, said.sub_msg)  # our signature, app or permission
    return BLAME.refused(said.sub_code or said.code, said.sub_msg, scene)


def _not_told(said: Said) -> Unknown:
    """A failed question tells nothing of what was asked about."""
    return Unknown(said.sub_code or said.code)


def _paid(said: Said, order: Order, at: str, *, given_back: bool = False) -> Paid | Unknown:
    try:
        amount_fen, paid_us = fen_of(said.total_amount), us_of(at)
    except ValueError:
        return Unknown("amount or time cannot be read")
    if amount_fen != order.amount_fen or said.out_trade_no != order.no or not said.trade_no:
        return Unknown("another amount or order was told")
    payer = said.buyer_open_id or said.buyer_user_id
    return Paid(said.trade_no, amount_fen, paid_us, payer, given_back=given_back, payer_id=payer)


def _fen(text: str) -> int | None:
    try:
        return fen_of(text)
    except ValueError:
        return None
