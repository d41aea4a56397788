"""`/v1/settlement-rules` and `/v1/workdays`: by which rules, and on which days, is settled."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, AmountOrZero, EdgeId, RequestBody, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.clearing.approvals_clearing import RULE_ACTION, WORKDAYS_ACTION, NewRule, NewWorkdays
from kabao.clearing.http.days import WRITE, Reason
from kabao.clearing.http.settlements import READ
from kabao.clearing.model.settlement import RULE
from kabao.clearing.model.terms import WORKDAYS_MAX, Rule, Terms
from kabao.clearing.ops import Clearing
from kabao.policy.choices import FeeReturn, SettledCash

Year = Annotated[int, Meta(ge=2020, le=2100)]


class SetSettlementRule(RequestBody, frozen=True, kw_only=True):
    """How an issuer settles from a day on; without a company: all that have no own rule."""

    company: EdgeId | None
    effective_from: date
    workdays: Annotated[int, Meta(ge=0, le=WORKDAYS_MAX, description="T+n.")]
    minimum: AmountOrZero
    cash: SettledCash
    fees_on_refunds: FeeReturn
    carry_negative: bool
    reason: Reason


class SettlementRuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of settlement rules. It is never changed; a later one follows it."""

    id: str
    company: str | None
    version: int
    effective_from: date
    workdays: int
    minimum: int
    cash: SettledCash
    fees_on_refunds: FeeReturn
    carry_negative: bool
    digest: str
    reason: str
    created_at: str


class DaySaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A day, and whether it is worked."""

    day: date
    workday: bool


class SayWorkdays(RequestBody, frozen=True, kw_only=True):
    """Days that differ from what is published, and years that are complete by what is said:
    Monday to Friday but for these days.
    """

    days: Annotated[list[DaySaid], Meta(max_length=120)] = msgspec.field(default_factory=list)
    years: Annotated[list[Year], Meta(max_length=5)] = msgspec.field(default_factory=list)
    reason: Reason


class WorkdaysView(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar of a year: weekdays that are free, weekends that are worked."""

    year: int
    known: bool
    free: list[date]
    worked: list[date]


@get("/v1/settlement-rules", guards=[requires(READ)])
async def list_rules(
    principal: Principal,
    db: Database,
    clearing: Clearing,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SettlementRuleView]:
    """List every version of the rules that hold for the key's companies, oldest first."""
    after = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rules = await clearing.terms.versions(conn)
    rows = [
        rule
        for rule in sorted(rules, key=lambda rule: rule.id)
        if (rule.company is None or principal.covers(rule.company))
        and (after is None or rule.id > after[0])
    ]
    return page(rows[: limit + 1], limit, _view, lambda row: (row.id,))


@post("/v1/settlement-rules", guards=[requires(WRITE)])
async def set_rule(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SetSettlementRule,
    once: Once,
    clearing: Clearing,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to settlement rules."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    if data.company is None:
        _whole(principal)
        touched = None
    else:
        company = from_edge("com", data.company, field="company")
        if not principal.covers(company):
            raise NOT_FOUND.error("There is no such company.", field="company")
        touched = frozenset({company})
    terms = Terms(
        workdays=data.workdays,
        minimum_fen=data.minimum,
        cash=data.cash,
        fees_on_refunds=data.fees_on_refunds,
        carry_negative=data.carry_negative,
    )

    async def work(conn: Conn) -> ApprovalView:
        clearing.terms.check(terms, data.effective_from)
        payload = NewRule(data.company, data.effective_from, terms)
        asked = await access.approvals.ask(
            conn, principal, RULE_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@get("/v1/workdays", guards=[requires(READ)])
async def get_workdays(db: Database, clearing: Clearing, year: Year) -> WorkdaysView:
    """Get the calendar of a year, as far as it is known."""
    async with db.read() as conn:
        workdays = await clearing.terms.workdays(conn)
    if not workdays.knows(year):
        return WorkdaysView(year=year, known=False, free=[], worked=[])
    first = date(year, 1, 1)
    days = [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]
    weekend = 5
    return WorkdaysView(
        year=year,
        known=True,
        free=[d for d in days if d.weekday() < weekend and not workdays.is_workday(d)],
        worked=[d for d in days if d.weekday() >= weekend and workdays.is_workday(d)],
    )


@post("/v1/workdays", guards=[requires(WRITE)])
async def say_workdays(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SayWorkdays,
    once: Once,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to workdays that are published nowhere, or otherwise."""
    _whole(principal)
    if not data.days and not data.years:
        raise INVALID.error("Name days or years.", field="days")

    async def work(conn: Conn) -> ApprovalView:
        days = {each.day.isoformat(): each.workday for each in data.days}
        payload = NewWorkdays(days, tuple(sorted(set(data.years))))
        asked = await access.approvals.ask(
            conn, principal, WORKDAYS_ACTION, payload, data.reason, companies=None
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


def _whole(principal: Principal) -> None:
    if not principal.whole_group:
        raise FORBIDDEN.error("This needs a key for the whole group.")


def _view(rule: Rule) -> SettlementRuleView:
    return SettlementRuleView(
        id=to_edge(RULE, rule.id),
        company=None if rule.company is None else to_edge("com", rule.company),
        version=rule.version,
        effective_from=rule.effective_from,
        workdays=rule.terms.workdays,
        minimum=rule.terms.minimum_fen,
        cash=rule.terms.cash,
        fees_on_refunds=rule.terms.fees_on_refunds,
        carry_negative=rule.terms.carry_negative,
        digest=rule.digest.hex(),
        reason=rule.reason,
        created_at=rfc3339(to_us(rule.created_at)),
    )


ROUTES = [list_rules, set_rule, get_workdays, say_workdays]
