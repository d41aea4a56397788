"""Files of payouts (pain.001 with many sums) as a bank takes them, and what becomes of each sum."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped] # it has none

from kabao_sandbox.bank.model import ACCOUNT, Booked
from kabao_sandbox.party import moment
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now

_PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
)
REJECTED, UNDER_WAY, DONE, PART = "RJCT", "ACSP", "ACSC", "PART"
CLOSED, WRONG_NUMBER, WRONG_SUM, NO_MONEY = "AC04", "AM18", "AM10", "AM04"
"""ISO 20022's reasons: the account is closed, the count or the sum is wrong, too little money."""
TAKEN_NUMBER, NOT_OURS = "DU01", "AC02"

Number = Callable[[], str]


class Payee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account does with what is paid to it."""

    does: Literal["takes", "closed", "returns", "waits"]


class Return(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a payout comes back."""

    reason: str = CLOSED


@dataclass
class Line:
    """One sum of a file."""

    no: str
    instruction: str
    amount_fen: int
    name: str
    account: str
    code: str = UNDER_WAY
    reason: str = ""
    entry: str = ""
    """Under which number it was booked."""
    back: bool = False


@dataclass
class File:
    """A file, and what the bank says of it."""

    message: str
    digest: bytes
    lines: list[Line]
    reason: str = ""
    """Why none of it was done."""

    @property
    def code(self) -> str:
        """What is said of all of it."""
        if self.reason:
            return REJECTED
        codes = {line.code for line in self.lines}
        return codes.pop() if len(codes) == 1 else PART


class Files:
    """Every file the bank has, each taken once under its number."""

    def __init__(self, now: Now, number: Number) -> None:
        self._now, self._number = now, number
        self._files: dict[str, File] = {}
        self._payees: dict[str, str] = {}
        self.entries: list[Booked] = []

    def take(self, body: bytes, balance_fen: int) -> bytes:
        """Pay what a file asks for. The same file again changes nothing; another is refused."""
        file = read(body)
        known = self._files.get(file.message)
        if known is not None and known.digest != file.digest:
            file.reason = TAKEN_NUMBER
            return self._status(file)
        if known is None:
            self._files[file.message] = file
            if not file.reason:
                self._pay(file, balance_fen)
        return self._status(known or file)

    def is_closed(self, account: str) -> bool:
        """Whether an account takes nothing."""
        return self._payees.get(account) == "closed"

    def told(self, message: str) -> bytes | None:
        """What became of a file; None if there is none."""
        file = self._files.get(message)
        if file is None:
            return None
        for line in file.lines:
            if line.code == UNDER_WAY and self._payees.get(line.account) != "waits":
                line.code = DONE
        return self._status(file)

    def at_desk(self, request: Request) -> Response | None:
        """Of `/payouts`, `/payouts/{no}/return` or `/pay`, `/payees/{account}`, `/files`."""
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["payouts"]:
                return _json([_shown(file, line) for file, line in self._lines()])
            case "PUT", ["payees", account]:
                self._payees[account] = msgspec.json.decode(request.body, type=Payee).does
                return _json({"account": account, "does": self._payees[account]})
            case "DELETE", ["files"]:  # its archive forgets them; what was booked stays booked
                self._files.clear()
                return _json({"files": 0})
            case "POST", ["payouts", no, "pay"]:  # says that it was paid, whatever it said before
                for _, line in self._lines():
                    if line.no == no:
                        line.code, line.reason, line.entry = DONE, "", self._number()
                        self.entries.append(self._booked(line, line.entry))
                return _json({"paid": no})
            case "POST", ["payouts", no, "return"]:
                why = msgspec.json.decode(request.body or b"{}", type=Return).reason
                found = next((line for _, line in self._lines() if line.no == no), None)
                if found is None or not found.entry or found.back:
                    return _json({"error": "no such payout was done"}, 404)
                self._return(found, why)
                return _json({"returned": no})
        return None

    def _lines(self) -> Iterator[tuple[File, Line]]:
        for file in self._files.values():
            for line in file.lines:
                yield file, line

    def _pay(self, file: File, balance_fen: int) -> None:
        for line in file.lines:
            does = self._payees.get(line.account, "takes")
            if does == "closed" or line.amount_fen > balance_fen:
                line.code, line.reason = REJECTED, CLOSED if does == "closed" else NO_MONEY
                continue
            balance_fen -= line.amount_fen
            line.entry = self._number()
            self.entries.append(self._booked(line, line.entry))
            if does == "returns":
                self._return(line, CLOSED)

    def _return(self, line: Line, reason: str) -> None:
        line.back = True
        self.entries.append(
            self._booked(line, self._number(), credit=True, reversal=True, reason=reason)
        )

    def _booked(self, line: Line, no: str, *, credit: bool = False, **more: Any) -> Booked:
        return Booked(
            no=no,
            credit=credit,
            amount_fen=line.amount_fen,
            fee_fen=0,
            at_us=self._now(),
            name=line.name,
            original=line.entry,
            order=line.instruction,
            end_to_end=line.no,
            party_account=line.account,
            **more,
        )

    def _status(self, file: File) -> bytes:
        at = moment.at(self._now()).isoformat(timespec="seconds")
        lines = "" if file.reason else "".join(map(_line, file.lines))
        payment = (
            f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{file.message}</OrgnlPmtInfId>{lines}"
            "</OrgnlPmtInfAndSts>"
        )
        return (
            f"{_HEAD}<GrpHdr><MsgId>A{file.message[:31]}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr>"
            f"<OrgnlGrpInfAndSts><OrgnlMsgId>{file.message}</OrgnlMsgId>"
            "<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
            f"<GrpSts>{file.code}</GrpSts>{_why(file.reason)}</OrgnlGrpInfAndSts>"
            f"{payment}</CstmrPmtStsRpt></Document>"
        ).encode()


def read(body: bytes) -> File:
    """A file. Raises ValueError for what is none."""
    try:
        root = fromstring(body)
    except ET.ParseError as wrong:
        raise ValueError("no document") from wrong
    top = _one(root, "CstmrCdtTrfInitn")
    header, payment = _one(top, "GrpHdr"), _one(top, "PmtInf")
    lines = [_read_line(one) for one in payment.findall(_PAIN + "CdtTrfTxInf")]
    file = File(_text(header, "MsgId"), hashlib.sha256(body).digest(), lines)
    for part in (header, payment):
        if _text(part, "NbOfTxs") != str(len(lines)):
            file.reason = WRONG_NUMBER
        elif _fen(_text(part, "CtrlSum")) != sum(line.amount_fen for line in lines):
            file.reason = WRONG_SUM
    if _text(payment, "DbtrAcct/Id/Othr/Id") != ACCOUNT:
        file.reason = NOT_OURS
    return file


def _read_line(one: ET.Element) -> Line:
    amount = _one(one, "Amt/InstdAmt")
    amount_fen = _fen(amount.text or "")
    if amount.get("Ccy") != "CNY" or amount_fen <= 0:
        raise ValueError("not understood")
    return Line(
        no=_text(one, "PmtId/EndToEndId"),
        instruction=_text(one, "PmtId/InstrId"),
        amount_fen=amount_fen,
        name=_text(one, "Cdtr/Nm"),
        account=_text(one, "CdtrAcct/Id/Othr/Id"),
    )


def _shown(file: File, line: Line) -> dict[str, Any]:
    return {
        "file": file.message,
        "no": line.no,
        "instruction": line.instruction,
        "amount": line.amount_fen,
        "name": line.name,
        "account": line.account,
        "paid": bool(line.entry),
        "returned": line.back,
    }


def _line(line: Line) -> str:
    yuan = f"{line.amount_fen // 100}.{line.amount_fen % 100:02d}"
    return (
        f"<TxInfAndSts><OrgnlInstrId>{line.instruction}</OrgnlInstrId>"
        f"<OrgnlEndToEndId>{line.no}</OrgnlEndToEndId><TxSts>{line.code}</TxSts>"
        f'{_why(line.reason)}<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{yuan}</InstdAmt></Amt>'
        "</OrgnlTxRef></TxInfAndSts>"
    )


def _why(reason: str) -> str:
    return f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""


def _fen(text: str) -> int:
    whole, _, rest = text.partition(".")
    if len(rest) != 2:
        raise ValueError("not understood")
    return int(whole) * 100 + int(rest)


def _one(root: ET.Element, path: str) -> ET.Element:
    found = root.findall("/".join(_PAIN + name for name in path.split("/")))
    if len(found) != 1:
        raise ValueError(f"{path} is missing, or there are several")
    return found[0]


def _text(root: ET.Element, path: str) -> str:
    found = _one(root, path).text
    if not found:
        raise ValueError(f"{path} is empty")
    return found


def _json(data: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(data).encode(), "application/json")
