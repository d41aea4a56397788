"""Verbs of clearing, by subject."""

from __future__ import annotations

from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.ops.checking import Checked, Difference
from kabao.clearing.ops.clearing import Clearing
from kabao.clearing.ops.deposits import Deposits
from kabao.clearing.ops.movements import Movements
from kabao.clearing.ops.paying import Paying
from kabao.clearing.ops.payouts import Payouts
from kabao.clearing.ops.statements import Statements

__all__ = [
    "Accounts",
    "Checked",
    "Clearing",
    "Deposits",
    "Difference",
    "Movements",
    "Paying",
    "Payouts",
    "Statements",
]
