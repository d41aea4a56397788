"""Payouts: pain.001.001.09 written, pain.002 read.

Written by hand: the same payout is the same bytes, whichever library is installed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
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
    """The order to pay a single sum."""
    return batch(one.no, local(one.created_us, "%Y-%m-%d"), [one])


def batch(no: str, day: str, payouts: Sequence[Payout]) -> bytes:
    """The order to pay several sums from one account on a day, under one number.

    Args:
        no: ours; the bank takes a file of this number once.
        day: when they are to leave, `2026-11-23`.
        payouts: all from the same account and written at the same moment.
    """
    us, created_us = payouts[0].us, payouts[0].created_us
    sum_fen = sum(one.amount_fen for one in payouts)
    sums = f"<NbOfTxs>{len(payouts)}</NbOfTxs><CtrlSum>{yuan(sum_fen)}</CtrlSum>"
    name = _text(us.name)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{ORDER}"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>{no}</MsgId>"
        f"<CreDtTm>{local(created_us, '%Y-%m-%dT%H:%M:%S+08:00')}</CreDtTm>{sums}"
        f"<InitgPty><Nm>{name}</Nm></InitgPty></GrpHdr>"
        f"<PmtInf><PmtInfId>{no}</PmtInfId><PmtMtd>TRF</PmtMtd>{sums}"
        f"<ReqdExctnDt><Dt>{day}</Dt></ReqdExctnDt>"
        f"<Dbtr><Nm>{name}</Nm></Dbtr><DbtrAcct>{_account(us)}</DbtrAcct>"
        f"<DbtrAgt>{_agent(us)}</DbtrAgt>"
        f"{''.join(map(_payment, payouts))}</PmtInf></CstmrCdtTrfInitn></Document>"
    ).encode()


def _payment(one: Payout) -> str:
    words = _text(one.words)
    return (
        f"<CdtTrfTxInf><PmtId><InstrId>{one.order_no}</InstrId>"
        f"<EndToEndId>{one.no}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{CNY}">{yuan(one.amount_fen)}</InstdAmt></Amt>'
        + (f"<CdtrAgt>{_agent(one.to)}</CdtrAgt>" if one.to.bank else "")
        + f"<Cdtr><Nm>{_text(one.to.name)}</Nm></Cdtr><CdtrAcct>{_account(one.to)}</CdtrAcct>"
        + (f"<RmtInf><Ustrd>{words}</Ustrd></RmtInf>" if words else "")
        + "</CdtTrfTxInf>"
    )


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
    for part in elements(io.BytesIO(file), STATUS, frozenset({"OrgnlGrpInfAndSts", "TxInfAndSts"})):
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


class BatchStatus(msgspec.Struct, frozen=True):
    """What the bank says of a file: of all of it, and of its sums by their numbers."""

    no: str
    code: str
    reason: str
    payouts: tuple[Status, ...]


def read_batch(file: bytes) -> BatchStatus:
    """The file a pain.002 is about. Raises NotReadableError."""
    no = code = reason = ""
    found: dict[str, Status] = {}
    for part in elements(io.BytesIO(file), STATUS, frozenset({"OrgnlGrpInfAndSts", "TxInfAndSts"})):
        why = text(part, "StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry")
        if name(part) == "OrgnlGrpInfAndSts":
            no, code, reason = text(part, "OrgnlMsgId"), text(part, "GrpSts"), why
            continue
        one, said = text(part, "OrgnlEndToEndId"), text(part, "TxSts")
        if not one or not said or one in found:
            raise NotReadableError("a payout without a number or a status, or one told twice")
        amounts = [fen(tx, "InstdAmt") for tx in part.iterfind("{*}OrgnlTxRef/{*}Amt")]
        found[one] = Status(one, said, why, amounts[0] if amounts else None)
    if not no:
        raise NotReadableError("not about one file")
    return BatchStatus(no, code, reason, tuple(found.values()))


def _account(holder: Holder) -> str:
    return f"<Id><Othr><Id>{_text(holder.account)}</Id></Othr></Id>"


def _agent(holder: Holder) -> str:
    return (
        "<FinInstnId><ClrSysMmbId><ClrSysId><Cd>CNAPS</Cd></ClrSysId>"
        f"<MmbId>{_text(holder.bank)}</MmbId></ClrSysMmbId></FinInstnId>"
    )


def _text(words: str) -> str:
    return escape(_NO_XML.sub("", words).strip()[:_TEXT_MAX], quote=False)
