"""`/v1/reconciliations`: bills against our books, and what channels pay out for them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
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
    AmountOrZero,
    Currency,
    EdgeId,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.funding.model.channels import CHANNEL
from kabao.funding.ops import Funding
from kabao.reconciliation.approvals import (
    SETTLEMENT_ACTION,
    NewSettlement,
)
from kabao.reconciliation.http.views import (
    READ,
    WRITE,
    Reason,
    RunView,
    WholeRun,
    shown,
    visible,
)
from kabao.reconciliation.model.runs import RUN
from kabao.reconciliation.ops import Reconciliation


class FetchBill(RequestBody, frozen=True, kw_only=True):
    """A channel, and the day whose bill is to be fetched, also if it was before."""

    channel: EdgeId
    day: date


class BookPayout(RequestBody, frozen=True, kw_only=True):
    """What has come to our bank for a bill, by the bank's statement."""

    received: AmountOrZero
    currency: Currency = "CNY"
    reason: Reason


class Wanted(msgspec.Struct, frozen=True):
    """A bill that will be fetched within a minute or so."""

    channel: str
    day: date


@post("/v1/reconciliations", guards=[requires(WRITE)], tags=["reconciliations"])
async def fetch_bill(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: FetchBill,
    once: Once,
    funding: Funding,
) -> Response[Wanted]:
    """Have a channel's bill fetched and compared now, also if it was before.

    The same file again changes nothing; another one takes the place of the former.
    """

    async def work(conn: Conn) -> Wanted:
        channel = await funding.channels.find(conn, from_edge(CHANNEL, data.channel))
        if not principal.covers(channel.company):
            raise NOT_FOUND.error("There is no such channel.")
        await funding.billing.fetch_in(conn, channel.id, data.day)
        return Wanted(data.channel, data.day)

    return await once(request, principal, data, work)


@get("/v1/reconciliations", guards=[requires(READ)], tags=["reconciliations"])
async def list_reconciliations(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    source: Annotated[str, Meta(max_length=40, pattern="^[a-z]+$")] | None = None,
    subject: EdgeId | None = None,
    day: date | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[RunView]:
    """List reconciliations, newest first. A key for certain stores sees none."""
    found = position(cursor, tuple[IdPosition])
    companies = principal.companies if principal.stores is None else frozenset()
    async with db.read() as conn:
        rows = await reconciliation.search(
            conn,
            None if companies is None else sorted(companies),
            source=source,
            subject=subject,
            day=day,
            before=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, lambda run: RunView(**shown(run)), lambda run: (run.id,))


@get("/v1/reconciliations/{run:str}", guards=[requires(READ)], tags=["reconciliations"])
async def get_reconciliation(
    principal: Principal, db: Database, reconciliation: Reconciliation, run: EdgeId
) -> WholeRun:
    """Get a reconciliation, with how many breaks there are of each class."""
    async with db.read() as conn:
        found = await visible(conn, principal, reconciliation, run)
        counts = await reconciliation.counts(conn, found.id)
    return WholeRun(**shown(found), classes=counts)


@post(
    "/v1/reconciliations/{run:str}/settlement", guards=[requires(WRITE)], tags=["reconciliations"]
)
async def book_payout(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: BookPayout,
    once: Once,
    reconciliation: Reconciliation,
    access: Access,
    clock: Clock,
    run: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to what a channel has paid out for a bill.

    It is booked against what the channel holds, its fees with it; what differs from the bill
    waits in `unmatched`.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up

    async def work(conn: Conn) -> ApprovalView:
        found = await visible(conn, principal, reconciliation, run)
        reconciliation.check_settlement(found)
        payload = NewSettlement(to_edge(RUN, found.id), data.received, found.expected_fen)
        touched = frozenset({found.company})
        asked = await access.approvals.ask(
            conn, principal, SETTLEMENT_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [fetch_bill, list_reconciliations, get_reconciliation, book_payout]
