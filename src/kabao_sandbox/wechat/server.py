"""WeChat Pay's doors, as far as a merchant of ours uses them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import secrets
from datetime import date, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.book import Back, Book, Refund, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message
from kabao_sandbox.wechat import bill

APP, MERCHANT = "wx0000000000000001", "1900000001"
SERIAL, KEY_ID = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "PUB_KEY_ID_0119000000012026"
SCHEME = "WECHATPAY2-SHA256-RSA2048"
AGE_S = 300
STATES = {
    State.WAITING: "NOTPAY",
    State.PAID: "SUCCESS",
    State.CLOSED: "CLOSED",
    State.FAILED: "PAYERROR",
}
_TOKENS = re.compile(r'(\w+)="([^"]*)"')
_ORDER = re.compile(r"/v3/pay/transactions/out-trade-no/([^/]+)(?:/(close|reverse))?")
REASON_MAX = 80
_REFUND = re.compile(r"/v3/refund/domestic/refunds(?:/([^/]+))?")


class ProblemError(Exception):
    """What WeChat answers instead."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Wechat:
    """A merchant's WeChat Pay."""

    name, kind = "WeChat Pay", "wechat"
    fee_ppm, cycle = 6_000, "T+0"  # T-10
    scenes: tuple[str, ...] = ("qr", "code", "app")
    recalls = False
    host: Host

    def __init__(self, now: Now, chance: Chance, new_key: keys.New = keys.new) -> None:
        self._now, self._chance = now, chance
        self.book = Book(now, chance, "13", 18)
        self.key, self.merchant_key, self.forger = new_key(), new_key(), new_key()
        self.api_key = secrets.token_hex(16)
        self.files: dict[str, bytes] = {}
        """Bills to be downloaded, by token."""

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        return {
            "mch_id": MERCHANT,
            "app_id": APP,
            "serial_no": SERIAL,
            "merchant_key": keys.pem(self.merchant_key),
            "wechat_key_id": KEY_ID,
            "wechat_public_key": keys.public_pem(self.key),
            "api_key": self.api_key,
        }

    def answer(self, request: Request) -> Response:
        """Any door; what is answered is signed, but for files and for strangers."""
        if not self._is_merchant(request):
            return self._signed(401, {"code": "SIGN_ERROR", "message": "签名错误"})
        if request.path == "/v3/billdownload/file":
            file = self.files.get(request.query.get("token", ""))
            return Response(404) if file is None else Response(200, file, "text/plain")
        try:
            said = self._said(request)
        except ProblemError as problem:
            return self._signed(problem.status, {"code": problem.code, "message": "失败"})
        except (KeyError, ValueError, TypeError):
            return self._signed(400, {"code": "PARAM_ERROR", "message": "参数错误"})
        return self._signed(204 if said is None else 200, said)

    def _said(self, request: Request) -> Any:
        data = json.loads(request.body) if request.body else {}
        if found := _ORDER.fullmatch(request.path):
            return self._order(found[1], found[2])
        if found := _REFUND.fullmatch(request.path):
            return self._refunds(found[1], data)
        match request.path.removeprefix("/v3/"):
            case "pay/transactions/native":
                trade = self._open("qr", data)
                return {"code_url": f"weixin://wxpay/bizpayurl?pr={trade.number[-9:]}"}
            case "pay/transactions/jsapi":
                return {"prepay_id": f"wx{self._open('app', data).number}"}
            case "pay/transactions/codepay":
                return self._codepay(data)
            case "bill/tradebill":
                return self._bill(request)
        raise ProblemError(404, "RESOURCE_NOT_EXISTS")

    def _is_merchant(self, request: Request) -> bool:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        said = dict(_TOKENS.findall(rest))
        text = "\n".join(
            (request.method, request.target, said.get("timestamp", ""), said.get("nonce_str", ""))
        )
        signed = text.encode() + b"\n" + request.body + b"\n"
        fresh = abs(int(said.get("timestamp", "0")) - self._now() // moment.US) <= AGE_S
        return (
            scheme == SCHEME
            and fresh
            and said.get("mchid") == MERCHANT
            and said.get("serial_no") == SERIAL
            and keys.check(self.merchant_key.public_key(), signed, said.get("signature", ""))
        )

    def _headers(self, body: bytes, key: keys.Private) -> dict[str, str]:
        stamp, nonce = str(self._now() // moment.US), secrets.token_hex(16)
        text = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": KEY_ID,
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Signature": keys.sign(key, text),
        }

    def _signed(self, status: int, said: Any) -> Response:
        body = b"" if said is None else json.dumps(said, ensure_ascii=False).encode()
        return Response(status, body, "application/json", self._headers(body, self.key))

    def _open(self, scene: str, data: dict[str, Any]) -> Trade:
        no, amount_fen = data["out_trade_no"], int(data["amount"]["total"])
        if data["appid"] != APP or data["mchid"] != MERCHANT or amount_fen <= 0:
            raise ProblemError(400, "PARAM_ERROR")
        known = self.book.find(no)
        if known is not None:
            if known.state is State.PAID:
                raise ProblemError(400, "ORDERPAID")
            if known.amount_fen != amount_fen:
                raise ProblemError(403, "OUT_TRADE_NO_USED")
            return known
        now_us = self._now()
        until = data.get("time_expire")
        expires_us = _us(until) if until else now_us + 7_200 * moment.US
        number = f"42000{moment.at(now_us):%Y%m%d}{self.book.number():015d}"
        return self.book.add(
            Trade(no, number, scene, amount_fen, data["description"], data.get("notify_url", ""),
                  now_us, expires_us)
        )  # fmt: skip

    def _codepay(self, data: dict[str, Any]) -> dict[str, Any]:
        known = self.book.find(data["out_trade_no"])
        if known is not None and known.state is State.PAID:
            raise ProblemError(400, "ORDERPAID")
        password = self.book.take_code(data["payer"]["auth_code"])
        if password is None:
            raise ProblemError(400, "AUTH_CODE_INVALID")
        trade = self._open("code", data)
        if password:
            raise ProblemError(202, "USERPAYING")
        if not self.host.pay(trade):
            raise ProblemError(403, "NOT_ENOUGH")
        return self._shown(trade)

    def _order(self, no: str, verb: str | None) -> Any:
        trade = self.book.find(no)
        if trade is None:
            raise ProblemError(404, "ORDER_NOT_EXIST")
        if verb is None:
            return self._shown(trade)
        if verb == "close" and trade.state is State.PAID:
            raise ProblemError(400, "ORDERPAID")
        if trade.state is State.PAID:
            left = trade.amount_fen - trade.refunded_fen
            self.book.refund(trade, f"reverse-{trade.no}", left, self._refund_number())
        trade.state = State.CLOSED
        trade.more["revoked"] = "yes" if verb == "reverse" else ""
        return None

    def _refunds(self, no: str | None, data: dict[str, Any]) -> Any:
        if no is not None:
            for trade in self.book:
                if no in trade.refunds:
                    return self._shown_refund(trade, trade.refunds[no])
            raise ProblemError(404, "RESOURCE_NOT_EXISTS")
        found = self.book.find_paid(data["transaction_id"])
        if found is None:
            raise ProblemError(404, "RESOURCE_NOT_EXISTS")
        if len(data.get("reason", "")) > REASON_MAX:
            raise ProblemError(400, "PARAM_ERROR")
        if self.book.short:
            raise ProblemError(403, "NOT_ENOUGH")
        again = data["out_refund_no"] in found.refunds
        refund = self.book.refund(
            found, data["out_refund_no"], int(data["amount"]["refund"]), self._refund_number()
        )
        if refund is None or int(data["amount"]["total"]) != found.amount_fen:
            raise ProblemError(400, "INVALID_REQUEST")
        if not again:
            self.host.tell(found, refund)
        return self._shown_refund(found, refund)

    def _refund_number(self) -> str:
        return f"50300{moment.at(self._now()):%Y%m%d}{self.book.number():016d}"

    def _bill(self, request: Request) -> dict[str, str]:
        day = date.fromisoformat(request.query["bill_date"])
        rows = bills.rows(self.book, day, self.fee_ppm)
        if not rows:
            raise ProblemError(400, "NO_STATEMENT_EXIST")
        found, self.host.planted_last = bills.plant(rows, self.host.planted, self._chance)
        text = bill.written(found, APP, MERCHANT)
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        if self.host.planted.truncated:
            text = text[: len(text) // 2]
        packed = request.query.get("tar_type") == "GZIP"
        token = secrets.token_hex(16)
        self.files = {token: gzip.compress(text) if packed else text}
        url = f"{self.host.url}/v3/billdownload/file?token={token}"
        return {"hash_type": "SHA1", "hash_value": digest, "download_url": url}

    def _shown(self, trade: Trade, *, more_fen: int = 0) -> dict[str, Any]:
        state = STATES[trade.state]
        if trade.refunds and trade.paid_us:
            state = "REVOKED" if trade.more.get("revoked") else "REFUND"
        said: dict[str, Any] = {
            "appid": APP,
            "mchid": MERCHANT,
            "out_trade_no": trade.no,
            "trade_state": state,
            "trade_state_desc": "",
            "amount": {"total": trade.amount_fen + more_fen, "currency": "CNY"},
        }
        if trade.paid_us:
            said |= {
                "transaction_id": trade.number,
                "trade_type": {"qr": "NATIVE", "app": "JSAPI"}.get(trade.scene, "MICROPAY"),
                "bank_type": "CMB_DEBIT",
                "success_time": moment.at(trade.paid_us).isoformat(timespec="seconds"),
                "payer": {"openid": trade.payer},
            }
        return said

    def _shown_refund(self, trade: Trade, refund: Refund) -> dict[str, Any]:
        return {
            "refund_id": refund.number,
            "out_refund_no": refund.no,
            "transaction_id": trade.number,
            "out_trade_no": trade.no,
            "channel": "ORIGINAL",
            "status": "SUCCESS",
            "success_time": moment.at(refund.at_us).isoformat(timespec="seconds"),
            "amount": {"total": trade.amount_fen, "refund": refund.amount_fen, "currency": "CNY"},
        }

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """Of a payment, or of a refund; encrypted, and signed for each sending."""
        refund = back if isinstance(back, Refund) else None

        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            if refund is None:
                kind = "TRANSACTION.SUCCESS"
                plain = self._shown(trade, more_fen=100 if wrong_amount else 0)
                plain["trade_state"] = "SUCCESS"
            else:
                kind = "REFUND.SUCCESS"
                plain = self._shown_refund(trade, refund) | {"mchid": MERCHANT}
                plain["refund_status"] = plain.pop("status")
            body = self._enveloped(kind, plain)
            key = self.forger if forged else self.key
            headers = self._headers(body, key) | {"Content-Type": "application/json"}
            return Message(trade.notify_url, headers, body)

        return make

    def _enveloped(self, kind: str, plain: dict[str, Any]) -> bytes:
        nonce = secrets.token_hex(6)
        original = kind.partition(".")[0].lower()
        cipher = AESGCM(self.api_key.encode()).encrypt(
            nonce.encode(), json.dumps(plain, ensure_ascii=False).encode(), original.encode()
        )
        envelope = {
            "id": f"EV-{self.book.number():016d}",
            "create_time": moment.at(self._now()).isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": kind,
            "summary": "支付成功",
            "resource": {
                "original_type": original,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(cipher).decode(),
                "associated_data": original,
                "nonce": nonce,
            },
        }
        return json.dumps(envelope, ensure_ascii=False).encode()

    def taken(self, status: int, body: bytes) -> bool:
        """Any success."""
        del body
        return status in {200, 204}


def _us(rfc3339: str) -> int:
    return int(datetime.fromisoformat(rfc3339).timestamp()) * moment.US
