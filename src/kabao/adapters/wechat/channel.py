"""The port to WeChat Pay."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import tempfile
import zlib
from datetime import date
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from kabao.adapters.bills import BILL_BYTES, Billed
from kabao.adapters.blame import unsent
from kabao.adapters.figures import cut, local
from kabao.adapters.line import OK, Answer, Line
from kabao.adapters.wechat import bill, notices
from kabao.adapters.wechat.said import BLAME, Problem, RefundSaid, Trade, of_refund, of_trade
from kabao.adapters.wechat.signing import PREFIX, Merchant
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
    SpoiltBill,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.reconciliation.model.lines import BillReader, Expected

CAPABILITIES = Capabilities(
    scenes=frozenset({Scene.QR, Scene.APP, Scene.CODE}),
    no_credit=False,
    closes=True,
    reverses_paid=frozenset({Scene.CODE}),
    notice_age_signed=True,
)

PAYER_ASKED = "USERPAYING"
NO_ORDER = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"})
NO_BILL = frozenset({"NO_STATEMENT_EXIST", "STATEMENT_CREATING"})
UNDECIDED = frozenset(
    {
        "SYSTEM_ERROR",
        "BANK_ERROR",
        "ORDERPAID",
        "OUT_TRADE_NO_USED",
        "ORDER_CLOSED",
        "FREQUENCY_LIMITED",
        "RATELIMIT_EXCEEDED",
    }
)
"""Problems after which only a query tells what became of the order."""

REFUND_FINAL = frozenset({"INVALID_REQUEST", "TRADE_OVERDUE", "USER_ACCOUNT_ABNORMAL"})
"""Problems of a refund that no repetition helps. All others, such as too little money in our
account there (`NOT_ENOUGH`), are repeated with the same number."""

REASON_BYTES = 80

_CHUNK = 1 << 20
_HTTP_SUCCESS = range(200, 300)
_SERVER_FAILED = 500
_T = TypeVar("_T", Trade, RefundSaid, "Prepaid", "Download", "Done")


class Prepaid(msgspec.Struct, frozen=True):
    """What a new order gives for the payer."""

    code_url: str = ""
    prepay_id: str = ""


class Download(msgspec.Struct, frozen=True):
    """Where a bill is, and the digest of what is there once it is unpacked."""

    download_url: str
    hash_type: str
    hash_value: str


class Done(msgspec.Struct, frozen=True):
    """A success that says no more."""


class WechatChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel`.

    Args:
        line: to `https://api.mch.weixin.qq.com`.
        age_s: how old a signed answer or notification may be.
        debit_only: our contract there bars credit cards; it cannot be asked for by order.
    """

    def __init__(
        self, line: Line, merchant: Merchant, clock: Clock, *, age_s: int, debit_only: bool = False
    ) -> None:
        self._line, self._merchant, self._clock = line, merchant, clock
        self._age_us = age_s * 1_000_000
        self.capabilities = msgspec.structs.replace(CAPABILITIES, no_credit=debit_only)

    async def create(self, order: Order, payer: Payer) -> Created:
        """Ask for the money."""
        if order.scene not in CAPABILITIES.scenes:
            return unsent("scene_not_offered")
        if order.no_credit and not self.capabilities.no_credit:
            return unsent("no_credit_not_offered")
        body = self._body(order)
        if order.scene is Scene.CODE:
            return await self._scan(order, body, payer)
        door = "native"
        if order.scene is Scene.APP:
            door, body["payer"] = "jsapi", {"openid": payer.openid or ""}
        said = await self._ask("POST", f"/v3/pay/transactions/{door}", Prepaid, body)
        if isinstance(said, Problem):
            return _failed(said, order.scene)
        if not isinstance(said, Prepaid):
            return said
        if said.code_url:
            return Waiting(Show.QR, said.code_url)
        if said.prepay_id:
            fields = self._merchant.app_fields(said.prepay_id, self._clock.now_us())
            return Waiting(Show.APP, fields=fields)
        return Unknown("nothing to show came")

    async def _scan(self, order: Order, body: dict[str, Any], payer: Payer) -> Created:
        del body["notify_url"], body["time_expire"]
        body["payer"] = {"auth_code": payer.code or ""}
        body["scene_info"] = {"store_info": {"id": order.terminal or "till"}}
        said = await self._ask("POST", "/v3/pay/transactions/codepay", Trade, body)
        if isinstance(said, Problem):
            return Waiting() if said.code == PAYER_ASKED else _failed(said, order.scene)
        if not isinstance(said, Trade):
            return said
        found = self._about(order, said)
        if isinstance(found, Closed):
            return BLAME.declined("CLOSED")
        return found

    async def query(self, order: Order) -> Queried:
        """Ask what became of an order."""
        query = urlencode({"mchid": self._merchant.mch_id})
        said = await self._ask("GET", f"{_path(order)}?{query}", Trade)
        if isinstance(said, Problem):
            return NotThere() if said.code in NO_ORDER else Unknown(said.code)
        if not isinstance(said, Trade):
            return said
        return self._about(order, said)

    async def close(self, order: Order) -> Queried:
        """Close what is unpaid; reverse where a code was scanned, which pays back."""
        body = {"mchid": self._merchant.mch_id}
        if order.scene is Scene.CODE:
            body["appid"] = self._merchant.app_id
        verb = "reverse" if order.scene is Scene.CODE else "close"
        said = await self._ask("POST", f"{_path(order)}/{verb}", Done, body)
        if isinstance(said, Problem):
            return NotThere() if said.code in NO_ORDER else Unknown(said.code)
        return Closed() if isinstance(said, Done) else said

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Give back part or all of a payment; an order may have been paid twice."""
        body = {
            "transaction_id": refund.channel_no,
            "out_refund_no": refund.no,
            "reason": cut(refund.reason, REASON_BYTES),
            "notify_url": order.notify_url,
            "amount": {
                "refund": refund.amount_fen,
                "total": refund.order_fen,
                "currency": "CNY",
            },
        }
        said = await self._ask("POST", "/v3/refund/domestic/refunds", RefundSaid, body)
        if isinstance(said, Problem):
            final = said.code in REFUND_FINAL
            return Refused(said.code, said.message) if final else Unknown(said.code)
        return _about_refund(refund, said) if isinstance(said, RefundSaid) else said

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund."""
        del order  # the refund's own number is enough here
        target = f"/v3/refund/domestic/refunds/{quote(refund.no, safe='')}"
        said = await self._ask("GET", target, RefundSaid)
        if isinstance(said, Problem):
            return NotThere() if said.code in NO_ORDER else Unknown(said.code)
        return _about_refund(refund, said) if isinstance(said, RefundSaid) else said

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification, and open it."""
        return notices.read(incoming, self._merchant, self._clock.now_us(), age_us=self._age_us)

    def reply(self, *, taken: bool) -> Reply:
        """WeChat repeats what is not answered by a status of success."""
        if taken:
            return Reply(200, "application/json", b'{"code":"SUCCESS"}')
        return Reply(500, "application/json", '{"code":"FAIL","message":"失败"}'.encode())

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The trade bill of a day, unpacked."""
        query = urlencode({"bill_date": day.isoformat(), "bill_type": "ALL", "tar_type": "GZIP"})
        said = await self._ask("GET", f"/v3/bill/tradebill?{query}", Download)
        if isinstance(said, Problem):
            return NoBill(said.code) if said.code in NO_BILL else Unknown(said.code)
        if not isinstance(said, Download):
            return said
        with tempfile.TemporaryFile() as packed:
            file = await self._save(said.download_url, packed)
            if not isinstance(file, Answer):
                return file
            if file.status != OK:
                return Unknown("no file came")
            digest = await asyncio.to_thread(_unpacked, packed, into)
        # The file itself is not signed; its digest was, with the address.
        if said.hash_type != "SHA1" or digest != said.hash_value.lower():
            return SpoiltBill("the file is not the one that was announced")
        return Fetched()

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        return bill.read(file, Expected(self._merchant.mch_id, day))

    async def _save(self, url: str, into: IO[bytes]) -> Answer | Unreachable | Unknown:
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        signed = self._merchant.authorization("GET", target, b"", self._clock.now_us())
        headers = {"authorization": signed, "accept": "application/json"}
        return await self._line.save(url, into, headers=headers)

    async def _ask(
        self, method: str, target: str, kind: type[_T], body: Any = None
    ) -> _T | Problem | Unreachable | Unknown:
        content = b"" if body is None else msgspec.json.encode(body)
        merchant, now_us = self._merchant, self._clock.now_us()
        headers = {
            "authorization": merchant.authorization(method, target, content, now_us),
            "accept": "application/json",
            "content-type": "application/json",
            "wechatpay-serial": merchant.wechat_key_id,
        }
        answer = await self._line.ask(method, target, headers=headers, content=content)
        if not isinstance(answer, Answer):
            return answer
        return self._believed(answer, kind)

    def _believed(self, answer: Answer, kind: type[_T]) -> _T | Problem | Unknown:
        """An answer, if it is WeChat's.

        Successes are signed. Not every problem is, so one without a signature is
        taken for what it says (TLS has vouched for the host); a wrong one is not.
        """
        success = answer.status in _HTTP_SUCCESS
        if success or PREFIX + "signature" in answer.headers:
            now_us = self._clock.now_us()
            why = self._merchant.distrust(answer.headers, answer.body, now_us, age_us=self._age_us)
            if why is not None:
                return Unknown(f"the answer is {why}")
        if answer.status >= _SERVER_FAILED:
            return Unknown(f"HTTP {answer.status}")
        body = answer.body or b"{}"
        try:
            problem = msgspec.json.decode(body, type=Problem)
            if problem.code:
                return problem
            return msgspec.json.decode(body, type=kind) if success else Unknown("no reason came")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Unknown("the answer cannot be read")

    def _about(self, order: Order, trade: Trade) -> Waiting | Paid | Closed | Refused | Unknown:
        ours = trade.mchid == self._merchant.mch_id and trade.out_trade_no == order.no
        found = of_trade(trade)
        if not ours or (isinstance(found, Paid) and found.amount_fen != order.amount_fen):
            return Unknown("another amount or order was told")
        return found

    def _body(self, order: Order) -> dict[str, Any]:
        return {
            "appid": self._merchant.app_id,
            "mchid": self._merchant.mch_id,
            "description": order.subject,
            "out_trade_no": order.no,
            "time_expire": local(order.expires_us, "%Y-%m-%dT%H:%M:%S+08:00"),
            "notify_url": order.notify_url,
            "amount": {"total": order.amount_fen, "currency": "CNY"},
        }


def _path(order: Order) -> str:
    return f"/v3/pay/transactions/out-trade-no/{quote(order.no, safe='')}"


def _failed(problem: Problem, scene: Scene) -> Refused | Unknown:
    """A problem when money was asked for: final, unless it says otherwise."""
    if problem.code in UNDECIDED:
        return Unknown(problem.code)
    return BLAME.refused(problem.code, problem.message, scene)


def _about_refund(refund: Refund, said: RefundSaid) -> Refunded | Waiting | Refused | Unknown:
    found = of_refund(said)
    if said.out_refund_no != refund.no:
        return Unknown("another refund was told")
    if isinstance(found, Refunded) and found.amount_fen != refund.amount_fen:
        return Unknown("another refund was told")
    return found


def _unpacked(file: IO[bytes], into: IO[bytes]) -> str:
    """Copies what may be packed, and gives the digest of it unpacked; empty if it cannot be."""
    digest = hashlib.sha1(usedforsecurity=False)
    file.seek(0)
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    source = gzip.GzipFile(fileobj=file) if packed else file
    try:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            if into.tell() + into.write(chunk) > BILL_BYTES:
                return ""
    except (zlib.error, EOFError, OSError):
        return ""
    return digest.hexdigest()
