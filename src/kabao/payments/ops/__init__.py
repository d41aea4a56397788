"""The verbs of paying, the same for every door."""

from __future__ import annotations

from kabao.payments.model import Ask
from kabao.payments.ops.paying import STALE_TRIES, within
from kabao.payments.ops.payments import Payments
from kabao.payments.ops.reading import limits_of

__all__ = ["STALE_TRIES", "Ask", "Payments", "limits_of", "within"]
