"""Payouts: an instruction paid through a bank, and what became of it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.clearing.model.accounts import SettlementAccount
from kabao.clearing.model.batches import Fate
from kabao.clearing.model.settlement import Instruction
from kabao.ledger.model import Account, HouseMove, Purpose

PAYOUT, BATCH = "pyo", "pyb"
"""Prefixes at the edge."""

RULE = "P-05"

PARTS_MAX = 5_000
"""How many sums one file has at most; what is left goes into the next release."""

CONTRADICTED = "contradicted"
"""The reason of a payout about which its bank said one thing and then another."""

LEFT_OUT = "left_out"
"""The reason of a payout that was taken out of its file before that was sent."""

BREAKS = frozenset(
    {"AC01", "AC03", "AC04", "AC06", "AC07", "AC12", "AC14", "BE01", "BE04", "BE06", "BE22"}
)
"""Reasons of a no that speak against the payee's account or name, ISO 20022."""

NOTHING_TO_PAY = code(
    "nothing_to_pay", Kind.REFUSED, "Nothing is due that could be paid to an account."
)
RELEASE_CHANGED = code(
    "release_changed", Kind.CONFLICT, "What is due is not what was asked for any more."
)


class PayoutState(StrEnum):
    """How far a payout has come. Only `ordered` is still open."""

    ORDERED = "ordered"  # in a file that the bank has, or will have
    PAID = "paid"
    REJECTED = "rejected"  # it never left
    RETURNED = "returned"  # it left, and came back


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at an instruction. Another attempt is another payout with its own number."""

    id: str
    """The number under which the bank pays it once."""
    instruction: str
    attempt: int
    batch: str
    payer: str
    payee_company: str
    payee_store: str | None
    account: str
    currency: str
    amount_fen: int
    state: PayoutState
    reason: str | None
    """Of a no, or a return, in ISO 20022's codes; or `left_out`."""
    created_at: datetime
    paid_at: datetime | None
    ended_at: datetime | None
    """When it was rejected or came back."""

    @property
    def payee(self) -> str:
        """Who is paid."""
        return self.payee_store or self.payee_company

    @property
    def left_out(self) -> bool:
        """Whether its file went without it."""
        return self.state is PayoutState.REJECTED and self.reason == LEFT_OUT


class BatchState(StrEnum):
    """How far a file has come."""

    MADE = "made"  # agreed to by two persons
    SENT = "sent"  # it may be at the bank; what became of it is asked
    ANSWERED = "answered"  # the bank has spoken of every sum


class PayoutBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A file of payouts of one company. Its bytes are not kept: they follow from its rows."""

    id: str
    """The number under which the bank takes it once."""
    company: str
    day: date
    """When it is to leave."""
    currency: str
    payouts: int
    amount_fen: int
    state: BatchState
    channel: str | None
    """Through which it was sent: only that bank knows what became of it."""
    digest: bytes | None
    """SHA-256 of the file, from when it was first sent."""
    asked: int
    ask_at: datetime | None
    """When it is sent or asked about; None: nothing is open."""
    approval: str
    created_at: datetime
    sent_at: datetime | None
    heard_at: datetime | None = None
    """When the bank first told of it: from then on it is never sent again."""


class Payable(msgspec.Struct, frozen=True):
    """What one company could pay out now."""

    ready: tuple[Instruction, ...]
    blocked: tuple[Instruction, ...]
    """Their payees have no account that money could go to."""
    accounts: Mapping[str, SettlementAccount]
    """Where what is ready would go, by payee."""

    @property
    def amount_fen(self) -> int:
        """All that is ready."""
        return sum(one.amount_fen for one in self.ready)

    @property
    def digest(self) -> str:
        """Hex, of what is ready: what is agreed to is what was asked for."""
        return digest_of((one, self.accounts[one.payee].id) for one in self.ready)


def digest_of(paid: Iterable[tuple[Instruction, str]]) -> str:
    """SHA-256, hex, of ids, amounts and the accounts they would go to, whatever their order."""
    lines = sorted(f"{one.id} {one.amount_fen} {account}" for one, account in paid)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def steps(state: PayoutState, fate: Fate) -> tuple[PayoutState, ...] | None:
    """The states a payout goes through because a bank has said so.

    None: the bank contradicts what it said before. Nothing is booked, and a person looks.
    """
    match state, fate:
        case _, Fate.UNDER_WAY:
            return ()
        case PayoutState.ORDERED, Fate.RETURNED:
            return PayoutState.PAID, PayoutState.RETURNED
        case (PayoutState.ORDERED, Fate.PAID | Fate.REJECTED) | (PayoutState.PAID, Fate.RETURNED):
            return (PayoutState(fate.value),)
        case PayoutState.RETURNED, Fate.PAID:
            return ()
    return () if state == fate.value else None


def ordered(payout: Payout) -> HouseMove:
    """It is in a file: no longer payable, and not paid either."""
    return _move(payout, Account.PAYABLE, Account.UNDER_WAY, Purpose.PAYOUT)


def told(payout: Payout, becomes: PayoutState) -> HouseMove:
    """What the books say of what the bank has said."""
    match becomes:
        case PayoutState.PAID:
            return _move(payout, Account.UNDER_WAY, Account.BANK, Purpose.PAYOUT)
        case PayoutState.REJECTED:
            return _move(payout, Account.UNDER_WAY, Account.PAYABLE, Purpose.PAYOUT_RETURN)
        case PayoutState.RETURNED:
            return _move(payout, Account.BANK, Account.PAYABLE, Purpose.PAYOUT_RETURN)
        case PayoutState.ORDERED:
            return ordered(payout)


def _move(payout: Payout, debit: Account, credit: Account, purpose: Purpose) -> HouseMove:
    return HouseMove(
        debit=debit,
        debit_owner=_owner(payout, debit),
        credit=credit,
        credit_owner=_owner(payout, credit),
        amount_fen=payout.amount_fen,
        purpose=purpose,
        issuer=payout.payer,
        currency=payout.currency,
        related=payout.id,
    )


def _owner(payout: Payout, account: Account) -> str:
    return payout.payer if account is Account.BANK else payout.payee


def breaks_account(reason: str) -> bool:
    """Whether a no to a sum speaks against its payee's account."""
    return reason in BREAKS
