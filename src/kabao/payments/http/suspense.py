"""`/v1/suspense-releases`: ask where value goes that fits no card."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.customers.ops import Customers
from kabao.payments.suspense import RELEASE_ACTION, Destination, Release, Suspense


class AskForRelease(RequestBody, frozen=True):
    """A release that a second person is to agree to."""

    card: EdgeId
    operation: EdgeId
    """The refund or reversal that found no card, as the ledger's transfers name it."""
    to: Destination
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
    payee: EdgeId | None = None
    """The person it is paid to, whose identity is known."""


@post("/v1/suspense-releases", guards=[requires("suspense-releases:write")], tags=["payments"])
async def ask_for_release(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForRelease,
    once: Once,
    suspense: Suspense,
    customers: Customers,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree where a refund goes that fitted no card.

    Back to its card, if there is room by now, or to an identified person. It is
    done the moment somebody else agrees (`/v1/approvals/{id}/approve`).
    """

    async def work(conn: Conn) -> ApprovalView:
        payload = Release(data.card, data.operation, data.to, data.payee)
        issuer = await suspense.issuer(conn, data.card)
        if not principal.covers(issuer):
            raise NOT_FOUND.error("There is no such card.", field="card")
        if data.payee is not None:
            await _check_seen(conn, principal, customers, data.payee)
        await suspense.check(conn, payload)
        asked = await access.approvals.ask(
            conn, principal, RELEASE_ACTION, payload, data.reason, companies=frozenset({issuer})
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


async def _check_seen(conn: Conn, principal: Principal, customers: Customers, payee: str) -> None:
    """A person within the key's scope. Raises `not_found`."""
    company = await customers.company_of(conn, from_edge("cus", payee, field="payee"))
    if not principal.may_see_company(company):
        raise NOT_FOUND.error("There is no such customer.")


ROUTES: list[HTTPRouteHandler] = [ask_for_release]
