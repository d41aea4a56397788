"""Deposits (解款): cash of a store's cashiers, handed over in bags, as the bank counted it. Pure.

A bag holds what cards were loaded with, less what they were paid out in cash. A shop's own
takings are no business of this platform, and go in another bag.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.funding.model.receipts import reference_of
from kabao.ledger.model import Account, HouseMove, Purpose

DEPOSIT = "dep"
"""Prefix at the edge."""

RULE = "C-05"
SHIFTS_MAX = 100

SHIFT_STILL_OPEN = code(
    "shift_still_open", Kind.REFUSED, "A shift's cash is handed over once its drawer was counted."
)
SHIFT_DEPOSITED = code(
    "shift_deposited", Kind.CONFLICT, "The cash of this shift was handed over already."
)
CASH_NETTED = code(
    "cash_is_netted",
    Kind.CONFLICT,
    "The store keeps this cash and is paid that much less: it is no deposit.",
)
NO_DIFFERENCE = code(
    "no_difference", Kind.REFUSED, "This deposit has no difference that waits for anybody."
)


class DepositState(StrEnum):
    """How far a bag has come."""

    HANDED_OVER = "handed_over"  # on its way; the bank has not booked it
    MATCHED = "matched"  # the bank booked what there should be
    DIFFERS = "differs"  # the bank booked more or less: a case
    SETTLED = "settled"  # two persons agreed to the difference


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """One bag. Amounts in fen."""

    id: str
    reference: str
    """12 digits, the last checks: whoever pays it in writes them for the bank."""
    company: str
    """Whose account it is paid into: the issuer whose cards were loaded."""
    store: str
    currency: str
    day: date
    """The business day it was handed over on."""
    declared_fen: int
    """What the store says is in it."""
    expected_fen: int
    """What the books say its shifts have taken for cards of `company`; without shifts, what was
    declared."""
    received_fen: int | None
    """What the bank booked."""
    receipt: str | None
    """The bank's number of that entry."""
    state: DepositState
    created_at: datetime
    received_at: datetime | None

    @property
    def difference_fen(self) -> int | None:
        """Over, or below zero short; None while the bank has booked nothing."""
        return None if self.received_fen is None else self.received_fen - self.expected_fen


def new_reference(ident: str) -> str:
    """What is written for the bank: found again by `receipts` as that of an order would be."""
    return reference_of(ident)


def paid_in(deposit: Deposit, amount_fen: int) -> HouseMove:
    """The bank has booked it: what it counted, whatever was declared."""
    return _move(deposit, Account.BANK, Account.CASH, amount_fen, Purpose.DEPOSIT)


def difference(deposit: Deposit) -> HouseMove:
    """What two persons agree was short, or over: then the store's cash is what it should be."""
    difference_fen = deposit.difference_fen
    assert difference_fen, "a deposit that differs"
    short = difference_fen < 0
    debit, credit = Account.CASH_DIFFERENCE, Account.CASH
    if not short:
        debit, credit = credit, debit
    return _move(deposit, debit, credit, abs(difference_fen), Purpose.CASH_DIFFERENCE)


def _move(
    deposit: Deposit, debit: Account, credit: Account, amount_fen: int, purpose: Purpose
) -> HouseMove:
    owners = {Account.BANK: deposit.company}
    return HouseMove(
        debit=debit,
        debit_owner=owners.get(debit, deposit.store),
        credit=credit,
        credit_owner=owners.get(credit, deposit.store),
        amount_fen=amount_fen,
        purpose=purpose,
        issuer=deposit.company,
        currency=deposit.currency,
        related=deposit.id,
        for_date=deposit.day,
    )
