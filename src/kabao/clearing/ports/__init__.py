"""Ports of clearing: what pays."""

from __future__ import annotations

from kabao.clearing.ports.payouts import BankOf, PayoutBank, PaysOut

__all__ = ["BankOf", "PayoutBank", "PaysOut"]
