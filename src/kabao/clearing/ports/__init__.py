"""Ports of clearing: what pays."""

from __future__ import annotations

from kabao.clearing.ports.payouts import Banks, PayoutBank, PaysOut, Through

__all__ = ["Banks", "PayoutBank", "PaysOut", "Through"]
