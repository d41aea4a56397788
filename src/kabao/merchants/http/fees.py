"""`/v1/fee-plans` and `/v1/fee-terms`.

A plan is an offer of a company. Which one a store is under concerns both sides: issuers are
paid the fee, the store's company pays it. So it is for keys of the whole group to set.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, AmountOrZero, Currency, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import (
    COMPANY,
    FEE_PLAN,
    STORE,
    after,
    named_store,
    once_and_refresh,
)
from kabao.merchants.model import RATE_UNIT, FeePlan, FeeTerm, NewFeePlan, Rounding
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

Rate = Annotated[int, Meta(ge=0, le=RATE_UNIT, description="Basis points of the amount.")]


class CreateFeePlan(RequestBody, frozen=True):
    """A fee plan as agreed: share plus item fee, kept between `min` and `max`."""

    company: EdgeId
    name: Annotated[str, Meta(min_length=1, max_length=120, pattern=LINE)]
    rate_bp: Rate = 0
    per_item: AmountOrZero = 0
    min: AmountOrZero = 0
    max: AmountOrZero | None = None
    currency: Currency = "CNY"
    rounding: Rounding = Rounding.HALF_UP


class FeePlanView(msgspec.Struct, frozen=True):
    """What a store is charged for a redemption."""

    id: str
    company: str
    name: str
    rate_bp: int
    per_item: int
    min: int
    max: int | None
    currency: str
    rounding: Rounding
    created_at: str


def _plan_view(plan: FeePlan) -> FeePlanView:
    return FeePlanView(
        id=to_edge(FEE_PLAN, plan.id),
        company=to_edge(COMPANY, plan.company),
        name=plan.name,
        rate_bp=plan.rate_bp,
        per_item=plan.per_item_fen,
        min=plan.min_fen,
        max=plan.max_fen,
        currency="CNY",
        rounding=plan.rounding,
        created_at=rfc3339(to_us(plan.created_at)),
    )


class PutFeeTerm(RequestBody, frozen=True):
    """From this business day on the store is under this plan, or under none."""

    store: EdgeId
    fee_plan: EdgeId | None
    effective_from: date


class FeeTermView(msgspec.Struct, frozen=True):
    """From this business day on the store is under this plan, or under none."""

    store: str
    fee_plan: str | None
    effective_from: date
    created_at: str


def _term_view(term: FeeTerm) -> FeeTermView:
    return FeeTermView(
        store=to_edge(STORE, term.store),
        fee_plan=None if term.plan is None else to_edge(FEE_PLAN, term.plan),
        effective_from=term.effective_from,
        created_at=rfc3339(to_us(term.created_at)),
    )


@post("/v1/fee-plans", guards=[requires("merchants:write")])
async def create_fee_plan(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateFeePlan,
    once: Once,
    merchants: Merchants,
) -> Response[FeePlanView]:
    """Add a fee plan; it is never changed, only succeeded by another."""
    _require_company_key(principal)

    async def work(conn: Conn) -> FeePlanView:
        company = from_edge(COMPANY, data.company, field="company")
        if not principal.may_see_company(company):
            raise NOT_FOUND.error("There is no such company.", field="company")
        new = NewFeePlan(
            company=company,
            name=data.name,
            rate_bp=data.rate_bp,
            per_item_fen=data.per_item,
            min_fen=data.min,
            max_fen=data.max,
            rounding=data.rounding,
        )
        return _plan_view(await merchants.fees.add_plan(conn, new))

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/fee-plans", guards=[requires("merchants:read")])
async def list_fee_plans(
    principal: Principal,
    db: Database,
    merchants: Merchants,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[FeePlanView]:
    """List fee plans."""
    async with db.read() as conn:
        rows = await merchants.fees.list_plans(
            conn, companies=principal.companies, after=after(cursor), limit=limit + 1
        )
    return page(rows, limit, _plan_view, lambda plan: (plan.id,))


@get("/v1/fee-plans/{fee_plan:str}", guards=[requires("merchants:read")])
async def get_fee_plan(
    principal: Principal, db: Database, merchants: Merchants, fee_plan: str
) -> FeePlanView:
    """Get a fee plan."""
    async with db.read() as conn:
        plan = await merchants.fees.get_plan(conn, from_edge(FEE_PLAN, fee_plan))
    if not principal.may_see_company(plan.company):
        raise NOT_FOUND.error("There is no such fee plan.")
    return _plan_view(plan)


@post("/v1/fee-terms", guards=[requires("merchants:write")])
async def put_fee_term(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: PutFeeTerm,
    once: Once,
    org: Org,
    merchants: Merchants,
) -> Response[FeeTermView]:
    """Put a store under a fee plan from a business day on, tomorrow's at the earliest."""
    if not principal.whole_group:
        raise FORBIDDEN.error("Issuers get what a store pays: it takes a key of the whole group.")

    async def work(conn: Conn) -> FeeTermView:
        store = await named_store(conn, principal, org, data.store)
        plan = None
        if data.fee_plan is not None:
            plan = from_edge(FEE_PLAN, data.fee_plan, field="fee_plan")
            found = await merchants.fees.get_plan(conn, plan)
            if not principal.may_see_company(found.company):
                raise NOT_FOUND.error("There is no such fee plan.", field="fee_plan")
        return _term_view(await merchants.fees.put_term(conn, store, plan, data.effective_from))

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/fee-terms", guards=[requires("merchants:read")])
async def list_fee_terms(
    principal: Principal,
    db: Database,
    org: Org,
    merchants: Merchants,
    store: EdgeId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[FeeTermView]:
    """List a store's fee terms, past and to come, by their first day."""
    found = position(cursor, tuple[date])
    async with db.read() as conn:
        rows = await merchants.fees.terms(
            conn,
            await named_store(conn, principal, org, store),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _term_view, lambda term: (term.effective_from,))


def _require_company_key(principal: Principal) -> None:
    if principal.stores is not None:
        raise FORBIDDEN.error("A key for certain stores does not set what they pay.")


ROUTES = [create_fee_plan, list_fee_plans, get_fee_plan, put_fee_term, list_fee_terms]
