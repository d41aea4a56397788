"""The verbs of reconciliation."""

from kabao.reconciliation.ops.reconciliation import Reconciliation

__all__ = ["Reconciliation"]
