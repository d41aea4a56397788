"""`/v1/bonus-rules`: what top-ups are given on top (满赠, A-11)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, Amount, EdgeId, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.cards.model import Programme
from kabao.cards.ops import Cards
from kabao.topups.approvals import BONUS_ACTION, NewBonusRule
from kabao.topups.model.bonus import (
    BONUS_RULE,
    FULL_BP,
    BonusRule,
    Period,
    RuleState,
    Terms,
    check_terms,
)
from kabao.topups.ops import TopUps


class AskForBonusRule(RequestBody, frozen=True, kw_only=True):
    """A rule that a second person is to agree to: `give` or `give_bp`, from an amount on."""

    programme: EdgeId
    name: ShortText
    from_amount: Amount
    give: Amount | None = None
    give_bp: (
        Annotated[
            int,
            Meta(ge=1, le=FULL_BP, description="Ten-thousandths of what is paid, rounded down."),
        ]
        | None
    ) = None
    topup_max: Amount | None = None
    """The most for one top-up."""
    card_max: Amount | None = None
    """The most for one card in a period."""
    period: Period = Period.CAMPAIGN
    starts_on: date
    ends_on: date
    """The last business day."""
    budget: Amount
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]

    def terms(self) -> Terms:
        """As they are kept."""
        return Terms(
            name=self.name,
            from_fen=self.from_amount,
            give_fen=self.give,
            give_bp=self.give_bp,
            topup_max_fen=self.topup_max,
            card_max_fen=self.card_max,
            period=self.period,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            budget_fen=self.budget,
        )


class BonusRuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and how much of its budget is given or promised. Whole fen."""

    id: str
    programme: str
    name: str
    from_amount: int
    give: int | None
    give_bp: int | None
    topup_max: int | None
    card_max: int | None
    period: Period
    starts_on: date
    ends_on: date
    budget: int
    used: int
    state: RuleState
    approval: str
    created_at: str
    ended_at: str | None


def rule_view(rule: BonusRule) -> BonusRuleView:
    """A rule for the outside."""
    return BonusRuleView(
        id=to_edge(BONUS_RULE, rule.id),
        programme=to_edge("prg", rule.programme),
        name=rule.name,
        from_amount=rule.from_fen,
        give=rule.give_fen,
        give_bp=rule.give_bp,
        topup_max=rule.topup_max_fen,
        card_max=rule.card_max_fen,
        period=rule.period,
        starts_on=rule.starts_on,
        ends_on=rule.ends_on,
        budget=rule.budget_fen,
        used=rule.used_fen,
        state=rule.state,
        approval=to_edge("apr", rule.approval),
        created_at=rfc3339(to_us(rule.created_at)),
        ended_at=rfc3339(to_us(rule.ended_at)) if rule.ended_at else None,
    )


@post("/v1/bonus-rules", guards=[requires("bonus-rules:write")], tags=["topups"])
async def ask_for_rule(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForBonusRule,
    once: Once,
    cards: Cards,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a bonus rule; it gives from that moment on."""

    async def work(conn: Conn) -> ApprovalView:
        terms = data.terms()
        programme = await _programme(conn, principal, cards, data.programme)
        check_terms(terms)
        asked = await access.approvals.ask(
            conn,
            principal,
            BONUS_ACTION,
            NewBonusRule(to_edge("prg", programme.id), terms),
            data.reason,
            companies=frozenset({programme.issuer}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post(
    "/v1/bonus-rules/{bonus_rule:str}/end",
    guards=[requires("bonus-rules:write")],
    status_code=200,
    tags=["topups"],
)
async def end_rule(
    request: Request[Any, Any, Any],
    principal: Principal,
    bonus_rule: EdgeId,
    once: Once,
    cards: Cards,
    topups: TopUps,
) -> Response[BonusRuleView]:
    """End a rule: it gives nothing from now on. That takes nobody else."""

    async def work(conn: Conn) -> BonusRuleView:
        found = await _rule(conn, principal, cards, topups, bonus_rule)
        return rule_view(await topups.bonuses.end(conn, found.id))

    return await once(request, principal, None, work)


@get("/v1/bonus-rules", guards=[requires("bonus-rules:read")], tags=["topups"])
async def list_rules(
    principal: Principal,
    db: Database,
    cards: Cards,
    topups: TopUps,
    programme: EdgeId,
    state: RuleState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BonusRuleView]:
    """A programme's rules, newest first."""
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        of = await _programme(conn, principal, cards, programme)
        found = await topups.bonuses.search(
            conn,
            programmes=[of.id],
            state=state,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, rule_view, lambda rule: (rule.id,))


@get("/v1/bonus-rules/{bonus_rule:str}", guards=[requires("bonus-rules:read")], tags=["topups"])
async def show_rule(
    principal: Principal, db: Database, cards: Cards, topups: TopUps, bonus_rule: EdgeId
) -> BonusRuleView:
    """A rule, and how much of its budget is used."""
    async with db.read() as conn:
        return rule_view(await _rule(conn, principal, cards, topups, bonus_rule))


async def _programme(conn: Conn, principal: Principal, cards: Cards, ident: str) -> Programme:
    """A programme of the key's own companies. Raises `not_found`."""
    found = await cards.find_programme(
        conn, from_edge("prg", ident, field="programme"), "programme"
    )
    if not principal.covers(found.issuer):
        raise NOT_FOUND.error("There is no such programme.", field="programme")
    return found


async def _rule(
    conn: Conn, principal: Principal, cards: Cards, topups: TopUps, ident: str
) -> BonusRule:
    """A rule of the key's own companies. Raises `not_found`."""
    rule = await topups.bonuses.get(conn, from_edge(BONUS_RULE, ident))
    if not principal.covers((await cards.find_programme(conn, rule.programme)).issuer):
        raise NOT_FOUND.error("There is no such bonus rule.")
    return rule


ROUTES = [ask_for_rule, end_rule, list_rules, show_rule]
