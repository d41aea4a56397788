"""What evidence needs of slices beside and above it, handed in by `app`."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn
from kabao.base.web.principal import Principal
from kabao.cards.claims import By
from kabao.payments.model import Payment, Returned


class Returning(Protocol):
    """Refunds to a new card."""

    async def give_back(
        self, conn: Conn, payment: Payment, amount_fen: int | None, by: By
    ) -> Returned:
        """Refund part or all of a payment to a new card of its programme."""
        ...


class Diary(Protocol):
    """The operator audit log."""

    async def note(
        self, conn: Conn, by: Principal, verb: str, subject: str, reason: str = ""
    ) -> None:
        """Write down who did what, last in the transaction that does it."""
        ...
