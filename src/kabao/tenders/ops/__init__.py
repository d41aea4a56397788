"""The verbs of payment orders. Each is one transaction: the order is locked first,
then the roots of its cards, and everything is stored together.
"""

from __future__ import annotations

from kabao.tenders.ops.tendering import Covers, NewOrder, NewTender
from kabao.tenders.ops.tenders import Tenders

__all__ = ["Covers", "NewOrder", "NewTender", "Tenders"]
