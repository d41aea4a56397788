"""The verbs of reconciliation."""

from kabao.reconciliation.ops.channels import ChannelBills, Channels
from kabao.reconciliation.ops.reconciliation import Reconciliation, Tried

__all__ = ["ChannelBills", "Channels", "Reconciliation", "Tried"]
