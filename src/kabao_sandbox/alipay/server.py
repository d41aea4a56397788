"""Alipay's gateway, as far as a merchant of ours uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import quote_plus

from kabao_sandbox.alipay import bill
from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.book import Back, Book, Refund, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message

APP, SELLER = "2021000000000001", "2088000000000001"
DONE, ASKED, FAILED = "10000", "10003", "40004"
FORM = "%Y-%m-%d %H:%M:%S"
TWO_HOURS_US = 7_200 * moment.US

Answered = dict[str, str]


class Alipay:
    """A merchant's Alipay."""

    name, kind = "Alipay", "alipay"
    fee_ppm, cycle = 6_000, "T+0"  # T-10
    scenes: tuple[str, ...] = ("qr", "page", "code")
    recalls = False
    host: Host

    def __init__(self, now: Now, chance: Chance, new_key: keys.New = keys.new) -> None:
        self._now, self._chance = now, chance
        self.book = Book(now, chance, "28", 18)
        self.key, self.merchant_key, self.forger = new_key(), new_key(), new_key()
        self._methods: dict[str, Callable[[dict[str, Any], Mapping[str, str]], Answered]] = {
            "alipay.trade.pay": self._pay,
            "alipay.trade.precreate": self._precreate,
            "alipay.trade.page.pay": self._page,
            "alipay.trade.query": self._query,
            "alipay.trade.close": self._close,
            "alipay.trade.cancel": self._cancel,
            "alipay.trade.refund": self._refund,
            "alipay.trade.fastpay.refund.query": self._query_refund,
            "alipay.data.dataservice.bill.downloadurl.query": self._bill_url,
        }

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        return {
            "gateway": f"{self.host.url}/gateway.do",
            "app_id": APP,
            "seller_id": SELLER,
            "merchant_key": keys.pem(self.merchant_key),
            "alipay_public_key": keys.public_pem(self.key),
        }

    def answer(self, request: Request) -> Response:
        """The gateway, and the file of a bill."""
        if request.path.startswith("/bills/"):
            day = date.fromisoformat(request.path.removeprefix("/bills/"))
            return Response(200, self._bill(day), "application/octet-stream")
        if request.path != "/gateway.do":
            return Response(404, b"not found")
        params = request.query | request.form
        method = params.get("method", "")
        text = _joined(params, {"sign"})
        if not keys.check(self.merchant_key.public_key(), text, params.get("sign", "")):
            return self._signed("error_response", _no("40002", "isv.invalid-signature"))
        known = self._methods.get(method)
        if known is None or params.get("app_id") != APP:
            return self._signed("error_response", _no("40002", "isv.invalid-app-id"))
        try:
            content = json.loads(params["biz_content"])
            said = known(content, params)
        except (KeyError, ValueError):
            said = _no("40004", "ACQ.INVALID_PARAMETER")
        return self._signed(method.replace(".", "_") + "_response", said)

    def _signed(self, name: str, said: Answered) -> Response:
        """An answer, its node signed as it stands; slashes are escaped as the real one does."""
        node = json.dumps(said, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        signature = keys.sign(self.key, node.encode())
        body = f'{{"{name}":{node},"sign":"{signature}"}}'
        return Response(200, body.encode(), "text/html;charset=utf-8")

    def _open(self, scene: str, content: dict[str, Any], params: Mapping[str, str]) -> Trade | None:
        """A new order, or the one there is; None if that one is of another amount."""
        no, amount_fen = str(content["out_trade_no"]), _fen(content["total_amount"])
        known = self.book.find(no)
        if known is not None:
            return known if known.amount_fen == amount_fen else None
        now_us = self._now()
        until = content.get("time_expire")
        expires_us = moment.us_of(until, FORM) if until else now_us + TWO_HOURS_US
        number = f"{moment.at(now_us):%Y%m%d}22001{self.book.number():015d}"
        return self.book.add(
            Trade(no, number, scene, amount_fen, str(content["subject"]),
                  params.get("notify_url", ""), now_us, expires_us)
        )  # fmt: skip

    def _pay(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        known = self.book.find(str(content["out_trade_no"]))
        if known is not None and known.state is State.PAID:
            return _no(FAILED, "ACQ.TRADE_HAS_SUCCESS")
        if known is not None and known.state is State.CLOSED:
            return _no(FAILED, "ACQ.TRADE_HAS_CLOSE")
        password = self.book.take_code(str(content["auth_code"]))
        if password is None:
            return _no(FAILED, "ACQ.PAYMENT_AUTH_CODE_INVALID")
        trade = self._open("code", content, params)
        if trade is None:
            return _no(FAILED, "ACQ.CONTEXT_INCONSISTENT")
        if password:
            return _yes(trade, code=ASKED, msg="order success pay inprocess")
        if not self.host.pay(trade):
            return _no(FAILED, "ACQ.BUYER_BALANCE_NOT_ENOUGH")
        return _yes(
            trade,
            total_amount=_yuan(trade.amount_fen),
            receipt_amount=_yuan(trade.amount_fen),
            gmt_payment=moment.text(trade.paid_us),
            buyer_user_id=trade.payer,
        )

    def _precreate(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        trade = self._open("qr", content, params)
        if trade is None:
            return _no(FAILED, "ACQ.CONTEXT_INCONSISTENT")
        if trade.state is not State.WAITING:
            return _no(FAILED, "ACQ.TRADE_HAS_SUCCESS")
        return _said(out_trade_no=trade.no, qr_code=f"https://qr.alipay.com/bax{trade.number}")

    def _page(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        trade = self._open("page", content, params)
        return _no(FAILED, "ACQ.CONTEXT_INCONSISTENT") if trade is None else _yes(trade)

    def _query(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        trade = self.book.find(str(content["out_trade_no"]))
        if trade is None or (trade.state is State.WAITING and trade.scene == "qr"):
            return _no(FAILED, "ACQ.TRADE_NOT_EXIST")  # a QR order exists once it is scanned
        said = _yes(trade, trade_status=_status(trade), total_amount=_yuan(trade.amount_fen))
        if trade.paid_us:
            said |= {"send_pay_date": moment.text(trade.paid_us), "buyer_user_id": trade.payer}
        return said

    def _close(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        trade = self.book.find(str(content["out_trade_no"]))
        if trade is None:
            return _no(FAILED, "ACQ.TRADE_NOT_EXIST")
        if trade.state is State.PAID:
            return _no(FAILED, "ACQ.TRADE_STATUS_ERROR")
        trade.state = State.CLOSED
        return _yes(trade)

    def _cancel(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        trade = self.book.find(str(content["out_trade_no"]))
        if trade is None:
            return _no(FAILED, "ACQ.TRADE_NOT_EXIST")
        action = "close"
        if trade.state is State.PAID:
            left = trade.amount_fen - trade.refunded_fen
            self.book.refund(trade, f"cancel-{trade.no}", left, trade.number)
            action = "refund"
        trade.state = State.CLOSED
        return _yes(trade, retry_flag="N", action=action)

    def _refund(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        trade = self.book.find_paid(str(content["trade_no"]))
        if trade is None:
            return _no(FAILED, "ACQ.TRADE_NOT_EXIST")
        if self.book.short:
            return _no(FAILED, "ACQ.SELLER_BALANCE_NOT_ENOUGH")
        no, amount_fen = str(content["out_request_no"]), _fen(content["refund_amount"])
        again = no in trade.refunds
        refund = self.book.refund(trade, no, amount_fen, trade.number)
        if refund is None:
            return _no(FAILED, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
        if not again:
            self.host.tell(trade, refund)
        return _yes(trade, fund_change="N" if again else "Y", refund_fee=_yuan(trade.refunded_fen))

    def _query_refund(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        trade = self.book.find_paid(str(content["trade_no"]))
        if trade is None:
            return _no(FAILED, "ACQ.TRADE_NOT_EXIST")
        refund = trade.refunds.get(str(content["out_request_no"]))
        if refund is None:
            return _said()
        return _yes(
            trade,
            out_request_no=refund.no,
            refund_amount=_yuan(refund.amount_fen),
            refund_status="REFUND_SUCCESS",
        )

    def _bill_url(self, content: dict[str, Any], params: Mapping[str, str]) -> Answered:
        del params
        day = date.fromisoformat(content["bill_date"])
        if not bills.rows(self.book, day, self.fee_ppm):
            return _no(FAILED, "isp.bill_not_exist")
        return _said(bill_download_url=f"{self.host.url}/bills/{day}")

    def _bill(self, day: date) -> bytes:
        rows = bills.rows(self.book, day, self.fee_ppm)
        found, self.host.planted_last = bills.plant(rows, self.host.planted, self._chance)
        return bill.written(found, day, SELLER, truncated=self.host.planted.truncated)

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """Of a payment, or of money given back."""
        refund = back if isinstance(back, Refund) else None

        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            amount_fen = trade.amount_fen + (100 if wrong_amount else 0)
            params = {
                "notify_time": moment.text(self._now()),
                "notify_type": "trade_status_sync",
                "notify_id": f"{self.book.number():032d}",
                "charset": "utf-8",
                "version": "1.0",
                "app_id": APP,
                "seller_id": SELLER,
                "out_trade_no": trade.no,
                "trade_no": trade.number,
                "trade_status": _status(trade),
                "total_amount": _yuan(amount_fen),
                "subject": trade.subject,
                "gmt_payment": moment.text(trade.paid_us),
                "buyer_id": trade.payer,
            }
            if refund is not None:
                params |= {
                    "gmt_refund": moment.text(refund.at_us),
                    "refund_fee": _yuan(trade.refunded_fen),
                    "out_biz_no": refund.no,
                }
            key = self.forger if forged else self.key
            params |= {"sign": keys.sign(key, _joined(params, set())), "sign_type": "RSA2"}
            body = "&".join(f"{name}={quote_plus(value)}" for name, value in params.items())
            kind = "application/x-www-form-urlencoded; charset=utf-8"
            return Message(trade.notify_url, {"Content-Type": kind}, body.encode())

        return make

    def taken(self, status: int, body: bytes) -> bool:
        """Only the seven letters count."""
        return status == 200 and body.strip() == b"success"


def _status(trade: Trade) -> str:
    if trade.state is State.WAITING:
        return "WAIT_BUYER_PAY"
    gone = trade.paid_us and trade.refunded_fen == trade.amount_fen
    return "TRADE_SUCCESS" if trade.state is State.PAID and not gone else "TRADE_CLOSED"


def _joined(params: Mapping[str, str], without: set[str]) -> bytes:
    names = sorted(name for name, value in params.items() if value and name not in without)
    return "&".join(f"{name}={params[name]}" for name in names).encode()


def _said(**more: str) -> Answered:
    return {"code": DONE, "msg": "Success", **more}


def _yes(trade: Trade, **more: str) -> Answered:
    return _said(out_trade_no=trade.no, trade_no=trade.number) | more


def _no(code: str, sub_code: str) -> Answered:
    return {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "失败"}


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _fen(yuan: object) -> int:
    whole, _, rest = str(yuan).partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))
