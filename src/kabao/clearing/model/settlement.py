"""What is settled, and the payments it becomes."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

SETTLEMENT, INSTRUCTION, WINDOW = "set", "ins", "win"
RUN, CARRY, RULE = "nrn", "cry", "srl"
"""Prefixes of ids at the edge."""


class SettlementState(StrEnum):
    """From the figures of the night to what is paid."""

    PROVISIONAL = "provisional"  # computed after the cut, nothing posted
    KEPT_OUT = "kept_out"  # a source of its day does not agree: waits, the others settle
    DUE = "due"  # final and posted; its instructions are paid from `due_on` on


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer owes a store for one window, in one currency. Amounts in fen."""

    id: str
    window: str
    day: date
    """The day its window ended on."""
    issuer: str
    store: str
    company: str
    """The store's."""
    currency: str
    redeemed_fen: int
    given_back_fen: int
    fee_fen: int
    fee_returned_fen: int
    cash_fen: int
    """Cash of the issuer that the store keeps."""
    transfers: int
    state: SettlementState
    run: str | None = None
    due_on: date | None = None

    @property
    def amount_fen(self) -> int:
        """What the issuer owes; below zero: what the store owes."""
        fees = self.fee_fen - self.fee_returned_fen
        return self.redeemed_fen - self.given_back_fen - fees - self.cash_fen


class InstructionState(StrEnum):
    """What has become of a payment."""

    DUE = "due"
    RELEASED = "released"  # two persons agreed
    SENT = "sent"  # the bank has it; its answer is awaited
    PAID = "paid"
    RETURNED = "returned"  # the bank sent it back: owed again
    HELD = "held"  # owed again by what a bank said first, and it says otherwise now: not released
    CARRIED = "carried"  # under the least amount that is paid: it waits for the next run


class Instruction(msgspec.Struct, frozen=True):
    """One payment that a netting run asks for. Amounts in fen, never zero or less."""

    id: str
    window: str
    payer_company: str
    payee_store: str | None
    """The store, where it has an account of its own; None: its company is paid."""
    payee_company: str
    currency: str
    amount_fen: int
    due_on: date
    state: InstructionState
    settlement_ids: tuple[str, ...]
    """The settlements of the run whose money the payee is paid here, among others."""

    @property
    def payee(self) -> str:
        """Owner of the account PAYABLE that it is paid from (issuer there: the payer)."""
        return self.payee_store or self.payee_company
