"""What is booked at a bank."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from kabao_sandbox.party.bills import Row

ACCOUNT, HOLDER, BANK = "110060971018010099999", "百货集团有限公司", "301290000007"
PREFIX = "95588010"
PAYER_BANK = "102100099996"


@dataclass(frozen=True)
class Booked:
    """One entry."""

    no: str
    credit: bool
    amount_fen: int
    fee_fen: int
    at_us: int
    name: str
    reversal: bool = False
    original: str = ""
    virtual: str = ""
    order: str = ""
    end_to_end: str = "NOTPROVIDED"
    words: str = ""
    party_account: str = ""
    reason: str = ""
    """Why it came back."""

    @property
    def account(self) -> str:
        """Of whoever stands opposite; a person has one."""
        return self.party_account or account_of(self.name)

    @property
    def signed_fen(self) -> int:
        """What it does to the balance."""
        return self.amount_fen if self.credit else -self.amount_fen


def account_of(name: str) -> str:
    """Whose name it is has one account."""
    return "6222" + f"{int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10**15:015d}"


def booked(rows: Sequence[Row]) -> list[Booked]:
    """The entries of rows of a day."""
    return [
        Booked(
            no=row.refund_number or row.number,
            credit=not row.refund,
            amount_fen=row.amount_fen,
            fee_fen=0 if row.refund else round(row.fee_mfen / 1_000),
            at_us=row.at_us,
            name=row.payer,
            reversal=row.recall,
            original=row.number,
            virtual="" if row.refund else row.virtual,
            order=row.no,
            end_to_end=row.refund_no or "NOTPROVIDED",
            words=row.subject,
        )
        for row in rows
    ]
