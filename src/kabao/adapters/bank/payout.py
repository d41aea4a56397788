"""Payouts: pain.001.001.09 written, pain.002 read.

Written by hand: the same payout is the same bytes, whichever library is installed.
"""

from __future__ import annotations

import re
from html import escape

import msgspec

from kabao.adapters.bank.entries import CNY, fen
from kabao.adapters.bank.xml import NotReadableError, elements, name, text
from kabao.adapters.figures import local, yuan

ORDER, STATUS = "pain.001.001.09", "pain.002.001."
_TEXT_MAX = 140
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
DONE = frozenset({"ACSC", "ACCC"})
UNDER_WAY = frozenset({"RCVD", "ACTC", "ACCP", "ACSP", "ACWC", "PDNG"})
REFUSED = frozenset({"RJCT", "CANC"})


class Holder(msgspec.Struct, frozen=True):
    """Whose account it is, and where."""

    name: str
    account: str
    bank: str
    """Its number in the clearing system, CNAPS; empty for the same bank."""


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """One sum to be paid."""

    no: str
    """Ours; the bank pays the same number once."""
    order_no: str
    """The order whose money goes back."""
    amount_fen: int
    created_us: int
    words: str
    us: Holder
    to: Holder


def written(one: Payout) -> bytes:
    """The order to pay."""
    amount = yuan(one.amount_fen)
    sums = f"<NbOfTxs>1</NbOfTxs><CtrlSum>{amount}</CtrlSum>"
    us, to = _text(one.us.name), _text(one.to.name)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{ORDER}"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>{one.no}</MsgId>"
        f"<CreDtTm>{local(one.created_us, '%Y-%m-%dT%H:%M:%S+08:00')}</CreDtTm>{sums}"
        f"<InitgPty><Nm>{us}</Nm></InitgPty></GrpHdr>"
        f"<PmtInf><PmtInfId>{one.no}</PmtInfId><PmtMtd>TRF</PmtMtd>{sums}"
        f"<ReqdExctnDt><Dt>{local(one.created_us, '%Y-%m-%d')}</Dt></ReqdExctnDt>"
        f"<Dbtr><Nm>{us}</Nm></Dbtr><DbtrAcct>{_account(one.us)}</DbtrAcct>"
        f"<DbtrAgt>{_agent(one.us)}</DbtrAgt>"
        f"<CdtTrfTxInf><PmtId><InstrId>{one.order_no}</InstrId>"
        f"<EndToEndId>{one.no}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{CNY}">{amount}</InstdAmt></Amt>'
        + (f"<CdtrAgt>{_agent(one.to)}</CdtrAgt>" if one.to.bank else "")
        + f"<Cdtr><Nm>{to}</Nm></Cdtr><CdtrAcct>{_account(one.to)}</CdtrAcct>"
        + (f"<RmtInf><Ustrd>{_text(one.words)}</Ustrd></RmtInf>" if _text(one.words) else "")
        + "</CdtTrfTxInf></PmtInf></CstmrCdtTrfInitn></Document>"
    ).encode()


class Status(msgspec.Struct, frozen=True):
    """What the bank says of a payout."""

    no: str
    code: str
    reason: str
    amount_fen: int | None


def read(file: bytes) -> Status:
    """The one payout a pain.002 is about. Raises NotReadableError."""
    no = code = reason = ""
    amount_fen = None
    payments = 0
    for part in elements(file, STATUS, frozenset({"OrgnlGrpInfAndSts", "TxInfAndSts"})):
        if name(part) == "OrgnlGrpInfAndSts":
            no = text(part, "OrgnlMsgId")
        else:
            payments += 1
            if text(part, "OrgnlEndToEndId") not in {"", no}:
                raise NotReadableError("a payout we did not order")
            if text(part, "OrgnlTxRef/Amt/InstdAmt"):
                amount_fen = fen(next(iter(part.iterfind("{*}OrgnlTxRef/{*}Amt"))), "InstdAmt")
        code = text(part, "TxSts", "GrpSts") or code
        reason = text(part, "StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry") or reason
    if not no or not code or payments > 1:
        raise NotReadableError("not about one payout")
    return Status(no, code, reason, amount_fen)


def _account(holder: Holder) -> str:
    return f"<Id><Othr><Id>{_text(holder.account)}</Id></Othr></Id>"


def _agent(holder: Holder) -> str:
    return (
        "<FinInstnId><ClrSysMmbId><ClrSysId><Cd>CNAPS</Cd></ClrSysId>"
        f"<MmbId>{_text(holder.bank)}</MmbId></ClrSysMmbId></FinInstnId>"
    )


def _text(words: str) -> str:
    return escape(_NO_XML.sub("", words).strip()[:_TEXT_MAX], quote=False)
