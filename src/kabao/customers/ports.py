"""What other parts of Kabao hand in."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn
from kabao.customers.model import Look


class OnLook(Protocol):
    """Told of every look at a customer, within the transaction of the look.

    If it raises, nothing is shown. `app` binds it to the operator audit log.
    """

    async def __call__(self, conn: Conn, look: Look) -> None:
        """Write the look down."""
        ...


async def unlogged(conn: Conn, look: Look) -> None:
    """For processes in which nobody looks."""
