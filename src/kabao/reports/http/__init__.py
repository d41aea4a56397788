"""`/v1/reports/days/…`: a day's report, a store's sheet, a journal to take over."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.web.binding import also
from kabao.base.web.fields import EdgeId
from kabao.base.web.principal import Principal, requires
from kabao.reports.http.desk import Drawn, ReportDesk
from kabao.reports.http.journal import journal_csv
from kabao.reports.http.views import (
    DayView,
    JournalView,
    StoreSheetView,
    day_view,
    journal_view,
    store_view,
)
from kabao.reports.model.drawing import state_note, store_sheet

DRAWN = also("text/html", "application/pdf")
Journal = Annotated[
    Literal["json", "csv"], Meta(description="Vouchers, or their lines one by one.")
]


@get(
    "/v1/reports/days/{day:date}",
    guards=[requires("reports:read")],
    tags=["reports"],
    opt=DRAWN,
)
async def get_day_report(
    principal: Principal,
    report_desk: ReportDesk,
    day: date,
    company: EdgeId | None = None,
    format: Drawn = "json",  # noqa: A002 -- the name of the query parameter
) -> Response[DayView]:
    """A business day: volumes, what cards are worth, who owes whom, what is still open."""
    issuer = report_desk.issuer(principal, company)
    async with report_desk.db.transaction() as conn:
        report = await report_desk.reports.day(conn, day, issuer)
    if format == "json":
        return Response(day_view(report, report_desk.name))
    return report_desk.drawn(report_desk.day_sheet(report), format)


@get(
    "/v1/reports/days/{day:date}/stores/{store:str}",
    guards=[requires("reports:read")],
    tags=["reports"],
    opt=DRAWN,
)
async def get_store_sheet(
    principal: Principal,
    report_desk: ReportDesk,
    day: date,
    store: EdgeId,
    format: Drawn = "json",  # noqa: A002 -- the name of the query parameter
) -> Response[StoreSheetView]:
    """A store's business day, cashier by cashier."""
    found = report_desk.store(principal, store)
    async with report_desk.db.transaction() as conn:
        sheet = await report_desk.reports.store_sheet(conn, day, found.id)
    if format == "json":
        return Response(store_view(sheet, report_desk.name))
    name, state = report_desk.name(found.id), state_note(closed=sheet.closed, agrees=None)
    drawn = store_sheet(name, day, state, sheet.cashiers, sheet.positions, report_desk.name)
    return report_desk.drawn(drawn, format)


@get(
    "/v1/reports/days/{day:date}/journal",
    guards=[requires("reports:read")],
    tags=["reports"],
    opt=also("text/csv"),
)
async def get_day_journal(
    principal: Principal,
    report_desk: ReportDesk,
    day: date,
    company: EdgeId | None = None,
    format: Journal = "json",  # noqa: A002 -- the name of the query parameter
) -> Response[JournalView]:
    """A day's journal as vouchers for the books of a company."""
    issuer = report_desk.issuer(principal, company)
    async with report_desk.db.read() as conn:
        made = await report_desk.reports.vouchers(conn, day, issuer)
    view = journal_view(day, made, report_desk.edge)
    if format == "json":
        return Response(view)
    content: Any = journal_csv(view).encode()
    return Response(
        content,
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="journal-{day}.csv"'},
    )


ROUTES: list[HTTPRouteHandler] = [get_day_report, get_store_sheet, get_day_journal]
