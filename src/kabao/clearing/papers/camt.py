"""A statement as camt.053.001.08, for a store's own books.

Written by hand: the same statement is the same bytes, whichever library is installed.
"""

from __future__ import annotations

import re
from html import escape

from kabao.clearing.model.settlement import SettlementState
from kabao.clearing.model.statements import Line, Statement
from kabao.clearing.papers import WORDS, Names, yuan

KIND = "camt.053.001.08"
_NAME_CHARS = 140
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def camt(one: Statement, names: Names) -> bytes:
    """The document. The account is the store, as the issuer keeps it."""
    at = f"{one.day}T23:59:59+08:00"
    entries = "".join(_entry(one, no, line) for no, line in enumerate(one.lines, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{KIND}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{one.settlement}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{one.settlement}</Id><CreDtTm>{at}</CreDtTm>"
        f"<Acct><Id><Othr><Id>{one.store}</Id></Othr></Id>"
        f"<Ccy>{one.currency}</Ccy><Nm>{_text(names.store)[:70]}</Nm>"
        f"<Ownr><Nm>{_text(names.company)}</Nm></Ownr></Acct>"
        f"{_balance(one, 'OPBD', one.opening_fen)}{_balance(one, 'CLBD', one.closing_fen)}"
        f"{entries}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _balance(one: Statement, kind: str, fen: int) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_amount(one, fen)}"
        f"<Dt><Dt>{one.day}</Dt></Dt></Bal>"
    )


def _entry(one: Statement, no: int, line: Line) -> str:
    status = "BOOK" if one.state is SettlementState.DUE else "PDNG"
    return (
        f"<Ntry><NtryRef>{one.settlement}-{no}</NtryRef>{_amount(one, line.amount_fen)}"
        f"<Sts><Cd>{status}</Cd></Sts><BookgDt><Dt>{one.day}</Dt></BookgDt>"
        f"<BkTxCd><Prtry><Cd>{line.kind.upper()}</Cd></Prtry></BkTxCd>"
        f"<AddtlNtryInf>{WORDS[line.kind]}</AddtlNtryInf></Ntry>"
    )


def _amount(one: Statement, fen: int) -> str:
    """An amount and its way: a credit is what the store is owed."""
    way = "CRDT" if fen >= 0 else "DBIT"
    return f'<Amt Ccy="{one.currency}">{yuan(abs(fen))}</Amt><CdtDbtInd>{way}</CdtDbtInd>'


def _text(words: str) -> str:
    return escape(_NO_XML.sub("", words).strip()[:_NAME_CHARS], quote=False)
