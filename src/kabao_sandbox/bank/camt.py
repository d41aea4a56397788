"""camt.053.001.08 and camt.054.001.08 as a bank writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from xml.sax.saxutils import escape

from kabao_sandbox.bank.model import ACCOUNT, HOLDER, PAYER_BANK, Booked
from kabao_sandbox.party import moment

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"


def statement(entries: Sequence[Booked], opening_fen: int, day: date, number: int) -> bytes:
    """A day."""
    closing_fen = opening_fen + sum(entry.signed_fen for entry in entries)
    body = (
        f"<Stmt><Id>{day:%Y%m%d}-{number}</Id><StmtPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd>"
        f"</StmtPgntn><ElctrncSeqNb>{number}</ElctrncSeqNb>"
        f"<CreDtTm>{day}T23:59:59+08:00</CreDtTm>{_ACCOUNT}"
        f"{_balance('OPBD', opening_fen, day)}{_balance('CLBD', closing_fen, day)}"
        f"{''.join(map(_entry, entries))}</Stmt>"
    )
    return _document("camt.053.001.08", "BkToCstmrStmt", f"S{day:%Y%m%d}{number:06d}", body, day)


def notification(entries: Sequence[Booked], number: int, day: date) -> bytes:
    """Single entries."""
    body = (
        f"<Ntfctn><Id>N{number:012d}</Id><CreDtTm>{day}T00:00:00+08:00</CreDtTm>{_ACCOUNT}"
        f"{''.join(map(_entry, entries))}</Ntfctn>"
    )
    return _document("camt.054.001.08", "BkToCstmrDbtCdtNtfctn", f"N{number:012d}", body, day)


_ACCOUNT = (
    f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>CNY</Ccy>"
    f"<Ownr><Nm>{HOLDER}</Nm></Ownr></Acct>"
)


def _document(kind: str, root: str, message: str, body: str, day: date) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}{kind}"><{root}>'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>{day}T23:59:59+08:00</CreDtTm></GrpHdr>"
        f"{body}</{root}></Document>"
    ).encode()


def _balance(kind: str, fen: int, day: date) -> str:
    way = "CRDT" if fen >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_amount(abs(fen))}"
        f"<CdtDbtInd>{way}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _entry(one: Booked) -> str:
    way = "CRDT" if one.credit else "DBIT"
    reversal = "<RvslInd>true</RvslInd>" if one.reversal else ""
    charge = (
        f'<Chrgs><TtlChrgsAndTaxAmt Ccy="CNY">{_yuan(one.fee_fen)}</TtlChrgsAndTaxAmt></Chrgs>'
        if one.fee_fen
        else ""
    )
    at = moment.at(one.at_us).isoformat(timespec="seconds")
    return (
        f"<Ntry><NtryRef>{one.no}</NtryRef>{_amount(one.amount_fen)}<CdtDbtInd>{way}</CdtDbtInd>"
        f"{reversal}<Sts><Cd>BOOK</Cd></Sts><BookgDt><DtTm>{at}</DtTm></BookgDt>"
        f"<ValDt><Dt>{at[:10]}</Dt></ValDt><AcctSvcrRef>{one.no}</AcctSvcrRef>"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn>"
        f"</BkTxCd>{charge}<NtryDtls><TxDtls>{_details(one, way)}</TxDtls></NtryDtls></Ntry>"
    )


def _details(one: Booked, way: str) -> str:
    owner = f"<AcctOwnrTxId>{one.order}</AcctOwnrTxId>" if one.order else ""
    name, account = escape(one.name), f"<Id><Othr><Id>{escape(one.account)}</Id></Othr></Id>"
    agent = (
        "<FinInstnId><ClrSysMmbId><ClrSysId><Cd>CNAPS</Cd></ClrSysId>"
        f"<MmbId>{PAYER_BANK}</MmbId></ClrSysMmbId></FinInstnId>"
    )
    if one.credit:
        virtual = one.virtual or ACCOUNT
        parties = (
            f"<Dbtr><Pty><Nm>{name}</Nm></Pty></Dbtr><DbtrAcct>{account}</DbtrAcct>"
            f"<CdtrAcct><Id><Othr><Id>{virtual}</Id></Othr></Id></CdtrAcct>"
        )
        agents = f"<DbtrAgt>{agent}</DbtrAgt>"
    else:
        parties = f"<Cdtr><Pty><Nm>{name}</Nm></Pty></Cdtr><CdtrAcct>{account}</CdtrAcct>"
        agents = f"<CdtrAgt>{agent}</CdtrAgt>"
    words = f"<RmtInf><Ustrd>{escape(one.words[:140])}</Ustrd></RmtInf>" if one.words else ""
    back = f"<RtrInf><Rsn><Cd>{one.reason}</Cd></Rsn></RtrInf>" if one.reason else ""
    return (
        f"<Refs><AcctSvcrRef>{one.no}</AcctSvcrRef>"
        + (f"<InstrId>{one.order}</InstrId>" if one.order and not one.credit else "")
        + f"<EndToEndId>{one.end_to_end}</EndToEndId><TxId>{one.original or one.no}</TxId>{owner}"
        f"</Refs>{_amount(one.amount_fen)}<CdtDbtInd>{way}</CdtDbtInd>"
        f"<RltdPties>{parties}</RltdPties><RltdAgts>{agents}</RltdAgts>{words}{back}"
    )


def _amount(fen: int) -> str:
    return f'<Amt Ccy="CNY">{_yuan(fen)}</Amt>'


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
