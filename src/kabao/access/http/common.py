"""What the routes of this slice share: ids, grants, origins, and seeing one's own changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from kabao.access.model import Grant, Origin, Role, Scope
from kabao.access.model import grant as make_grant
from kabao.access.ops import Access
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import IdPosition, position
from kabao.base.web.principal import Principal
from kabao.base.web.problems import request_id_of

OPERATOR, KEY, APPROVAL, COMPANY, STORE = "opr", "key", "apr", "com", "sto"

Reason = Annotated[
    str,
    Meta(min_length=1, max_length=255, pattern=LINE, description="Why; kept in the audit log."),
]
Remark = Annotated[str, Meta(max_length=255, pattern=LINE)]
EdgeIds = Annotated[tuple[EdgeId, ...], Meta(min_length=1, max_length=200)]
Verb = Annotated[str, Meta(min_length=3, max_length=40, pattern="^[a-z-]+:[a-z-]+$")]

V = TypeVar("V")


class GrantBody(RequestBody, frozen=True):
    """Roles, verbs and a scope.

    `company` is the caller's own unless given; `companies` is that company
    alone unless given, null for the whole group; `stores` null for all stores
    of these companies.
    """

    roles: Annotated[tuple[Role, ...], Meta(max_length=7)] = ()
    verbs: Annotated[tuple[Verb, ...], Meta(max_length=100)] = ()
    company: EdgeId | None = None
    companies: EdgeIds | UnsetType | None = UNSET
    stores: EdgeIds | None = None


class GrantView(msgspec.Struct, frozen=True):
    """Roles, verbs and a scope; null means no limit."""

    roles: tuple[Role, ...]
    verbs: tuple[str, ...]
    company: str
    companies: tuple[str, ...] | None
    stores: tuple[str, ...] | None


def to_grant(body: GrantBody, by: Principal) -> Grant:
    """What is asked for. Raises `not_found` for malformed ids."""
    company = by.company if body.company is None else from_edge(COMPANY, body.company)
    companies: frozenset[str] | None
    if body.companies is UNSET:
        companies = frozenset({company})
    else:
        companies = _ids(COMPANY, body.companies, "companies")
    scope = Scope(company, companies, _ids(STORE, body.stores, "stores"))
    return make_grant(scope, body.roles, body.verbs)


def grant_view(grant: Grant) -> GrantView:
    """Show a grant."""
    scope = grant.scope
    return GrantView(
        roles=grant.roles,
        verbs=grant.verbs,
        company=to_edge(COMPANY, scope.company),
        companies=_edges(COMPANY, scope.companies),
        stores=_edges(STORE, scope.stores),
    )


def _ids(prefix: str, texts: tuple[str, ...] | None, field: str) -> frozenset[str] | None:
    return None if texts is None else frozenset(from_edge(prefix, t, field=field) for t in texts)


def _edges(prefix: str, ids: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if ids is None else tuple(to_edge(prefix, ident) for ident in sorted(ids))


def origin_of(request: Request[Any, Any, Any]) -> Origin:
    """From where a request comes, as far as the socket knows."""
    client = request.client
    return Origin(client.host if client else "", request_id_of(request.scope))


async def once_and_refresh(
    once: Once,
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Any,
    work: Callable[[Conn], Awaitable[V]],
    access: Access,
    *,
    secret: bool = False,
) -> Response[V]:
    """Do the work once, then let this process see who has lost a permission."""
    response = await once(request, principal, data, work, secret=secret)
    await access.ring.catch_up()
    return response


def id_after(cursor: str | None) -> str | None:
    """The id at which a page begins."""
    found = position(cursor, tuple[IdPosition])
    return None if found is None else found[0]
