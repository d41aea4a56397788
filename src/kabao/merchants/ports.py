"""What the slice needs of a neighbour, handed in by `app`."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn


class People(Protocol):
    """Holders and buyers: one of them may be a cashier."""

    async def company_of(self, conn: Conn, ident: str) -> str:
        """The company that knows a customer. Raises `not_found`."""
        ...
