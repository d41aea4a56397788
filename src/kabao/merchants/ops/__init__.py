"""The verbs of the slice: `Merchants`, and its `fees`."""

from kabao.merchants.ops.fees import Fees
from kabao.merchants.ops.merchants import Merchants

__all__ = ["Fees", "Merchants"]
