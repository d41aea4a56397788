"""What disputes need of above, handed in by `app`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

import msgspec

from kabao.base.db import Conn
from kabao.payments.model import Payment


class Workdays(Protocol):
    """The official workdays, with what two persons said of them."""

    async def after(self, conn: Conn, day: date, workdays: int) -> date:
        """The n-th workday after a day. Raises `calendar_unknown`."""
        ...


class Logged(msgspec.Struct, frozen=True):
    """A line of a terminal's log: what was said, and by whom. No card number, no PIN."""

    at: datetime
    what: str
    amount_fen: int | None
    note: str


class TerminalLog(Protocol):
    """What the host of terminals keeps of a payment that was made at one."""

    async def of_payment(self, conn: Conn, payment: Payment) -> Sequence[Logged]:
        """In the order of time; nothing for a payment of another door."""
        ...
