"""Verbs of clearing, by subject."""

from __future__ import annotations

from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.ops.checking import Checked, Difference
from kabao.clearing.ops.clearing import Clearing

__all__ = ["Accounts", "Checked", "Clearing", "Difference"]
