"""What the slice needs of a neighbour, handed in by `app`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kabao.base.db import Conn
from kabao.merchants.model import TotalLine


class CashTaken(Protocol):
    """Cash at a till that the ledger does not know: it paid for goods, not for value."""

    async def cash_of_shift(self, conn: Conn, shift: str) -> Sequence[TotalLine]:
        """What a shift has taken and given back, as lines of its totals."""
        ...


class People(Protocol):
    """Holders and buyers: one of them may be a cashier."""

    async def company_of(self, conn: Conn, ident: str) -> str:
        """The company that knows a customer. Raises `not_found`."""
        ...
