"""Netting runs as they are kept, and what they leave for the next."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.clearing.model.netting import RunInputs, RunResult

PROVISIONAL = 0
"""The number of a window's first run: computed at its soft close, and posted nowhere."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the bytes of what went in and what came out (X-09)."""

    id: str
    window: str
    no: int
    inputs: bytes
    inputs_digest: bytes
    result: bytes
    result_digest: bytes
    operation_company: str | None
    """Under whose name the ledger keeps its operation; None: it moved nothing."""
    run_at: datetime

    @property
    def key(self) -> str:
        """Its key in the ledger."""
        return f"netting/{self.id}"

    def read_inputs(self) -> RunInputs:
        """What went in."""
        return msgspec.json.decode(self.inputs, type=RunInputs)

    def read_result(self) -> RunResult:
        """What came out."""
        return msgspec.json.decode(self.result, type=RunResult)


class CarryReason(StrEnum):
    """Why something waits for the next run."""

    MINIMUM = "minimum"  # too little to pay
    NEGATIVE = "negative"  # the store owes
    ADJUSTMENT = "adjustment"  # a correction of a closed day


class Carry(msgspec.Struct, frozen=True, kw_only=True):
    """An amount on PAYABLE that the next run takes up. Below zero: owed to the debtor."""

    id: str
    debtor: str
    owner: str
    """Whose PAYABLE it is on: a store, or a company that is paid."""
    company: str
    currency: str
    amount_fen: int
    reason: CarryReason
    for_date: date
    from_run: str | None
    into_run: str | None = None
    noted_at: datetime
