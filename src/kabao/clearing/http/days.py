"""`/v1/clearing-days`: business days, what keeps them open, and corrections of closed ones."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.money import MAX_FEN
from kabao.base.web.binding import PATIENT
from kabao.base.web.fields import (
    KEY_HEADER,
    LINE,
    Currency,
    EdgeId,
    Nothing,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.clearing.approvals_clearing import ADJUSTMENT_ACTION, NewAdjustment
from kabao.clearing.http.settlements import READ
from kabao.clearing.model.days import Day, DayState, Part
from kabao.clearing.model.runs import Carry
from kabao.clearing.model.settlement import CARRY
from kabao.clearing.ops import Clearing
from kabao.org.ops import Org

WRITE = "settlements:write"
Signed = Annotated[int, Meta(ge=-MAX_FEN, le=MAX_FEN, description="Fen; below zero it owes.")]
Reason = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class DayPartView(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says of a day. `closed_at` null: it keeps the day open."""

    source: str
    subject: str
    reason: str
    breaks: int
    kept_out_at: str
    closed_at: str | None


class ClearingDayView(msgspec.Struct, frozen=True, kw_only=True):
    """A business day that takes no more postings; hard closed, its figures are final."""

    day: date
    status: DayState
    soft_closed_at: str
    hard_closed_at: str | None


class DayAdjustmentView(msgspec.Struct, frozen=True, kw_only=True):
    """A dated correction of a closed day."""

    id: str
    issuer: str
    store: str
    amount: int
    currency: str
    adjusted_at: str


class ClearingDayWhole(msgspec.Struct, frozen=True):
    """A day, its parts and its corrections; those are for keys of the whole group."""

    day: ClearingDayView
    parts: list[DayPartView]
    adjustments: list[DayAdjustmentView]


class AdjustDay(RequestBody, frozen=True, kw_only=True):
    """What an issuer owes a store more, or less, for a closed day."""

    issuer: EdgeId
    store: EdgeId
    amount: Signed
    currency: Currency = "CNY"
    reason: Reason


@get("/v1/clearing-days", guards=[requires(READ)])
async def list_days(
    db: Database, clearing: Clearing, limit: Limit = DEFAULT_LIMIT, cursor: Cursor | None = None
) -> Page[ClearingDayView]:
    """List closed business days, newest first."""
    before = position(cursor, tuple[date])
    async with db.read() as conn:
        rows = await clearing.reading.days(conn, None if before is None else before[0], limit + 1)
    return page(rows, limit, _view, lambda row: (row.business_date,))


@get("/v1/clearing-days/{day:date}", guards=[requires(READ)])
async def get_day(
    principal: Principal, db: Database, clearing: Clearing, day: date
) -> ClearingDayWhole:
    """Get a closed business day and what keeps it open."""
    async with db.read() as conn:
        found = await clearing.reading.day(conn, day)
        if found is None:
            raise NOT_FOUND.error("That day is not closed.")
        if not principal.whole_group:
            return ClearingDayWhole(_view(found), [], [])
        parts = await clearing.reading.parts(conn, day)
        adjusted = await clearing.reading.adjustments(conn, day)
    return ClearingDayWhole(_view(found), list(map(_part, parts)), list(map(_adjustment, adjusted)))


@post("/v1/clearing-days/{day:date}/close", guards=[requires(WRITE)], status_code=200, opt=PATIENT)
async def close_day(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Nothing,
    once: Once,
    clearing: Clearing,
    day: date,
) -> Response[ClearingDayView]:
    """Close a day for good. What agrees is settled; while anything does not, the day is kept
    open, and the refusal lists it.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    if not principal.whole_group:
        raise FORBIDDEN.error("This needs a key for the whole group.")
    await clearing.close(day)

    async def work(conn: Conn) -> ClearingDayView:
        return _view(await clearing.closing.require_closed(conn, day))

    return await once(request, principal, data, work)


@post("/v1/clearing-days/{day:date}/adjustments", guards=[requires(WRITE)])
async def adjust_day(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AdjustDay,
    once: Once,
    clearing: Clearing,
    access: Access,
    org: Org,
    clock: Clock,
    day: date,
) -> Response[ApprovalView]:
    """Ask a second person to correct a closed day: the next run pays it, or takes it off."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    issuer = from_edge("com", data.issuer, field="issuer")
    store = org.store(from_edge("sto", data.store, field="store"))
    if store is None or not (principal.covers(issuer) and principal.covers(store.company)):
        raise NOT_FOUND.error("There is no such store of this issuer's.", field="store")
    touched = frozenset({issuer, store.company})

    async def work(conn: Conn) -> ApprovalView:
        await clearing.closing.check_adjustment(conn, day, data.amount)
        payload = NewAdjustment(day, data.issuer, data.store, data.currency, data.amount)
        asked = await access.approvals.ask(
            conn, principal, ADJUSTMENT_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


def _view(day: Day) -> ClearingDayView:
    return ClearingDayView(
        day=day.business_date,
        status=day.state,
        soft_closed_at=rfc3339(to_us(day.soft_closed_at)),
        hard_closed_at=None if day.hard_closed_at is None else rfc3339(to_us(day.hard_closed_at)),
    )


def _part(part: Part) -> DayPartView:
    return DayPartView(
        source=part.source,
        subject=part.subject,
        reason=part.reason,
        breaks=part.breaks,
        kept_out_at=rfc3339(to_us(part.kept_out_at)),
        closed_at=None if part.closed_at is None else rfc3339(to_us(part.closed_at)),
    )


def _adjustment(carry: Carry) -> DayAdjustmentView:
    return DayAdjustmentView(
        id=to_edge(CARRY, carry.id),
        issuer=to_edge("com", carry.debtor),
        store=to_edge("sto", carry.owner),
        amount=carry.amount_fen,
        currency=carry.currency,
        adjusted_at=rfc3339(to_us(carry.noted_at)),
    )


ROUTES = [list_days, get_day, close_day, adjust_day]
