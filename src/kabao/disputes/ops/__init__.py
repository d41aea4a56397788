"""The verbs of disputes, and the papers about one."""

from kabao.disputes.ops.disputes import Disputes, Wanted
from kabao.disputes.ops.papers import Pack, Papers

__all__ = ["Disputes", "Pack", "Papers", "Wanted"]
