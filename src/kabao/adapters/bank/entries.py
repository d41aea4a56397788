"""The entries of statements and notifications (camt.052 to 054): what came and what left."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import msgspec

from kabao.adapters.bank.xml import NotReadableError, below, text
from kabao.adapters.figures import fen_of, mfen_of, us_of, us_of_rfc3339
from kabao.funding.model.receipts import REFERENCE_DIGITS, is_reference
from kabao.reconciliation.model.lines import BILL_CURRENCY

CNY = "CNY"
BOOKED = "BOOK"
_WAYS = {"CRDT": True, "DBIT": False}
_DIGITS = re.compile(r"\d+", re.ASCII)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One booked sum."""

    no: str
    """The bank's number of it."""
    came: bool
    """To us; else it left."""
    amount_fen: int
    fee_mfen: int
    at_us: int
    reversal: bool = False
    """It undoes an earlier one: a credit that is taken back, a payout that came back."""
    original: str = ""
    """The number of the entry that a reversal undoes."""
    account: str = ""
    """The virtual account it came to."""
    order_no: str = ""
    """What we had named the virtual account, or a payout, after."""
    refund_no: str = ""
    """Our number of a payout."""
    words: str = ""
    """What the payer wrote."""
    party: str = ""
    """Who stands opposite; personal data, as is their account."""
    party_account: str = ""
    party_bank: str = ""
    reason: str = ""
    """Why it came back, in ISO 20022's codes."""

    @property
    def reference(self) -> str:
        """That of the virtual account, or the only one among the payer's words."""
        tail = self.account[-REFERENCE_DIGITS:]
        if is_reference(tail):
            return tail
        found = {run for run in _DIGITS.findall(self.words) if is_reference(run)}
        return found.pop() if len(found) == 1 else ""


def entries(entry: ET.Element) -> Iterator[Entry]:
    """The sums of an `Ntry`: itself, or each of its transactions where the bank booked them as one.

    Raises:
        NotReadableError: an amount, a way or a moment is missing or not understood, or the
            transactions do not add up to what was booked.
    """
    if text(entry, "Sts/Cd", "Sts") != BOOKED:
        return
    amount_fen = fen(entry, "Amt")
    details = list(below(entry, "NtryDtls/TxDtls"))
    if len(details) <= 1:
        yield _entry(entry, details[0] if details else entry, amount_fen, 0)
        return
    parts = [_part_fen(one) for one in details]
    if sum(parts) != amount_fen:
        raise NotReadableError("the transactions do not add up to their entry")
    for at, (one, part_fen) in enumerate(zip(details, parts, strict=True), 1):
        yield _entry(entry, one, part_fen, at)


def fen(element: ET.Element, path: str) -> int:
    """An amount in our currency. Raises NotReadableError."""
    found = list(below(element, path))
    if len(found) != 1:
        raise NotReadableError("not one amount")
    if found[0].get("Ccy") != CNY:
        raise NotReadableError("an amount in another currency", BILL_CURRENCY)
    try:
        amount_fen = fen_of(found[0].text or "")
    except ValueError:
        raise NotReadableError("an amount cannot be read") from None
    if amount_fen < 0:
        raise NotReadableError("a negative amount")
    return amount_fen


def _part_fen(one: ET.Element) -> int:
    """Of one transaction; up to version 03 it stands elsewhere."""
    return fen(one, "Amt" if any(below(one, "Amt")) else "AmtDtls/TxAmt/Amt")


def came(element: ET.Element) -> bool:
    """Whether `CdtDbtInd` says that it is ours. Raises NotReadableError."""
    way = _WAYS.get(text(element, "CdtDbtInd"))
    if way is None:
        raise NotReadableError("neither credit nor debit")
    return way


def _entry(entry: ET.Element, one: ET.Element, amount_fen: int, at: int) -> Entry:
    is_ours, reversal = came(entry), text(entry, "RvslInd") in {"true", "1"}
    booked = text(entry, "AcctSvcrRef", "NtryRef")
    no = text(one, "Refs/AcctSvcrRef") or (f"{booked}/{at}" if at and booked else booked)
    if not no:
        raise NotReadableError("an entry without a number")
    opposite, agent = ("Dbtr", "DbtrAgt") if is_ours else ("Cdtr", "CdtrAgt")
    return Entry(
        no=no,
        came=is_ours,
        amount_fen=amount_fen,
        fee_mfen=_fee_mfen(one if at else entry),
        at_us=_at_us(entry),
        reversal=reversal,
        original=text(one, "Refs/TxId"),
        account=text(one, "RltdPties/CdtrAcct/Id/Othr/Id") if is_ours else "",
        order_no=text(one, "Refs/AcctOwnrTxId", "Refs/InstrId"),
        refund_no="" if is_ours and not reversal else text(one, "Refs/EndToEndId"),
        words=" ".join(found.text or "" for found in below(one, "RmtInf/Ustrd")),
        party=text(one, f"RltdPties/{opposite}/Pty/Nm", f"RltdPties/{opposite}/Nm"),
        party_account=text(
            one, f"RltdPties/{opposite}Acct/Id/Othr/Id", f"RltdPties/{opposite}Acct/Id/IBAN"
        ),
        party_bank=text(one, f"RltdAgts/{agent}/FinInstnId/ClrSysMmbId/MmbId"),
        reason=text(one, "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry"),
    )


def _fee_mfen(element: ET.Element) -> int:
    written = text(element, "Chrgs/TtlChrgsAndTaxAmt")
    try:
        return mfen_of(written) if written else 0
    except ValueError:
        raise NotReadableError("a charge cannot be read") from None


def _at_us(entry: ET.Element) -> int:
    """When it was booked; the beginning of that day where only the day is told."""
    moment, day = text(entry, "BookgDt/DtTm"), text(entry, "BookgDt/Dt")
    try:
        if moment:
            return _moment_us(moment)
        return us_of(day, "%Y-%m-%d")
    except ValueError:
        raise NotReadableError("an entry without a moment") from None


def _moment_us(written: str) -> int:
    """With an offset, or in Shanghai's time where a bank leaves it out. Raises ValueError."""
    try:
        return us_of_rfc3339(written)
    except ValueError:
        return us_of(written.partition(".")[0], "%Y-%m-%dT%H:%M:%S")
