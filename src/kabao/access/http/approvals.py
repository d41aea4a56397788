"""`/v1/approvals`: what waits for a second person, and that person's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.http.common import (
    APPROVAL,
    OPERATOR,
    Reason,
    Remark,
    id_after,
    once_and_refresh,
    origin_of,
)
from kabao.access.model import (
    APPROVAL_CHANGED,
    OWN_BENEFIT,
    SELF_APPROVAL,
    ApprovalState,
    ApprovalView,
    Deed,
    view,
)
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import from_edge
from kabao.base.web.binding import PATIENT
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires

Digest = Annotated[
    str,
    Meta(
        min_length=64,
        max_length=64,
        pattern="^[0-9a-f]*$",
        description="`digest` of what was looked at; another one is refused.",
    ),
]

_WORTH_LOGGING = frozenset({SELF_APPROVAL, OWN_BENEFIT, APPROVAL_CHANGED})
"""Refusals that say something about the person who was refused."""


class Approve(RequestBody, frozen=True):
    """Agreement."""

    reason: Remark = ""
    digest: Digest | None = None


class Refuse(RequestBody, frozen=True):
    """Refusal."""

    reason: Reason


@get("/v1/approvals", guards=[requires("approvals:read")])
async def list_approvals(
    principal: Principal,
    db: Database,
    access: Access,
    clock: Clock,
    state: ApprovalState | None = None,
    kind: str | None = None,
    maker: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ApprovalView]:
    """Requests that take two people, newest first."""
    async with db.read() as conn:
        rows = await access.approvals.find(
            conn,
            principal,
            kind=kind,
            state=state,
            maker=None if maker is None else from_edge(OPERATOR, maker, field="maker"),
            before=id_after(cursor),
            limit=limit + 1,
        )
    at = now(clock)
    return page(rows, limit, lambda one: view(one, at), lambda one: (one.id,))


@get("/v1/approvals/{approval:str}", guards=[requires("approvals:read")])
async def get_approval(
    principal: Principal, db: Database, access: Access, clock: Clock, approval: EdgeId
) -> ApprovalView:
    """One request, with everything that would be executed."""
    async with db.read() as conn:
        found = await access.approvals.get(conn, principal, from_edge(APPROVAL, approval))
    return view(found, now(clock))


@post(
    "/v1/approvals/{approval:str}/approve",
    guards=[requires("approvals:decide")],
    status_code=200,
    opt=PATIENT,
)
async def approve(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    access: Access,
    clock: Clock,
    approval: EdgeId,
    data: Approve = Approve(),  # noqa: B008 -- frozen
) -> Response[ApprovalView]:
    """Agree: what was asked is executed at once. Whoever asked is refused."""
    origin = origin_of(request)

    async def work(conn: Conn) -> ApprovalView:
        decided = await access.approvals.approve(
            conn,
            principal,
            from_edge(APPROVAL, approval),
            reason=data.reason,
            digest=None if data.digest is None else bytes.fromhex(data.digest),
            origin=origin,
        )
        return view(decided, now(clock))

    return await _decide(request, principal, once, access, data, approval, work, "approve")


@post("/v1/approvals/{approval:str}/refuse", guards=[requires("approvals:decide")], status_code=200)
async def refuse(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Refuse,
    once: Once,
    access: Access,
    clock: Clock,
    approval: EdgeId,
) -> Response[ApprovalView]:
    """Say no."""
    origin = origin_of(request)

    async def work(conn: Conn) -> ApprovalView:
        ident = from_edge(APPROVAL, approval)
        decided = await access.approvals.refuse(conn, principal, ident, data.reason, origin=origin)
        return view(decided, now(clock))

    return await _decide(request, principal, once, access, data, approval, work, "refuse")


async def _decide(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    access: Access,
    data: Any,
    approval: str,
    work: Callable[[Conn], Awaitable[ApprovalView]],
    action: str,
) -> Response[ApprovalView]:
    """Decide once; a telling refusal goes into the audit log although nothing has happened."""
    try:
        return await once_and_refresh(once, request, principal, data, work, access)
    except KabaoError as error:
        if error.code in _WORTH_LOGGING:
            ident = from_edge(APPROVAL, approval)
            deed = Deed(verb=f"approvals:{action}", subject=approval, approval=ident)
            await access.log.refused(principal, deed, error, origin_of(request))
        raise


ROUTES: list[HTTPRouteHandler] = [list_approvals, get_approval, approve, refuse]
