"""The verbs of kiosks."""

from kabao.kiosks.ops.boxes import BOX
from kabao.kiosks.ops.kiosks import Kiosks
from kabao.kiosks.ops.loads import KioskCredit
from kabao.kiosks.ops.payouts import PAYOUT, SESSION, FromDrawer, KioskPayout

__all__ = ["BOX", "PAYOUT", "SESSION", "FromDrawer", "KioskCredit", "KioskPayout", "Kiosks"]
