"""UnionPay's gateway, as far as a merchant of ours uses it."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.book import Back, Book, Refund, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message
from kabao_sandbox.unionpay import bill
from kabao_sandbox.unionpay.certificates import Certificates, pem

DAY_ENDS_HOUR = 23
"""What comes later is settled with the next day."""

MERCHANT, CERT_ID = "777290058110048", "68759663125"
FORM = "%Y%m%d%H%M%S"
SCENES = {("01", "07"): "qr", ("01", "06"): "code", ("01", "01"): "page"}
MINUTES_US = 900 * moment.US
REPEATED, MISMATCH = "12", "36"
"""重复交易; 与原交易信息不符."""

Fields = dict[str, str]

FORMS = {
    "merId": r"[0-9A-Za-z]{15}",
    "orderId": r"[0-9A-Za-z]{8,40}",
    "txnTime": r"\d{14}",
    "bizType": r"\d{6}",
    "accessType": r"\d",
    "channelType": r"\d{2}",
    "txnAmt": r"\d{1,12}",
    "currencyCode": r"\d{3}",
    "backUrl": r"https?://[!-~]{1,248}",
    "origQryId": r"\d{21}",
    "termId": r"[!-~]{8}",
    "payTimeout": r"\d{14}",
}
"""How the fields of a message are written, those that are kept here."""

ALWAYS = ("merId", "orderId", "txnTime", "bizType", "accessType", "channelType")
NEEDED = {
    "01": (*ALWAYS, "txnAmt", "currencyCode", "backUrl"),
    "04": (*ALWAYS, "txnAmt", "origQryId", "backUrl"),
    "99": ALWAYS,
}
"""Without which a message of a kind is refused; an empty field is none."""


class Unionpay:
    """A merchant's UnionPay."""

    name, kind = "UnionPay", "unionpay"
    fee_ppm, cycle = 6_000, "T+0"  # T-10
    scenes: tuple[str, ...] = ("qr", "page", "code")
    recalls = False
    host: Host

    def __init__(self, now: Now, chance: Chance, new_key: keys.New = keys.new) -> None:
        self._now, self._chance = now, chance
        self.book = Book(now, chance, "62", 19)
        self.certificates = Certificates(moment.at(now()), new_key)
        self.merchant_key = new_key()
        self._refunds: dict[str, Refund | None] = {}
        """By number, which is taken once; None: it was refused for good."""

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        return {
            "gateway": f"{self.host.url}/gateway/api",
            "mer_id": MERCHANT,
            "cert_id": CERT_ID,
            "merchant_key": keys.pem(self.merchant_key),
            "root": pem(self.certificates.root),
            "between": [pem(self.certificates.between)],
        }

    def answer(self, request: Request) -> Response:
        """The gateway's doors, and the files'."""
        asked = request.form
        if not self._is_merchant(asked):
            return self._signed(asked, {"respCode": "11", "respMsg": "验签失败"})
        try:
            said = self._said(request.path.removeprefix("/gateway/api"), asked)
        except (KeyError, ValueError):
            said = {"respCode": "10", "respMsg": "报文格式错误"}
        return self._signed(asked, said)

    def _said(self, path: str, asked: Fields) -> Fields:
        kind = asked["txnType"]
        wrong = _wrong(kind, asked)
        if wrong is not None:
            return wrong
        if path == "/queryTrans.do":
            return self._query(asked)
        if path == "/frontTransReq.do" or (path == "/backTransReq.do" and kind == "01"):
            return self._purchase(asked)
        if path == "/backTransReq.do" and kind == "04":
            return self._refund(asked)
        if path == "/backTransReq.do" and kind == "99":
            return self._reverse(asked)
        if kind == "76":
            return self._file(asked)
        return _no("10")

    def _is_merchant(self, asked: Mapping[str, str]) -> bool:
        return (
            asked.get("merId") == MERCHANT
            and asked.get("certId") == CERT_ID
            and keys.check(
                self.merchant_key.public_key(), digest(asked), asked.get("signature", "")
            )
        )

    def whole(self, said: Fields, *, forged: bool = False) -> Fields:
        """A message with its signature; a forged one by somebody else under the same root."""
        made = self.certificates
        certificate, key = (made.strangers, made.forger) if forged else (made.own, made.key)
        whole = {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "signPubKeyCert": pem(certificate),
            **said,
        }
        return whole | {"signature": keys.sign(key, digest(whole))}

    def _signed(self, asked: Fields, said: Fields) -> Response:
        """What is asked comes back with the answer; joined, but not encoded."""
        names = ("merId", "orderId", "txnTime", "txnType", "txnSubType", "bizType", "accessType")
        again = {name: asked[name] for name in names if asked.get(name)}
        whole = self.whole({"respMsg": "成功[0000000]", **again, **said})
        body = "&".join(f"{name}={value}" for name, value in whole.items())
        return Response(200, body.encode(), "text/html;charset=UTF-8")

    def _purchase(self, asked: Fields) -> Fields:
        amount_fen, no = int(asked["txnAmt"]), asked["orderId"]
        scene = SCENES[asked["txnType"], asked["txnSubType"]]
        known = self.book.find(no)
        if known is not None:
            return _no(REPEATED)
        password = self.book.take_code(asked["qrNo"]) if scene == "code" else True
        if password is None:
            return _no("77")
        now_us, until = self._now(), asked.get("payTimeout")
        expires_us = moment.us_of(until, FORM) if until else now_us + MINUTES_US
        number = f"{moment.at(now_us):%Y%m%d%H%M%S}{self.book.number():07d}"
        trade = self.book.add(
            Trade(no, number, scene, amount_fen, asked.get("orderDesc", ""), asked["backUrl"],
                  now_us, expires_us, more={"txnTime": asked["txnTime"]})
        )  # fmt: skip
        if scene == "qr":
            return _yes(qrCode=f"https://qr.95516.com/00010000/{number}")
        if scene == "code" and not password:
            self.host.pay(trade)
        return _yes()

    def _query(self, asked: Fields) -> Fields:
        if asked["orderId"] in self._refunds:
            refund = self._refunds[asked["orderId"]]
            if refund is None:
                return _yes(origRespCode=MISMATCH, origRespMsg="与原交易信息不符")
            return _yes(
                origRespCode="00",
                origRespMsg="成功",
                queryId=refund.number,
                txnAmt=str(refund.amount_fen),
                currencyCode="156",
                traceTime=f"{moment.at(refund.at_us):%m%d%H%M%S}",
            )
        found = self.book.find(asked["orderId"])
        if found is None or found.more["txnTime"] != asked["txnTime"]:
            return _no("34")
        if found.state is State.WAITING:
            return (
                _yes(origRespCode="05", origRespMsg="处理中")
                if found.scene == "code"
                else _no("34")
            )
        if found.state is not State.PAID:
            return _yes(origRespCode="51", origRespMsg="余额不足")
        return _yes(origRespCode="00", origRespMsg="成功", **self._paid(found))

    def _paid(self, trade: Trade, more_fen: int = 0) -> Fields:
        return {
            "queryId": trade.number,
            "txnAmt": str(trade.amount_fen + more_fen),
            "currencyCode": "156",
            "settleAmt": str(trade.amount_fen),
            "settleCurrencyCode": "156",
            "settleDate": f"{moment.at(trade.paid_us):%m%d}",
            "traceNo": trade.number[-6:],
            "traceTime": f"{moment.at(trade.paid_us):%m%d%H%M%S}",
            "accNo": "6216***********0018",
        }

    def _refund(self, asked: Fields) -> Fields:
        trade = self.book.find_paid(asked["origQryId"])
        if trade is None:
            return _no("35")
        if self.book.short:
            return _no("64")
        no, number = asked["orderId"], f"{asked['txnTime']}{self.book.number():07d}"
        if no in self._refunds:
            return _no(REPEATED)
        refund = self._refunds[no] = self.book.refund(trade, no, int(asked["txnAmt"]), number)
        if refund is None:
            return _no(MISMATCH)
        self.host.tell(trade, refund)
        return _yes(queryId=refund.number, origQryId=trade.number, txnAmt=asked["txnAmt"])

    def _reverse(self, asked: Fields) -> Fields:
        trade = self.book.find(asked["orderId"])
        if trade is None or trade.more["txnTime"] != asked["txnTime"]:
            return _no("34")
        if trade.state is State.PAID:
            left, number = trade.amount_fen - trade.refunded_fen, f"99{self.book.number():019d}"
            self.book.refund(trade, f"reverse{trade.no[7:]}", left, number)
        trade.state = State.CLOSED
        return _yes()

    def _file(self, asked: Fields) -> Fields:
        year = moment.at(self._now()).year
        day = moment.day(moment.us_of(f"{year}{asked['settleDate']}000000", FORM))
        rows = bills.rows(self.book, day, self.fee_ppm, ends_hour=DAY_ENDS_HOUR)
        if not rows:
            return _no("98")
        found, self.host.planted_last = bills.plant(rows, self.host.planted, self._chance)
        file = bill.written(found, day, MERCHANT, truncated=self.host.planted.truncated)
        content = base64.b64encode(zlib.compress(file)).decode()
        return _yes(fileName=f"{MERCHANT}_{day:%Y%m%d}.zip", fileContent=content)

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """Of a payment, or of a refund."""
        refund = back if isinstance(back, Refund) else None

        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            said = {"accessType": "0", "bizType": "000000", "merId": MERCHANT}
            if refund is None:
                said |= {
                    "txnType": "01",
                    "txnSubType": next(b for (_, b), s in SCENES.items() if s == trade.scene),
                    "orderId": trade.no,
                    "txnTime": trade.more["txnTime"],
                    **self._paid(trade, 100 if wrong_amount else 0),
                }
            else:
                at = moment.at(refund.at_us)
                said |= {
                    "txnType": "04",
                    "txnSubType": "00",
                    "orderId": refund.no,
                    "origOrderId": trade.no,
                    "txnTime": f"{at:%Y%m%d%H%M%S}",
                    "traceTime": f"{at:%m%d%H%M%S}",
                    "queryId": refund.number,
                    "origQryId": trade.number,
                    "txnAmt": str(refund.amount_fen),
                    "currencyCode": "156",
                }
            whole = self.whole(said | {"respCode": "00", "respMsg": "Success!"}, forged=forged)
            body = "&".join(f"{name}={quote_plus(value)}" for name, value in whole.items())
            kind = "application/x-www-form-urlencoded;charset=UTF-8"
            return Message(trade.notify_url, {"Content-Type": kind}, body.encode())

        return make

    def taken(self, status: int, body: bytes) -> bool:
        """Status 200, whatever is said with it."""
        del body
        return status == 200


def digest(fields: Mapping[str, str]) -> bytes:
    """What is signed."""
    names = sorted(name for name, value in fields.items() if value and name != "signature")
    text = "&".join(f"{name}={fields[name]}" for name in names)
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _wrong(kind: str, asked: Fields) -> Fields | None:
    """The answer to a message that lacks a field, or has one that is written otherwise."""
    if any(not asked.get(name) for name in NEEDED.get(kind, ())):
        return _no("13")  # 报文交易要素缺失
    known = FORMS.keys() & asked.keys()
    fits = all(re.fullmatch(FORMS[name], asked[name]) for name in known if asked[name])
    return None if fits else _no("10")


def _yes(**more: str) -> Fields:
    return {"respCode": "00", **more}


def _no(code: str) -> Fields:
    return {"respCode": code, "respMsg": f"失败[{code}]"}
