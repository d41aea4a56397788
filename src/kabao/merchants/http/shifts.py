"""`/v1/shifts`."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import AmountOrZero, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import (
    CASHIER,
    SHIFT,
    STORE,
    TERMINAL,
    after,
    once_and_refresh,
    require_visible,
    stores_to_list,
    visible_shift,
)
from kabao.merchants.http.totals import TotalsView, report_view
from kabao.merchants.model import Shift, ZReport
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


class OpenShift(RequestBody, frozen=True):
    """A cashier begins at a terminal of the own store, with so much in the drawer.

    A drawer with a float is counted at the end.
    """

    cashier: EdgeId
    terminal: EdgeId
    float: AmountOrZero = 0


class CloseShift(RequestBody, frozen=True):
    """What the cashier found in the drawer, unless it was counted (`/counts`): with the float if
    one was said, else beyond what it held at the beginning.
    """

    cash: AmountOrZero | None = None


class ShiftView(msgspec.Struct, frozen=True):
    """One cashier at one terminal."""

    id: str
    store: str
    cashier: str
    terminal: str
    opened_at: str
    closed_at: str | None


class ClosedShiftView(msgspec.Struct, frozen=True):
    """A closed shift with its Z report."""

    id: str
    store: str
    cashier: str
    terminal: str
    opened_at: str
    closed_at: str | None
    z_report: TotalsView


def _view(shift: Shift) -> ShiftView:
    return ShiftView(
        id=to_edge(SHIFT, shift.id),
        store=to_edge(STORE, shift.store),
        cashier=to_edge(CASHIER, shift.cashier),
        terminal=to_edge(TERMINAL, shift.terminal),
        opened_at=rfc3339(to_us(shift.opened_at)),
        closed_at=None if shift.closed_at is None else rfc3339(to_us(shift.closed_at)),
    )


def _closed_view(shift: Shift, report: ZReport) -> ClosedShiftView:
    return ClosedShiftView(**msgspec.structs.asdict(_view(shift)), z_report=report_view(report))


@post("/v1/shifts", guards=[requires("shifts:write")])
async def open_shift(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: OpenShift,
    once: Once,
    org: Org,
    merchants: Merchants,
) -> Response[ShiftView]:
    """Open a shift."""

    async def work(conn: Conn) -> ShiftView:
        cashier = await merchants.get_cashier(
            conn, from_edge(CASHIER, data.cashier, field="cashier")
        )
        await require_visible(conn, principal, org, cashier.store, field="cashier")
        terminal = from_edge(TERMINAL, data.terminal, field="terminal")
        return _view(await merchants.shifts.begin(conn, cashier.id, terminal, data.float))

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/shifts", guards=[requires("merchants:read")])
async def list_shifts(
    principal: Principal,
    db: Database,
    org: Org,
    merchants: Merchants,
    store: EdgeId | None = None,
    cashier: EdgeId | None = None,
    open: bool = False,  # noqa: A002, FBT001, FBT002 – the name of the query parameter
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ShiftView]:
    """List shifts, of one store, one cashier or all, those under way or all."""
    async with db.read() as conn:
        rows = await merchants.shifts.list_all(
            conn,
            stores=await stores_to_list(conn, principal, org, store),
            cashier=None if cashier is None else from_edge(CASHIER, cashier, field="cashier"),
            only_open=open,
            after=after(cursor),
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda shift: (shift.id,))


@get("/v1/shifts/{shift:str}", guards=[requires("merchants:read")])
async def get_shift(
    principal: Principal, db: Database, org: Org, merchants: Merchants, shift: str
) -> ShiftView:
    """Get a shift."""
    async with db.read() as conn:
        return _view(await visible_shift(conn, principal, org, merchants, shift))


@post("/v1/shifts/{shift:str}/close", guards=[requires("shifts:write")], status_code=200)
async def close_shift(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    shift: str,
    data: CloseShift = CloseShift(),  # noqa: B008 -- frozen
) -> Response[ClosedShiftView]:
    """Close a shift: it is counted once, and its Z report never changes."""

    async def work(conn: Conn) -> ClosedShiftView:
        found = await visible_shift(conn, principal, org, merchants, shift)
        return _closed_view(*await merchants.shifts.end(conn, found.id, data.cash))

    return await once_and_refresh(once, request, principal, data, work, merchants)


ROUTES = [open_shift, list_shifts, get_shift, close_shift]
