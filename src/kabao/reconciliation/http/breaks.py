"""`/v1/reconciliation-breaks`: where bills and books differ, and what two persons make of it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    EdgeId,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.reconciliation.approvals import (
    CORRECTION_ACTION,
    NewCorrection,
)
from kabao.reconciliation.http.views import (
    READ,
    WRITE,
    BreakView,
    Reason,
    break_view,
    visible,
)
from kabao.reconciliation.model.breaks import BREAK, Break, BreakState, Class, Correction
from kabao.reconciliation.model.runs import Run
from kabao.reconciliation.ops import Reconciliation


class CorrectBreak(RequestBody, frozen=True, kw_only=True):
    """`suspend` posts the difference to `unmatched`, `accept` posts nothing; what is suspended
    is released (`release`) or written off (`write_off`).
    """

    correction: Correction
    reason: Reason


@get("/v1/reconciliations/{run:str}/breaks", guards=[requires(READ)], tags=["reconciliations"])
async def list_breaks(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    clock: Clock,
    run: EdgeId,
    of_class: Class | None = None,
    status: BreakState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BreakView]:
    """List a reconciliation's breaks, in the order of the bill; what only we know comes last."""
    found = position(cursor, tuple[Annotated[int, Meta(ge=0)]])
    today = now(clock).date()
    async with db.read() as conn:
        seen = await visible(conn, principal, reconciliation, run)
        after = 0 if found is None else found[0]
        rows = await reconciliation.breaks(
            conn, seen.id, cls=of_class, state=status, after=after, limit=limit + 1
        )
    return page(rows, limit, lambda one: break_view(seen, one, today), lambda one: (one.no,))


@get("/v1/reconciliation-breaks", guards=[requires(READ)], tags=["reconciliations"])
async def list_waiting_breaks(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    clock: Clock,
    of_class: Class | None = None,
    status: BreakState = BreakState.OPEN,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BreakView]:
    """List the breaks of all bills that are open, or in another state, the oldest bills first."""
    found = position(cursor, tuple[IdPosition, Annotated[int, Meta(ge=0)]])
    companies = principal.companies if principal.stores is None else frozenset()
    today = now(clock).date()
    async with db.read() as conn:
        rows = await reconciliation.waiting(
            conn,
            None if companies is None else sorted(companies),
            cls=of_class,
            state=status,
            after=found,
            limit=limit + 1,
        )
    return page(
        rows, limit, lambda row: break_view(*row, today), lambda row: (row[1].run, row[1].no)
    )


@get(
    "/v1/reconciliation-breaks/{difference:str}", guards=[requires(READ)], tags=["reconciliations"]
)
async def get_break(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    clock: Clock,
    difference: EdgeId,
) -> BreakView:
    """Get a break, what it means, and which correction is proposed."""
    async with db.read() as conn:
        run, seen = await _visible_break(conn, principal, reconciliation, difference)
    return break_view(run, seen, now(clock).date())


async def _visible_break(
    conn: Conn, principal: Principal, reconciliation: Reconciliation, text: str
) -> tuple[Run, Break]:
    run, found = await reconciliation.get_break(conn, from_edge(BREAK, text))
    if not principal.covers(run.company):
        raise NOT_FOUND.error("There is no such break.")
    return run, found


@post(
    "/v1/reconciliation-breaks/{difference:str}/corrections",
    guards=[requires(WRITE)],
    tags=["reconciliations"],
)
async def correct_break(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CorrectBreak,
    once: Once,
    reconciliation: Reconciliation,
    access: Access,
    clock: Clock,
    difference: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to the correction of a break; then it is posted."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up

    async def work(conn: Conn) -> ApprovalView:
        run, seen = await _visible_break(conn, principal, reconciliation, difference)
        reconciliation.check(run, seen, data.correction)
        payload = NewCorrection(to_edge(BREAK, seen.id), data.correction, seen.difference_fen)
        touched = frozenset({run.company})
        asked = await access.approvals.ask(
            conn, principal, CORRECTION_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [list_breaks, list_waiting_breaks, get_break, correct_break]
