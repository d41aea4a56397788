"""Ports: to what the night knows, which reports show and do not work out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from kabao.base.db import Conn
from kabao.reports.model.night import OpenItem, Position


class Night(Protocol):
    """What came of a day's clearing, as it stands now."""

    async def open_items(self, conn: Conn, day: date, issuer: str | None) -> Sequence[OpenItem]:
        """What was open after a day and still is: unmatched lines and breaks, by kind."""
        ...

    async def positions(self, conn: Conn, day: date, issuer: str | None) -> Sequence[Position]:
        """Who owes whom after the netting windows that ended on a day."""
        ...
