"""Differences of deposits: what two persons agree to, and who executes it."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.clearing.model.deposits import DEPOSIT
from kabao.clearing.ops.deposits import Deposits

DIFFERENCE_ACTION = "cash_difference"
"""What these approvals are called in policy `approval.actions`."""


class CashDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A difference that waits for the second person. Below zero: short."""

    deposit: str
    expected: int
    received: int
    difference: int
    currency: str


class DifferenceSettled(msgspec.Struct, frozen=True):
    """The deposit whose difference was booked."""

    deposit: str


def deposit_executors(deposits: Deposits) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of a difference."""

    async def settle(conn: Conn, asked: CashDifference, approval: Approval) -> DifferenceSettled:
        del approval
        await deposits.settle(conn, from_edge(DEPOSIT, asked.deposit), asked.difference)
        return DifferenceSettled(asked.deposit)

    return [(DIFFERENCE_ACTION, settle, CashDifference)]
