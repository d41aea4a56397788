"""`/v1/cashiers`. Names go out masked."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import (
    CASHIER,
    STORE,
    after,
    named_store,
    once_and_refresh,
    require_visible,
    stores_to_list,
)
from kabao.merchants.model import Cashier, CashierRole, CashierState, NewCashier, masked_name
from kabao.merchants.ops import Merchants
from kabao.merchants.ports import People
from kabao.org.ops import Org

CUSTOMER = "cus"

CashierCode = Annotated[
    str, Meta(min_length=1, max_length=16, pattern=LINE, description="Letters, digits, _ and -.")
]


class CreateCashier(RequestBody, frozen=True):
    """A cashier begins to work in a store."""

    store: EdgeId
    code: CashierCode
    name: ShortText
    role: CashierRole = CashierRole.CASHIER


class ChangeCashier(RequestBody, frozen=True):
    """What the cashier may do from now on."""

    role: CashierRole


class LinkCashier(RequestBody, frozen=True):
    """The customer who is the same person; null when that is not known."""

    customer: EdgeId | None


class CashierView(msgspec.Struct, frozen=True):
    """A person at the tills of one store; the name is masked."""

    id: str
    store: str
    code: str
    name: str
    role: CashierRole
    state: CashierState
    created_at: str
    customer: str | None


def _view(cashier: Cashier, name: str) -> CashierView:
    return CashierView(
        id=to_edge(CASHIER, cashier.id),
        store=to_edge(STORE, cashier.store),
        code=cashier.code,
        name=masked_name(name),
        role=cashier.role,
        state=cashier.state,
        created_at=rfc3339(to_us(cashier.created_at)),
        customer=None if cashier.customer is None else to_edge(CUSTOMER, cashier.customer),
    )


async def _named(conn: Conn, merchants: Merchants, cashier: Cashier) -> CashierView:
    names = await merchants.names(conn, [cashier])
    return _view(cashier, names[cashier.id])


@post("/v1/cashiers", guards=[requires("merchants:write")])
async def create_cashier(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateCashier,
    once: Once,
    org: Org,
    merchants: Merchants,
) -> Response[CashierView]:
    """Add a cashier to a store."""

    async def work(conn: Conn) -> CashierView:
        new = NewCashier(
            store=await named_store(conn, principal, org, data.store),
            code=data.code,
            name=data.name,
            role=data.role,
        )
        return _view(await merchants.add_cashier(conn, new), new.name)

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/cashiers", guards=[requires("merchants:read")])
async def list_cashiers(
    principal: Principal,
    db: Database,
    org: Org,
    merchants: Merchants,
    store: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CashierView]:
    """List cashiers, of one store or all."""
    async with db.read() as conn:
        rows = await merchants.list_cashiers(
            conn,
            stores=await stores_to_list(conn, principal, org, store),
            after=after(cursor),
            limit=limit + 1,
        )
        names = await merchants.names(conn, rows[:limit])
    return page(
        rows,
        limit,
        lambda cashier: _view(cashier, names[cashier.id]),
        lambda cashier: (cashier.id,),
    )


@get("/v1/cashiers/{cashier:str}", guards=[requires("merchants:read")])
async def get_cashier(
    principal: Principal, db: Database, org: Org, merchants: Merchants, cashier: str
) -> CashierView:
    """Get a cashier."""
    async with db.read() as conn:
        found = await _visible(conn, principal, org, merchants, cashier)
        return await _named(conn, merchants, found)


@patch("/v1/cashiers/{cashier:str}", guards=[requires("merchants:write")])
async def change_cashier(
    principal: Principal,
    data: ChangeCashier,
    db: Database,
    org: Org,
    merchants: Merchants,
    cashier: str,
) -> CashierView:
    """Make a cashier a supervisor, or the other way round."""
    async with db.transaction() as conn:
        found = await _visible(conn, principal, org, merchants, cashier)
        changed = await merchants.set_cashier_role(conn, found.id, data.role)
        view = await _named(conn, merchants, changed)
    await merchants.catch_up()
    return view


@post("/v1/cashiers/{cashier:str}/link", guards=[requires("merchants:write")], status_code=200)
async def link_cashier(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: LinkCashier,
    once: Once,
    org: Org,
    customers: People,
    merchants: Merchants,
    cashier: str,
) -> Response[CashierView]:
    """Say which customer a cashier is: what such a cashier does to own cards is flagged."""

    async def work(conn: Conn) -> CashierView:
        found = await _visible(conn, principal, org, merchants, cashier)
        customer = None
        if data.customer is not None:
            customer = from_edge(CUSTOMER, data.customer, field="customer")
            if not principal.may_see_company(await customers.company_of(conn, customer)):
                raise NOT_FOUND.error("There is no such customer.", field="customer")
        changed = await merchants.link_cashier(conn, found.id, customer)
        return await _named(conn, merchants, changed)

    return await once_and_refresh(once, request, principal, data, work, merchants)


@post("/v1/cashiers/{cashier:str}/dismiss", guards=[requires("merchants:write")], status_code=200)
async def dismiss_cashier(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    cashier: str,
) -> Response[CashierView]:
    """A cashier leaves for good; a shift under way ends."""

    async def work(conn: Conn) -> CashierView:
        found = await _visible(conn, principal, org, merchants, cashier)
        return await _named(conn, merchants, await merchants.dismiss_cashier(conn, found.id))

    return await once_and_refresh(once, request, principal, None, work, merchants)


async def _visible(
    conn: Conn, principal: Principal, org: Org, merchants: Merchants, text: str
) -> Cashier:
    cashier = await merchants.get_cashier(conn, from_edge(CASHIER, text))
    await require_visible(conn, principal, org, cashier.store)
    return cashier


ROUTES = [create_cashier, list_cashiers, get_cashier, change_cashier, link_cashier, dismiss_cashier]
