"""`/v1/brand-links`: for keys of the whole group."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from litestar import Request, Response, get, post

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.org.http.scope import (
    BRAND_LINK,
    COMPANY,
    after,
    once_and_refresh,
    require_whole_group,
)
from kabao.org.model import (
    BrandLink,
)
from kabao.org.ops import Org


class BrandLinkView(msgspec.Struct, frozen=True):
    """`member` redeems the cards of `issuer` from `from_date` until before `until_date`."""

    id: str
    issuer: str
    member: str
    from_date: date
    until_date: date | None
    created_at: str


def _link_view(link: BrandLink) -> BrandLinkView:
    return BrandLinkView(
        id=to_edge(BRAND_LINK, link.id),
        issuer=to_edge(COMPANY, link.issuer),
        member=to_edge(COMPANY, link.member),
        from_date=link.from_date,
        until_date=link.until_date,
        created_at=rfc3339(to_us(link.created_at)),
    )


class CreateBrandLink(RequestBody, frozen=True):
    """A franchisee begins to redeem a brand issuer's cards."""

    issuer: EdgeId
    member: EdgeId
    from_date: date
    until_date: date | None = None


class EndBrandLink(RequestBody, frozen=True):
    """The first day on which the link holds no more."""

    until_date: date


@post("/v1/brand-links", guards=[requires("org:write")])
async def create_brand_link(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateBrandLink,
    once: Once,
    org: Org,
) -> Response[BrandLinkView]:
    """Link a franchisee to a brand issuer."""
    require_whole_group(principal)

    async def work(conn: Conn) -> BrandLinkView:
        link = await org.link_brand(
            conn,
            from_edge(COMPANY, data.issuer, field="issuer"),
            from_edge(COMPANY, data.member, field="member"),
            data.from_date,
            data.until_date,
        )
        return _link_view(link)

    return await once_and_refresh(once, request, principal, data, work, org)


@get("/v1/brand-links", guards=[requires("org:read")])
async def list_brand_links(
    principal: Principal,
    db: Database,
    org: Org,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BrandLinkView]:
    """List brand links."""
    require_whole_group(principal)
    async with db.read() as conn:
        rows = await org.list_links(conn, after=after(cursor), limit=limit + 1)
    return page(rows, limit, _link_view, lambda link: (link.id,))


@post("/v1/brand-links/{link:str}/end", guards=[requires("org:write")], status_code=200)
async def end_brand_link(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: EndBrandLink,
    once: Once,
    org: Org,
    link: str,
) -> Response[BrandLinkView]:
    """End a brand link, today at the earliest."""
    require_whole_group(principal)

    async def work(conn: Conn) -> BrandLinkView:
        ident = from_edge(BRAND_LINK, link)
        return _link_view(await org.end_link(conn, ident, data.until_date))

    return await once_and_refresh(once, request, principal, data, work, org)


ROUTES = [create_brand_link, list_brand_links, end_brand_link]
