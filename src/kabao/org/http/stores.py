"""`/v1/stores`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.org.http.scope import (
    COMPANY,
    STORE,
    LongName,
    after,
    once_and_refresh,
    visible_store,
)
from kabao.org.model import (
    NewStore,
    Standing,
    Store,
    StoreChange,
)
from kabao.org.ops import Org

Place = Annotated[str, Meta(max_length=60, pattern=LINE)]
StoreCode = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=LINE, description="Letters, digits, _ and -.")
]
MerchantNo = Annotated[
    str,
    Meta(
        min_length=15,
        max_length=15,
        pattern=LINE,
        description="Field 42 of ISO 8583: 15 of 0-9, A-Z. Allotted when left out.",
    ),
]


class StoreView(msgspec.Struct, frozen=True):
    """A place where one company sells and redeems cards."""

    id: str
    company: str
    name: str
    code: str
    region: str
    city: str
    merchant_no: str
    state: Standing
    created_at: str
    closed_at: str | None


def _store_view(store: Store) -> StoreView:
    return StoreView(
        id=to_edge(STORE, store.id),
        company=to_edge(COMPANY, store.company),
        name=store.name,
        code=store.code,
        region=store.region,
        city=store.city,
        merchant_no=store.merchant_no,
        state=store.state,
        created_at=rfc3339(to_us(store.created_at)),
        closed_at=None if store.closed_at is None else rfc3339(to_us(store.closed_at)),
    )


class CreateStore(RequestBody, frozen=True):
    """A store opens."""

    company: EdgeId
    name: LongName
    code: StoreCode
    region: Place = ""
    city: Place = ""
    merchant_no: MerchantNo | None = None


class ChangeStore(RequestBody, frozen=True):
    """What is to be different; what is left out stays."""

    name: LongName | UnsetType = UNSET
    region: Place | UnsetType = UNSET
    city: Place | UnsetType = UNSET


@post("/v1/stores", guards=[requires("org:write")])
async def create_store(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateStore,
    once: Once,
    org: Org,
) -> Response[StoreView]:
    """Add a store to a company."""
    if principal.stores is not None:
        raise FORBIDDEN.error("A key for certain stores adds none.")

    async def work(conn: Conn) -> StoreView:
        company = from_edge(COMPANY, data.company, field="company")
        if not principal.may_see_company(company):
            raise NOT_FOUND.error("There is no such company.", field="company")
        new = NewStore(
            company=company,
            name=data.name,
            code=data.code,
            region=data.region,
            city=data.city,
            merchant_no=data.merchant_no,
        )
        return _store_view(await org.add_store(conn, new))

    return await once_and_refresh(once, request, principal, data, work, org)


@get("/v1/stores", guards=[requires("org:read")])
async def list_stores(
    principal: Principal,
    db: Database,
    org: Org,
    company: EdgeId | None = None,
    state: Standing | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[StoreView]:
    """List stores, of one company or all, open ones or closed ones or both."""
    companies = principal.companies
    if company is not None:
        ident = from_edge(COMPANY, company, field="company")
        companies = frozenset({ident} if principal.may_see_company(ident) else ())
    async with db.read() as conn:
        rows = await org.list_stores(
            conn,
            companies=companies,
            stores=principal.stores,
            state=state,
            after=after(cursor),
            limit=limit + 1,
        )
    return page(rows, limit, _store_view, lambda store: (store.id,))


@get("/v1/stores/{store:str}", guards=[requires("org:read")])
async def get_store(principal: Principal, db: Database, org: Org, store: str) -> StoreView:
    """Get a store."""
    async with db.read() as conn:
        return _store_view(await visible_store(conn, principal, org, store))


@patch("/v1/stores/{store:str}", guards=[requires("org:write")])
async def change_store(
    principal: Principal, data: ChangeStore, db: Database, org: Org, store: str
) -> StoreView:
    """Change a store's name or place."""
    change = StoreChange(name=data.name, region=data.region, city=data.city)
    async with db.transaction() as conn:
        ident = (await visible_store(conn, principal, org, store)).id
        changed = await org.change_store(conn, ident, change)
    await org.catch_up()
    return _store_view(changed)


@post("/v1/stores/{store:str}/close", guards=[requires("org:write")], status_code=200)
async def close_store(
    request: Request[Any, Any, Any], principal: Principal, once: Once, org: Org, store: str
) -> Response[StoreView]:
    """Close a store: it sells and redeems no more."""

    async def work(conn: Conn) -> StoreView:
        ident = (await visible_store(conn, principal, org, store)).id
        return _store_view(await org.close_store(conn, ident))

    return await once_and_refresh(once, request, principal, None, work, org)


@post("/v1/stores/{store:str}/reopen", guards=[requires("org:write")], status_code=200)
async def reopen_store(
    request: Request[Any, Any, Any], principal: Principal, once: Once, org: Org, store: str
) -> Response[StoreView]:
    """Reopen a store."""

    async def work(conn: Conn) -> StoreView:
        ident = (await visible_store(conn, principal, org, store)).id
        return _store_view(await org.reopen_store(conn, ident))

    return await once_and_refresh(once, request, principal, None, work, org)


ROUTES = [create_store, list_stores, get_store, change_store, close_store, reopen_store]
