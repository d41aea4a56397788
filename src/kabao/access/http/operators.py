"""`/v1/operators`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.http.common import (
    APPROVAL,
    OPERATOR,
    GrantBody,
    GrantView,
    Reason,
    grant_view,
    id_after,
    once_and_refresh,
    origin_of,
    to_grant,
)
from kabao.access.model import NewOperator, Operator, OperatorState
from kabao.access.ops import Access, Invited
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires

LoginName = Annotated[str, Meta(min_length=2, max_length=32, pattern="^[a-z0-9._-]*$")]


class Invite(RequestBody, frozen=True):
    """A person for the back office."""

    login: LoginName
    grant: GrantBody
    reason: Reason


class ChangeGrant(RequestBody, frozen=True):
    """Another grant for a person."""

    grant: GrantBody
    reason: Reason


class Because(RequestBody, frozen=True):
    """Why."""

    reason: Reason


class OperatorView(msgspec.Struct, frozen=True):
    """A person of the back office. `name` is null until they have enrolled."""

    id: str
    login: str
    name: str | None
    state: OperatorState
    grant: GrantView
    created_at: str
    locked_until: str | None


class InvitedView(msgspec.Struct, frozen=True):
    """A person and the invitation for them, this once; good once `approval` is approved."""

    operator: str
    invitation: str
    approval: str


class ChangedView(msgspec.Struct, frozen=True):
    """An operator, and the approval a change waits for; null when it is made already."""

    operator: OperatorView
    approval: str | None
    keys_revoked: int


def _view(operator: Operator, access: Access) -> OperatorView:
    locked = operator.locked_until
    return OperatorView(
        id=to_edge(OPERATOR, operator.id),
        login=operator.login,
        name=access.operators.name_of(operator),
        state=operator.state,
        grant=grant_view(operator.grant),
        created_at=rfc3339(to_us(operator.created_at)),
        locked_until=rfc3339(to_us(locked)) if locked else None,
    )


def _invited_view(invited: Invited) -> InvitedView:
    return InvitedView(
        operator=to_edge(OPERATOR, invited.operator),
        invitation=invited.invitation,
        approval=to_edge(APPROVAL, invited.approval.id),
    )


@post("/v1/operators", guards=[requires("operators:write")])
async def invite_operator(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Invite,
    once: Once,
    access: Access,
) -> Response[InvitedView]:
    """Propose a person.

    They exist once a second person has approved, and choose their own password
    with the invitation (`POST /v1/enrolments`).
    """

    async def work(conn: Conn) -> InvitedView:
        new = NewOperator(data.login, to_grant(data.grant, principal))
        origin = origin_of(request)
        return _invited_view(
            await access.operators.invite(conn, principal, new, data.reason, origin=origin)
        )

    return await once(request, principal, data, work, secret=True)


@get("/v1/operators", guards=[requires("operators:read")])
async def list_operators(
    principal: Principal,
    db: Database,
    access: Access,
    state: OperatorState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[OperatorView]:
    """Operators, oldest first."""
    async with db.read() as conn:
        rows = await access.operators.find(
            conn, principal, state=state, after=id_after(cursor), limit=limit + 1
        )
    return page(rows, limit, lambda one: _view(one, access), lambda one: (one.id,))


@get("/v1/operators/{operator:str}", guards=[requires("operators:read")])
async def get_operator(
    principal: Principal, db: Database, access: Access, operator: EdgeId
) -> OperatorView:
    """One operator."""
    async with db.read() as conn:
        found = await access.operators.get(conn, principal, from_edge(OPERATOR, operator))
    return _view(found, access)


@post("/v1/operators/{operator:str}/change", guards=[requires("operators:write")], status_code=200)
async def change_operator(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ChangeGrant,
    once: Once,
    access: Access,
    operator: EdgeId,
) -> Response[ChangedView]:
    """Give an operator another grant.

    Taking away takes effect at once, and takes the person's keys with it;
    anything more waits for a second person.
    """

    async def work(conn: Conn) -> ChangedView:
        changed = await access.operators.change(
            conn,
            principal,
            from_edge(OPERATOR, operator),
            to_grant(data.grant, principal),
            data.reason,
            origin=origin_of(request),
        )
        waits = changed.approval
        return ChangedView(
            operator=_view(changed.operator, access),
            approval=None if waits is None else to_edge(APPROVAL, waits.id),
            keys_revoked=changed.keys_revoked,
        )

    return await once_and_refresh(once, request, principal, data, work, access)


@post("/v1/operators/{operator:str}/reset", guards=[requires("operators:write")], status_code=200)
async def reset_operator(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Because,
    once: Once,
    access: Access,
    operator: EdgeId,
) -> Response[InvitedView]:
    """New secrets for a person who lost theirs, once a second person has approved."""

    async def work(conn: Conn) -> InvitedView:
        ident, origin = from_edge(OPERATOR, operator), origin_of(request)
        return _invited_view(
            await access.operators.reset(conn, principal, ident, data.reason, origin=origin)
        )

    return await once(request, principal, data, work, secret=True)


@post("/v1/operators/{operator:str}/suspend", guards=[requires("operators:write")], status_code=200)
async def suspend_operator(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Because,
    once: Once,
    access: Access,
    operator: EdgeId,
) -> Response[OperatorView]:
    """End a person's logins, sessions and keys at once."""

    async def work(conn: Conn) -> OperatorView:
        ident, origin = from_edge(OPERATOR, operator), origin_of(request)
        found = await access.operators.suspend(conn, principal, ident, data.reason, origin=origin)
        return _view(found, access)

    return await once_and_refresh(once, request, principal, data, work, access)


ROUTES: list[HTTPRouteHandler] = [
    invite_operator,
    list_operators,
    get_operator,
    change_operator,
    reset_operator,
    suspend_operator,
]
