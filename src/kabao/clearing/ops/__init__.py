"""Verbs of clearing, by subject."""

from __future__ import annotations

from kabao.clearing.ops.accounts import Accounts

__all__ = ["Accounts"]
