"""`/v1/api-keys`."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from kabao.access.http.common import (
    APPROVAL,
    KEY,
    OPERATOR,
    GrantBody,
    GrantView,
    Reason,
    Remark,
    grant_view,
    id_after,
    once_and_refresh,
    origin_of,
    to_grant,
)
from kabao.access.model import ApiKey, KeyState, NewKey
from kabao.access.ops import Access, Issued
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, Moment, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires


class IssueKey(RequestBody, frozen=True):
    """A key for a program. It acts in its maker's name."""

    name: ShortText
    grant: GrantBody
    reason: Reason
    expires_at: Moment | None = None


class Revoke(RequestBody, frozen=True):
    """Why a key is to die."""

    reason: Remark = ""


class KeyView(msgspec.Struct, frozen=True):
    """An API key. `hint` is the part of its token after `kb_live_` by which it is told apart."""

    id: str
    name: str
    hint: str
    state: KeyState
    owner: str
    grant: GrantView
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    used_at: str | None


class IssuedView(msgspec.Struct, frozen=True):
    """A new key, its token this once, and the approval it waits for, if it does."""

    key: KeyView
    token: str
    approval: str | None


def _view(key: ApiKey, state: KeyState) -> KeyView:
    return KeyView(
        id=to_edge(KEY, key.id),
        name=key.name,
        hint=key.hint,
        state=state,
        owner=to_edge(OPERATOR, key.owner),
        grant=grant_view(key.grant),
        created_at=rfc3339(to_us(key.created_at)),
        expires_at=rfc3339(to_us(key.expires_at)) if key.expires_at else None,
        revoked_at=rfc3339(to_us(key.revoked_at)) if key.revoked_at else None,
        used_at=rfc3339(to_us(key.used_at)) if key.used_at else None,
    )


def _issued_view(issued: Issued) -> IssuedView:
    waits = issued.approval
    state = KeyState.LIVE if waits is None else KeyState.PROPOSED
    approval = None if waits is None else to_edge(APPROVAL, waits.id)
    return IssuedView(_view(issued.key, state), issued.token, approval)


@post("/v1/api-keys", guards=[requires("api-keys:write")])
async def issue_key(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: IssueKey,
    once: Once,
    access: Access,
) -> Response[IssuedView]:
    """Issue an API key.

    One that permits no more than the caller may do is good at once. Any other
    is `proposed` until a second person approves `approval`.
    """

    async def work(conn: Conn) -> IssuedView:
        new = NewKey(data.name, to_grant(data.grant, principal), data.expires_at)
        return _issued_view(
            await access.keys.issue(
                conn, principal, new, reason=data.reason, origin=origin_of(request)
            )
        )

    return await once(request, principal, data, work, secret=True)


@get("/v1/api-keys", guards=[requires("api-keys:read")])
async def list_keys(
    principal: Principal,
    db: Database,
    access: Access,
    clock: Clock,
    owner: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[KeyView]:
    """API keys, oldest first, dead ones too; tokens are never shown again."""
    async with db.read() as conn:
        rows = await access.keys.find(
            conn,
            principal,
            owner=None if owner is None else from_edge(OPERATOR, owner, field="owner"),
            after=id_after(cursor),
            limit=limit + 1,
        )
    at = now(clock)
    return page(rows, limit, lambda key: _view(key, key.state_at(at)), lambda key: (key.id,))


@get("/v1/api-keys/{key:str}", guards=[requires("api-keys:read")])
async def get_key(
    principal: Principal, db: Database, access: Access, clock: Clock, key: EdgeId
) -> KeyView:
    """One API key."""
    async with db.read() as conn:
        found = await access.keys.get(conn, principal, from_edge(KEY, key))
    return _view(found, found.state_at(now(clock)))


@post("/v1/api-keys/{key:str}/revoke", guards=[requires("api-keys:write")], status_code=200)
async def revoke_key(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    access: Access,
    clock: Clock,
    key: EdgeId,
    data: Revoke = Revoke(),  # noqa: B008 -- frozen
) -> Response[KeyView]:
    """Revoke an API key: dead everywhere within a second."""

    async def work(conn: Conn) -> KeyView:
        dead = await access.keys.revoke(
            conn, principal, from_edge(KEY, key), reason=data.reason, origin=origin_of(request)
        )
        return _view(dead, dead.state_at(now(clock)))

    return await once_and_refresh(once, request, principal, data, work, access)


ROUTES: list[HTTPRouteHandler] = [issue_key, list_keys, get_key, revoke_key]
