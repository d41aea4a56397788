"""What a business day came to, read from the journals: what reports are made of."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from kabao.base.db import Conn
from kabao.ledger import sql_reports
from kabao.ledger.model import Purpose
from kabao.ledger.sums import Entry, Hour, Owed, Volume


class DayBook:
    """Reads a day. Each verb is one statement over that day's transfers."""

    async def volumes(self, conn: Conn, day: date) -> list[Volume]:
        """What moved between cards and the house, by all that reports are made of."""
        return await sql_reports.volumes(conn, day)

    async def hours(
        self, conn: Conn, day: date, zone: str, paid: Collection[Purpose]
    ) -> list[Hour]:
        """What cards paid for these purposes, by the hour of a zone's clock."""
        return await sql_reports.hours(conn, day, zone, paid)

    async def owed_before(self, conn: Conn, day: date) -> list[Owed]:
        """What issuers owed to holders when the day began. Reads every transfer before it."""
        return await sql_reports.owed_before(conn, day)

    async def journal(self, conn: Conn, day: date) -> list[Entry]:
        """All transfers of the day, summed by the accounts they are between."""
        return await sql_reports.journal(conn, day)
