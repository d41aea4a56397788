"""The port to UnionPay's gateway."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from datetime import date
from typing import IO
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kabao.adapters.bills import Billed
from kabao.adapters.blame import Blame, unsent
from kabao.adapters.figures import cut, local
from kabao.adapters.line import FILE_BYTES, OK, Answer, Line
from kabao.adapters.unionpay import bill, notices
from kabao.adapters.unionpay.signing import Trust, fields_of, signed
from kabao.adapters.unionpay.stamps import us_near
from kabao.base import clock as clocks
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

TAKEN, NOT_FOUND, NO_FILE = "00", "34", "98"
SUCCESS = notices.SUCCESS
UNDER_WAY = frozenset({"03", "04", "05"})
UNDECIDED = frozenset({"01", "02", "06", "12"}) | UNDER_WAY
"""Response codes after which only a query tells: busy, timed out, or a repeated order."""

REFUND_FINAL = frozenset({"35", "36", "61", "62", "63"})
"""Response codes to a refund that no repetition helps: the original or the amount is not right,
the card is no more. All others are asked about and repeated with the same number."""

BLAME = Blame(
    account=frozenset({"10", "11", "13", "31", "32", "37", "39"}),
    payer=frozenset({"33", "38"}),
)
"""Malformed, unsigned or incomplete; the merchant's state, permission, pace or hours; and the
amount or the risk that goes with it."""

MOMENT = "%Y%m%d%H%M%S"
CNY = "156"

SUBJECT_BYTES = 32

LATE_US = 300_000_000
"""So long after its time an order that UnionPay does not know of cannot be paid any more; one
whose payer was at it in the last second has been told of by then."""

_QR, _SCANNED, _PAGE = ("01", "07", "000000"), ("01", "06", "000000"), ("01", "01", "000201")
_KIND = {Scene.PAGE: _PAGE, Scene.QR: _QR, Scene.CODE: _SCANNED}

CAPABILITIES = Capabilities(
    scenes=frozenset(_KIND),
    no_credit=False,
    closes=False,
    reverses_paid=frozenset({Scene.CODE}),
    notice_age_signed=False,
    bill_ends_hour=23,
)


class Merchant(msgspec.Struct, frozen=True):
    """A merchant's account: who we are there, our certificate's serial number and key."""

    mer_id: str
    cert_id: str
    key: RSAPrivateKey
    trust: Trust


class UnionpayChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel`.

    Args:
        line: to the gateway, `https://gateway.95516.com/gateway/api`.
        files: to where bills are, `https://filedownload.95516.com`.
        debit_only: our contract there bars credit cards; it cannot be asked for by order.
    """

    def __init__(
        self, line: Line, files: Line, merchant: Merchant, clock: Clock, *, debit_only: bool = False
    ) -> None:
        self._line, self._files, self._merchant, self._clock = line, files, merchant, clock
        self.capabilities = msgspec.structs.replace(CAPABILITIES, no_credit=debit_only)

    async def create(self, order: Order, payer: Payer) -> Created:
        """Ask for the money. What is taken is told later, whatever the scene."""
        if order.scene not in _KIND:
            return unsent("scene_not_offered")
        if order.no_credit and not self.capabilities.no_credit:
            return unsent("no_credit_not_offered")
        fields = self._order(order) | {
            "txnAmt": str(order.amount_fen),
            "currencyCode": CNY,
            "backUrl": order.notify_url,
            "payTimeout": local(order.expires_us, MOMENT),
            "orderDesc": cut(order.subject, SUBJECT_BYTES),
        }
        # No `termId`: that is a number of the acquirer's terminals, 8 characters, not of our tills.
        if order.scene is Scene.PAGE:
            if order.return_url:
                fields["frontUrl"] = order.return_url
            whole = signed(self._merchant.key, self._merchant.cert_id, fields)
            return Waiting(Show.FORM, self._line.url("/frontTransReq.do"), whole)
        if order.scene is Scene.CODE:
            fields["qrNo"] = payer.code or ""
        said = await self._ask("/backTransReq.do", fields)
        if not isinstance(said, dict):
            return said
        code = said.get("respCode", "")
        if code != TAKEN:
            return _failed(code, said, order.scene)
        if order.scene is Scene.CODE:
            return Waiting()
        return Waiting(Show.QR, said["qrCode"]) if said.get("qrCode") else Unknown("no QR code")

    async def query(self, order: Order) -> Queried:
        """Ask what became of an order."""
        said = await self._about(order.no, order.created_us, order.scene)
        if not isinstance(said, dict):
            return said
        code = said["origRespCode"]
        if code in UNDER_WAY:
            return Waiting()
        if code not in SUCCESS:
            return BLAME.declined(code, said.get("origRespMsg", ""))
        if said.get("txnAmt") != str(order.amount_fen) or said.get("currencyCode", CNY) != CNY:
            return Unknown("another amount was told")
        return paid(said, order.created_us)

    async def close(self, order: Order) -> Queried:
        """Reverse where a code was scanned; other orders only end with their time."""
        if order.scene is not Scene.CODE:
            found = await self.query(order)
            if isinstance(found, NotThere):
                over = self._clock.now_us() > order.expires_us + LATE_US
                return Closed() if over else Waiting()
            return found
        fields = self._order(order) | {"txnType": "99", "txnSubType": "01"}
        said = await self._ask("/backTransReq.do", fields)
        if not isinstance(said, dict):
            return said
        code = said.get("respCode", "")
        if code == TAKEN:
            return Closed(given_back=True)
        return NotThere() if code == NOT_FOUND else Unknown(code)

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Give back part or all. It is taken first; what became of it is asked."""
        fields = self._named(refund.no, refund.created_us, _biz(order)) | {
            "txnType": "04",
            "txnSubType": "00",
            "origQryId": refund.channel_no,
            "txnAmt": str(refund.amount_fen),
            "backUrl": order.notify_url,
        }
        said = await self._ask("/backTransReq.do", fields)
        if not isinstance(said, dict):
            return said
        code = said.get("respCode", "")
        if code == TAKEN:
            return Waiting()
        return Refused(code, said.get("respMsg", "")) if code in REFUND_FINAL else Unknown(code)

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund."""
        said = await self._about(refund.no, refund.created_us, order.scene)
        if not isinstance(said, dict):
            return said
        code = said["origRespCode"]
        if code in UNDER_WAY:
            return Waiting()
        if code not in SUCCESS:
            return Refused(code, said.get("origRespMsg", ""))
        if said.get("txnAmt") != str(refund.amount_fen):
            return Unknown("another amount was told")
        return Refunded(refund.amount_fen)

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification."""
        now = clocks.now(self._clock)
        return notices.read(incoming, self._merchant.trust, self._merchant.mer_id, now)

    def reply(self, *, taken: bool) -> Reply:
        """UnionPay repeats what is not answered by a status of success."""
        return Reply(200, "text/plain", b"ok") if taken else Reply(500, "text/plain", b"failed")

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The file of a settlement day, zipped."""
        now = local(self._clock.now_us(), MOMENT)
        fields = {
            "bizType": "000000",
            "txnType": "76",
            "txnSubType": "01",
            "accessType": "0",
            "merId": self._merchant.mer_id,
            "settleDate": f"{day:%m%d}",
            "txnTime": now,
            "fileType": "00",
        }
        said = await self._ask("/", fields, self._files, FILE_BYTES)
        if not isinstance(said, dict):
            return said
        code = said.get("respCode", "")
        if code == NO_FILE:
            return NoBill(code)
        if code != TAKEN:
            return Unknown(code)
        file = _inflated(said.get("fileContent", ""))
        if file is None:
            return SpoiltBill("the file cannot be unpacked")
        into.write(file)
        return Fetched()

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        return bill.read(file, Expected(self._merchant.mer_id, day))

    async def _about(
        self, number: str, created_us: int, scene: Scene
    ) -> dict[str, str] | NotThere | Unreachable | Unknown:
        """A query, answered with what became of the original."""
        fields = self._named(number, created_us, _KIND[scene][2]) | {
            "txnType": "00",
            "txnSubType": "00",
        }
        said = await self._ask("/queryTrans.do", fields)
        if not isinstance(said, dict):
            return said
        code = said.get("respCode", "")
        if code == NOT_FOUND:
            return NotThere()
        if code != TAKEN or not said.get("origRespCode"):
            return Unknown(code)
        return said

    async def _ask(
        self, path: str, fields: Mapping[str, str], line: Line | None = None, most: int = 1 << 20
    ) -> dict[str, str] | Unreachable | Unknown:
        whole = signed(self._merchant.key, self._merchant.cert_id, fields)
        answer = await (line or self._line).ask(
            "POST",
            path,
            headers={"content-type": "application/x-www-form-urlencoded;charset=UTF-8"},
            content=urlencode(whole).encode(),
            most=most,
        )
        if not isinstance(answer, Answer):
            return answer
        try:
            said = fields_of(answer.body.decode()) if answer.status == OK else {}
        except ValueError:
            said = {}
        if not self._merchant.trust.holds(said, clocks.now(self._clock)):
            return Unknown("the answer is not signed by UnionPay")
        asked = ("merId", "orderId", "txnTime")
        if any(said.get(name, fields.get(name)) != fields.get(name) for name in asked):
            return Unknown("the answer is about another order")
        return said

    def _order(self, order: Order) -> dict[str, str]:
        kind, sub_kind, biz = _KIND[order.scene]
        return self._named(order.no, order.created_us, biz) | {
            "txnType": kind,
            "txnSubType": sub_kind,
        }

    def _named(self, number: str, created_us: int, biz: str) -> dict[str, str]:
        return {
            "bizType": biz,
            "accessType": "0",
            "channelType": "07" if biz == _PAGE[2] else "08",
            "merId": self._merchant.mer_id,
            "orderId": number,
            "txnTime": local(created_us, MOMENT),
        }


def _biz(order: Order) -> str:
    return _KIND[order.scene][2]


def paid(said: Mapping[str, str], near_us: int) -> Paid | Unknown:
    """A payment in a message; its own time has no year, so the one near the order's is meant."""
    try:
        paid_us = us_near(said["traceTime"], near_us)
        return Paid(said["queryId"], int(said["txnAmt"]), paid_us, said.get("accNo", ""))
    except (KeyError, ValueError):
        return Unknown("number, amount or time cannot be read")


def _failed(code: str, said: Mapping[str, str], scene: Scene) -> Refused | Unknown:
    """A refusal when money was asked for: final, unless it says otherwise."""
    if code in UNDECIDED or not code:
        return Unknown(code)
    return BLAME.refused(code, said.get("respMsg", ""), scene)


def _inflated(text: str) -> bytes | None:
    unpack = zlib.decompressobj()
    try:
        file = unpack.decompress(base64.b64decode(text, validate=True), FILE_BYTES)
    except (zlib.error, binascii.Error, ValueError):
        return None
    return file if unpack.eof else None
