"""What payments need of slices above them, handed in by `app`."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn
from kabao.base.web.principal import Principal
from kabao.payments.model import Ask, Reversed


class Sales(Protocol):
    """Sales in a caller's scope that are made of payments, and have keys of their own."""

    async def reverse(self, ask: Ask, original: str) -> Reversed | None:
        """Undo the sale that was made under a key; None if there is none."""
        ...

    async def bar(self, conn: Conn, company: str, original: str) -> bool:
        """Refuse the key from now on; False if a sale was made under it meanwhile."""
        ...


class AllSales(Protocol):
    """The same, before it is known who asks."""

    def seen_by(self, principal: Principal) -> Sales:
        """Those that a key may see."""
        ...
