"""The verbs of reports: a day, a store's sheet, a journal for the books of a company."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.ledger.ops import Ledger
from kabao.ledger.sums import Owed
from kabao.reports import sql
from kabao.reports.model.figures import (
    DAY_UNKNOWN,
    PAID,
    DayBooks,
    Figures,
    PlaceLine,
    books,
    cashiers,
    rolls,
)
from kabao.reports.model.night import OpenItem, Position
from kabao.reports.model.vouchers import Voucher, vouchers
from kabao.reports.ports import Night

_AT_ONCE = 31
"""Closed days that one round keeps."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A day, of one issuer's cards or of all. `closed`: its books can change no more."""

    day: date
    closed: bool
    issuer: str | None
    digest: bytes
    """Of the figures of all issuers."""
    agrees: bool | None
    """Whether a closed day's figures are those that were kept of it; None: nothing is kept yet."""
    books: DayBooks
    open_items: list[OpenItem]
    positions: list[Position]


class StoreSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A store's day, cashier by cashier."""

    day: date
    closed: bool
    store: str
    cashiers: list[PlaceLine]
    positions: list[Position]


class Reports:
    """Reads the journal of a day and says what it came to."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        night: Night,
        clock: Clock,
        days: BusinessDays,
        zone: str,
    ) -> None:
        self._db, self._ledger, self._night = db, ledger, night
        self._clock, self._days, self._zone = clock, days, zone

    async def day(self, conn: Conn, day: date, issuer: str | None = None) -> Report:
        """A day's report, by one reading: `conn` is in a transaction that has not begun to read.

        Raises `report_day_unknown` for a day that has not begun.
        """
        await sql.one_reading(conn)
        closed = await self._closed(conn, day)
        figures = await self._figures(conn, day)
        kept = await sql.kept(conn, day)
        digest = figures.digest()
        return Report(
            day=day,
            closed=closed,
            issuer=issuer,
            digest=digest,
            agrees=None if kept is None else kept.digest == digest,
            books=books(figures, issuer),
            open_items=list(await self._night.open_items(conn, day, issuer)),
            positions=list(await self._night.positions(conn, day, issuer)),
        )

    async def store_sheet(self, conn: Conn, day: date, store: str) -> StoreSheet:
        """A store's day, by one reading as `day` is. Raises `report_day_unknown`."""
        await sql.one_reading(conn)
        closed = await self._closed(conn, day)
        figures = await self._figures(conn, day)
        return StoreSheet(
            day=day,
            closed=closed,
            store=store,
            cashiers=cashiers(figures, store),
            positions=[
                one for one in await self._night.positions(conn, day, None) if one.store == store
            ],
        )

    async def vouchers(self, conn: Conn, day: date, issuer: str | None) -> list[Voucher]:
        """A day's journal as vouchers, of one issuer or of all. Raises `report_day_unknown`."""
        await self._closed(conn, day)
        entries = await self._ledger.daybook.journal(conn, day)
        return vouchers(day, [one for one in entries if issuer in {None, one.issuer}])

    async def keep_due(self) -> int:
        """Keep what closed days came to, in their order; for a tick. Gives how many."""
        async with self._db.transaction() as conn:
            last = await sql.last_kept(conn)
            closed = await self._ledger.closed_days(conn, limit=_AT_ONCE)
            due = sorted(d.business_date for d in closed if last is None or d.business_date > last)
            for day in due:
                figures = await self._figures(conn, day)
                rolled = rolls(figures.openings, figures.volumes)
                await sql.keep(conn, day, rolled, figures.digest(), now(self._clock))
        return len(due)

    async def _figures(self, conn: Conn, day: date) -> Figures:
        return Figures(
            day,
            openings=await self._openings(conn, day),
            volumes=await self._ledger.daybook.volumes(conn, day),
            hours=await self._ledger.daybook.hours(conn, day, self._zone, PAID),
        )

    async def _openings(self, conn: Conn, day: date) -> list[Owed]:
        """The closings of the day before, where they are kept: else every transfer is read."""
        before = await sql.kept(conn, day - timedelta(days=1))
        if before is None:
            return await self._ledger.daybook.owed_before(conn, day)
        return [Owed(roll.issuer, roll.currency, roll.closing_fen) for roll in before.rolls]

    async def _closed(self, conn: Conn, day: date) -> bool:
        if day > self._days.of(self._clock.now_us()):
            raise DAY_UNKNOWN.error(f"{day} has not begun.", field="day")
        last = await self._ledger.closed_days(conn, limit=1)
        return bool(last) and day <= last[0].business_date
