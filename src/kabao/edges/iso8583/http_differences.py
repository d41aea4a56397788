"""`/v1/pos-differences`: where tills and books differ, and what two persons found."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import Approval, ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import BusinessDays, Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, LINE, EdgeId, RequestBody, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    NumberPosition,
    Page,
    TextPosition,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.edges.iso8583 import sql_differences as sql
from kabao.edges.iso8583.differences import (
    RESOLUTION_ACTION,
    Differences,
    NewResolution,
    batch_id,
)
from kabao.edges.iso8583.http_where import TERMINAL, TimePosition, within
from kabao.org.ops import Org

DifferenceId = Annotated[
    str,
    Meta(min_length=1, max_length=80, pattern=LINE, description="As it is listed."),
]
"""A batch's id, trace, side and kind, with full stops between them."""

_PARTS = 5
_NUMBER_DIGITS = 6


class DifferenceKind(StrEnum):
    """How till and host differ about a message."""

    TILL_ONLY = "till_only"
    HOST_ONLY = "host_only"
    AMOUNT = "amount"
    LATE = "late"
    """It came, or was reversed, after the batch was settled."""


class DifferenceStatus(StrEnum):
    """Whether two persons have looked into a difference."""

    OPEN = "open"
    RESOLVED = "resolved"


class Side(StrEnum):
    """Which sums a message counts in."""

    DEBIT = "debit"
    CREDIT = "credit"


class PosDifferenceView(msgspec.Struct, frozen=True):
    """A message about which till and host differ. The books stand; while it is open, it keeps
    the store out of the settlement of the day on which the batch was to be settled.

    `approval` is by which two persons resolved it, `correction` the one that moved money.
    """

    id: str
    batch: str
    terminal: str
    store: str
    trace: int
    side: Side
    kind: DifferenceKind
    till_amount: int | None
    host_amount: int | None
    currency: str
    found_at: str
    status: DifferenceStatus
    approval: str | None
    correction: str | None
    resolved_at: str | None


class ResolveDifference(RequestBody, frozen=True, kw_only=True):
    """What was found. `correction`: the executed approval that moved money (`adjustment`,
    `clearing_adjustment`, `goods_refund`, `order_refund`); without one the books are right.
    """

    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
    correction: EdgeId | None = None


@get("/v1/pos-differences", guards=[requires("settlements:read")])
async def list_pos_differences(
    principal: Principal,
    db: Database,
    org: Org,
    days: BusinessDays,
    store: EdgeId | None = None,
    terminal: EdgeId | None = None,
    day: date | None = None,
    status: DifferenceStatus | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[PosDifferenceView]:
    """List messages about which tills and host differ, those last found first."""
    where = within(principal, org, days, store, terminal, day)
    resolved = None if status is None else status is DifferenceStatus.RESOLVED
    before = position(
        cursor,
        tuple[
            TimePosition, IdPosition, NumberPosition, NumberPosition, NumberPosition, TextPosition
        ],
    )
    async with db.read() as conn:
        rows = await sql.differences(conn, where, before, limit + 1, resolved=resolved)
    return page(
        rows,
        limit,
        _shown,
        lambda d: (to_us(d.found_at), d.terminal, d.batch, d.trace, d.direction, d.kind),
    )


@post(
    "/v1/pos-differences/{pos_difference:str}/resolutions",
    guards=[requires("reconciliations:write")],
)
async def resolve_pos_difference(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ResolveDifference,
    once: Once,
    org: Org,
    pos_differences: Differences,
    access: Access,
    clock: Clock,
    pos_difference: DifferenceId,
) -> Response[ApprovalView]:
    """Ask a second person to agree that a difference is resolved.

    Then it keeps its store's day open no more. Money that has to move is corrected before, by
    an approval of its own.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up

    async def work(conn: Conn) -> ApprovalView:
        found = await pos_differences.get(conn, _place(pos_difference))
        store = await org.get_store(conn, found.store)
        if not (principal.may_see_company(store.company) and principal.may_see_store(store.id)):
            raise NOT_FOUND.error("There is no such difference.")
        correction: Approval | None = None
        if data.correction is not None:
            ident = from_edge("apr", data.correction, field="correction")
            correction = await access.approvals.get(conn, principal, ident)
        pos_differences.check(found, correction)
        payload = NewResolution(
            found.place,
            found.till_fen,
            found.host_fen,
            None if correction is None else correction.id,
        )
        touched = frozenset({store.company})
        asked = await access.approvals.ask(
            conn, principal, RESOLUTION_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


def _place(text: str) -> sql.Place:
    """`ter_….000001.000002.debit.late` as it is stored. Raises `not_found`."""
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise NOT_FOUND.error("There is no such difference.")
    terminal, batch, trace, side, kind = parts
    numbers = all(
        len(n) == _NUMBER_DIGITS and n.isascii() and n.isdecimal() for n in (batch, trace)
    )
    if not numbers or side not in set(Side) or kind not in set(DifferenceKind):
        raise NOT_FOUND.error("There is no such difference.")
    direction = -1 if side == Side.DEBIT else 1
    return sql.Place(from_edge(TERMINAL, terminal), int(batch), int(trace), direction, kind)


def _shown(row: sql.DifferenceShown) -> PosDifferenceView:
    side = Side.DEBIT if row.direction < 0 else Side.CREDIT
    batch = batch_id(row.terminal, row.batch)
    return PosDifferenceView(
        id=f"{batch}.{row.trace:06}.{side}.{row.kind}",
        batch=batch,
        terminal=to_edge(TERMINAL, row.terminal),
        store=to_edge("sto", row.store),
        trace=row.trace,
        side=side,
        kind=DifferenceKind(row.kind),
        till_amount=row.till_fen,
        host_amount=row.host_fen,
        currency="CNY",
        found_at=rfc3339(to_us(row.found_at)),
        status=DifferenceStatus.OPEN if row.resolved_at is None else DifferenceStatus.RESOLVED,
        approval=None if row.approval is None else to_edge("apr", row.approval),
        correction=None if row.correction is None else to_edge("apr", row.correction),
        resolved_at=None if row.resolved_at is None else rfc3339(to_us(row.resolved_at)),
    )


ROUTES = [list_pos_differences, resolve_pos_difference]
