"""What disputes need of above, handed in by `app`."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from kabao.base.db import Conn


class Workdays(Protocol):
    """The official workdays, with what two persons said of them."""

    async def after(self, conn: Conn, day: date, workdays: int) -> date:
        """The n-th workday after a day. Raises `calendar_unknown`."""
        ...
