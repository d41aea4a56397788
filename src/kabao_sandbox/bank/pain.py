"""Orders to pay (pain.001) as a bank reads them; what it says of them (pain.002.001.10)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped] # it has none

from kabao_sandbox.bank.model import ACCOUNT
from kabao_sandbox.party import moment

_PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"


@dataclass(frozen=True)
class Asked:
    """A payout that is ordered."""

    message: str
    order: str
    amount_fen: int
    name: str
    account: str


def read(body: bytes) -> Asked:
    """The order to pay. Raises ValueError for what is none, or is of another account."""
    try:
        root = fromstring(body)
    except ET.ParseError as wrong:
        raise ValueError("no document") from wrong
    message = _text(root, "CstmrCdtTrfInitn/GrpHdr/MsgId")
    info = "CstmrCdtTrfInitn/PmtInf/"
    if _text(root, info + "DbtrAcct/Id/Othr/Id") != ACCOUNT:
        raise ValueError("not the merchant's account")
    one = info + "CdtTrfTxInf/"
    whole, _, rest = _text(root, one + "Amt/InstdAmt").partition(".")
    amount_fen = int(whole) * 100 + int(rest)
    if _text(root, one + "PmtId/EndToEndId") != message or len(rest) != 2 or amount_fen <= 0:
        raise ValueError("not understood")
    return Asked(
        message,
        _text(root, one + "PmtId/InstrId"),
        amount_fen,
        _text(root, one + "Cdtr/Nm"),
        _text(root, one + "CdtrAcct/Id/Othr/Id"),
    )


def status(asked: Asked, code: str, reason: str, now_us: int) -> bytes:
    """What becomes of it."""
    at = moment.at(now_us).isoformat(timespec="seconds")
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    yuan = f"{asked.amount_fen // 100}.{asked.amount_fen % 100:02d}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>A{asked.message[:31]}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{asked.message}</OrgnlMsgId>"
        "<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts>"
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{asked.message}</OrgnlPmtInfId>"
        f"<TxInfAndSts><OrgnlEndToEndId>{asked.message}</OrgnlEndToEndId><TxSts>{code}</TxSts>{why}"
        f'<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{yuan}</InstdAmt></Amt></OrgnlTxRef>'
        "</TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    ).encode()


def _text(root: ET.Element, path: str) -> str:
    found = root.findall("/".join(_PAIN + name for name in path.split("/")))
    if len(found) != 1 or not found[0].text:
        raise ValueError(f"{path} is missing, or there are several")
    return found[0].text
