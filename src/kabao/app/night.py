"""What reports show of the night, read from the slices that work it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.base.db import Conn
from kabao.reports.model.night import OpenItem, Position


class NightBook:
    """`reports.ports.Night` over clearing and reconciliation."""

    async def open_items(self, conn: Conn, day: date, issuer: str | None) -> Sequence[OpenItem]:
        """What was open after a day and still is."""
        return ()

    async def positions(self, conn: Conn, day: date, issuer: str | None) -> Sequence[Position]:
        """Who owes whom after the netting windows that ended on a day."""
        return ()
