"""`/v1/companies`: only keys for the whole group change them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.org.http.scope import (
    COMPANY,
    LongName,
    after,
    once_and_refresh,
    require_whole_group,
)
from kabao.org.model import (
    Company,
    CompanyChange,
    IssuerType,
    Jurisdiction,
    NewCompany,
    Standing,
)
from kabao.org.ops import Org

CreditCode = Annotated[
    str,
    Meta(
        min_length=18,
        max_length=18,
        pattern=LINE,
        description="Unified social credit code (GB 32100).",
    ),
]


class CompanyView(msgspec.Struct, frozen=True):
    """A legal entity of the group graph."""

    id: str
    name: str
    issuer_type: IssuerType
    jurisdiction: Jurisdiction
    parent: str | None
    credit_code: str | None
    state: Standing
    created_at: str


def _company_view(company: Company) -> CompanyView:
    return CompanyView(
        id=to_edge(COMPANY, company.id),
        name=company.name,
        issuer_type=company.issuer_type,
        jurisdiction=company.jurisdiction,
        parent=None if company.parent is None else to_edge(COMPANY, company.parent),
        credit_code=company.credit_code,
        state=company.state,
        created_at=rfc3339(to_us(company.created_at)),
    )


class CreateCompany(RequestBody, frozen=True):
    """A company enters the graph."""

    name: LongName
    issuer_type: IssuerType = IssuerType.OTHER
    jurisdiction: Jurisdiction = Jurisdiction.NATIONAL
    parent: EdgeId | None = None
    credit_code: CreditCode | None = None


class ChangeCompany(RequestBody, frozen=True):
    """What is to be different; what is left out stays."""

    name: LongName | UnsetType = UNSET
    issuer_type: IssuerType | UnsetType = UNSET
    jurisdiction: Jurisdiction | UnsetType = UNSET
    parent: EdgeId | UnsetType | None = UNSET
    credit_code: CreditCode | UnsetType | None = UNSET


@post("/v1/companies", guards=[requires("org:write")])
async def create_company(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateCompany,
    once: Once,
    org: Org,
) -> Response[CompanyView]:
    """Add a company to the group graph."""
    require_whole_group(principal)

    async def work(conn: Conn) -> CompanyView:
        new = NewCompany(
            name=data.name,
            issuer_type=data.issuer_type,
            jurisdiction=data.jurisdiction,
            parent=None if data.parent is None else from_edge(COMPANY, data.parent, field="parent"),
            credit_code=data.credit_code,
        )
        return _company_view(await org.add_company(conn, new))

    return await once_and_refresh(once, request, principal, data, work, org)


@get("/v1/companies", guards=[requires("org:read")])
async def list_companies(
    principal: Principal,
    db: Database,
    org: Org,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CompanyView]:
    """List companies."""
    async with db.read() as conn:
        rows = await org.list_companies(
            conn, within=principal.companies, after=after(cursor), limit=limit + 1
        )
    return page(rows, limit, _company_view, lambda company: (company.id,))


@get("/v1/companies/{company:str}", guards=[requires("org:read")])
async def get_company(principal: Principal, db: Database, org: Org, company: str) -> CompanyView:
    """Get a company."""
    ident = from_edge(COMPANY, company)
    if not principal.may_see_company(ident):
        raise NOT_FOUND.error("There is no such company.")
    async with db.read() as conn:
        return _company_view(await org.get_company(conn, ident))


@patch("/v1/companies/{company:str}", guards=[requires("org:write")])
async def change_company(
    principal: Principal, data: ChangeCompany, db: Database, org: Org, company: str
) -> CompanyView:
    """Change a company."""
    require_whole_group(principal)
    parent = data.parent
    change = CompanyChange(
        name=data.name,
        issuer_type=data.issuer_type,
        jurisdiction=data.jurisdiction,
        parent=from_edge(COMPANY, parent, field="parent") if isinstance(parent, str) else parent,
        credit_code=data.credit_code,
    )
    async with db.transaction() as conn:
        changed = await org.change_company(conn, from_edge(COMPANY, company), change)
    await org.catch_up()
    return _company_view(changed)


@post("/v1/companies/{company:str}/close", guards=[requires("org:write")], status_code=200)
async def close_company(
    request: Request[Any, Any, Any], principal: Principal, once: Once, org: Org, company: str
) -> Response[CompanyView]:
    """Close a company that has no open store and no open daughter."""
    require_whole_group(principal)

    async def work(conn: Conn) -> CompanyView:
        return _company_view(await org.close_company(conn, from_edge(COMPANY, company)))

    return await once_and_refresh(once, request, principal, None, work, org)


@post("/v1/companies/{company:str}/reopen", guards=[requires("org:write")], status_code=200)
async def reopen_company(
    request: Request[Any, Any, Any], principal: Principal, once: Once, org: Org, company: str
) -> Response[CompanyView]:
    """Reopen a company."""
    require_whole_group(principal)

    async def work(conn: Conn) -> CompanyView:
        return _company_view(await org.reopen_company(conn, from_edge(COMPANY, company)))

    return await once_and_refresh(once, request, principal, None, work, org)


ROUTES = [
    create_company,
    list_companies,
    get_company,
    change_company,
    close_company,
    reopen_company,
]
