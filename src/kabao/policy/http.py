"""The HTTP door of policy: which rules hold and why, and the kill switches."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import BusinessDays, Clock, rfc3339
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, INVALID, NOT_FOUND, KabaoError
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Cursor,
    Limit,
    NumberPosition,
    Page,
    TextPosition,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.model import SWITCH_ROWS, Change, Rules, Setting
from kabao.policy.ops import NATIONAL, Policy
from kabao.policy.ports import (
    NOT_STOPPED,
    RELEASE_ACTION,
    Approvals,
    Companies,
    Diary,
    Programmes,
    SwitchRelease,
)
from kabao.policy.wording import Explained

COMPANY, PROGRAMME = "com", "prg"

Reason = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=LINE, description="Why; for colleagues.")
]


class PolicyView(msgspec.Struct, frozen=True):
    """Every rule that holds that day, by name, with its text and why it and no other.

    Nothing changes from `unchanged_from` to `unchanged_until`, inclusive; null: no end.
    """

    jurisdiction: str
    programme: str | None
    on: date
    unchanged_from: date | None
    unchanged_until: date | None
    rules: list[Explained]


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """How a switch stands: for the group, or for one company or programme.

    `set_by` and `approved_by` are ids of the key or person, as in the audit log.
    """

    switch: Switch
    state: SwitchState
    scope: Scope
    company: str | None
    programme: str | None
    rule: str
    reason: str
    set_by: str
    approved_by: str | None


class SwitchChangeView(SwitchView, frozen=True, kw_only=True):
    """One change of a switch, ever."""

    version: int
    set_at: str


class SwitchBody(RequestBody, frozen=True):
    """A switch, and how far it reaches: the group, unless a company or a programme is named."""

    switch: Switch
    reason: Reason
    company: EdgeId | None = None
    programme: EdgeId | None = None


class ReleaseView(msgspec.Struct, frozen=True):
    """A release that waits for a second person: `/v1/approvals/{approval}`."""

    approval: str
    kind: str


class _Reach(msgspec.Struct, frozen=True):
    """How far a switch reaches, and whom that touches (None: the group)."""

    scope: Scope
    scope_id: str | None
    companies: frozenset[str] | None


# --- rules ------------------------------------------------------------------------------


@get("/v1/policy", guards=[requires("policy:read")])
async def show_policy(
    principal: Principal,
    policy: Policy,
    cards: Programmes,
    db: Database,
    clock: Clock,
    days: BusinessDays,
    programme: EdgeId | None = None,
    jurisdiction: ShortText | None = None,
    on: date | None = None,
    name: ShortText | None = None,
) -> PolicyView:
    """Show what holds on a day, and why.

    For a programme with its own limits, or for a jurisdiction; today, unless
    `on` says another day. `name` picks rules that begin with it: `card.limit`.
    """
    if programme is not None:
        if jurisdiction is not None:
            raise INVALID.error("A programme has its jurisdiction.", field="jurisdiction")
        async with db.read() as conn:
            ident = from_edge(PROGRAMME, programme, field="programme")
            sold = await cards.find_programme(conn, ident, "programme")
        if not principal.may_see_company(sold.issuer):
            raise NOT_FOUND.error("There is no such programme.", field="programme")
        on = on or cards.today(sold)
        rules = cards.rules_of(sold, on)
    else:
        on = on or days.of(clock.now_us())
        rules = policy.rules(jurisdiction=jurisdiction or NATIONAL, on=on)
    told = [one for one in policy.explained(rules) if one.name.startswith(name or "")]
    return _policy_view(rules, programme, on, told)


def _policy_view(
    rules: Rules, programme: str | None, on: date, told: list[Explained]
) -> PolicyView:
    return PolicyView(
        jurisdiction=rules.jurisdiction,
        programme=programme,
        on=on,
        unchanged_from=None if rules.holds_from == date.min else rules.holds_from,
        unchanged_until=rules.holds_until,
        rules=told,
    )


# --- switches ---------------------------------------------------------------------------


@get("/v1/switches", guards=[requires("switches:read")])
async def list_switches(
    principal: Principal,
    policy: Policy,
    cards: Programmes,
    db: Database,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SwitchView]:
    """List every switch that stops something now."""
    after = position(cursor, tuple[TextPosition, TextPosition, TextPosition])
    async with db.read() as conn:
        stops = await policy.stops(conn)
    rows = [
        each
        for each in sorted(stops, key=_place)
        if (after is None or _place(each) > after) and _sees(principal, cards, each)
    ]
    return page(rows[: limit + 1], limit, _switch_view, _place)


@get("/v1/switches/changes", guards=[requires("switches:read")])
async def list_changes(
    principal: Principal,
    policy: Policy,
    cards: Programmes,
    db: Database,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SwitchChangeView]:
    """List every change of a switch, newest first."""
    found = position(cursor, tuple[NumberPosition])
    before = None if found is None else found[0]
    rows: list[Change] = []
    async with db.read() as conn:
        while len(rows) <= limit:
            some = await policy.switch_changes(conn, before=before, limit=MAX_LIMIT)
            rows += [each for each in some if _sees(principal, cards, each.setting)]
            if len(some) < MAX_LIMIT:
                break
            before = some[-1].version
    return page(rows[: limit + 1], limit, _switch_change_view, lambda change: (change.version,))


@post("/v1/switches", guards=[requires("switches:write")])
async def stop(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SwitchBody,
    once: Once,
    policy: Policy,
    cards: Programmes,
    org: Companies,
    diary: Diary,
    db: Database,
) -> Response[SwitchView]:
    """Stop a business at once. One person may; its release takes two."""

    async def work(conn: Conn) -> SwitchView:
        reach = await _reach(conn, principal, data, cards, org)
        setting = Setting(
            data.switch,
            reach.scope,
            reach.scope_id,
            SwitchState.STOPPED,
            data.reason,
            set_by=principal.id,
        )
        change = await policy.set_switch(conn, setting)
        subject = data.programme or data.company or Scope.GROUP
        await diary.note(conn, principal, f"switches:{data.switch}", subject, data.reason)
        return _switch_view(change.setting)

    response = await once(request, principal, data, work)
    with contextlib.suppress(KabaoError):  # the stop stands; the next refresh will see it
        async with db.read() as conn:
            await policy.refresh(conn)
    return response


@post("/v1/switches/release", guards=[requires("switches:write")])
async def ask_for_release(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SwitchBody,
    once: Once,
    policy: Policy,
    cards: Programmes,
    org: Companies,
    approvals: Approvals,
) -> Response[ReleaseView]:
    """Ask a second person to agree that a business goes on."""

    async def work(conn: Conn) -> ReleaseView:
        reach = await _reach(conn, principal, data, cards, org)
        wanted = (data.switch, reach.scope, reach.scope_id)
        stops = await policy.stops(conn)
        if wanted not in {(each.switch, each.scope, each.scope_id) for each in stops}:
            raise NOT_STOPPED.error(rule=SWITCH_ROWS[data.switch], field="switch")
        payload = SwitchRelease(data.switch, reach.scope, data.company, data.programme)
        asked = await approvals.ask(
            conn, principal, RELEASE_ACTION, payload, data.reason, companies=reach.companies
        )
        return ReleaseView(to_edge("apr", asked.id), RELEASE_ACTION)

    return await once(request, principal, data, work)


async def _reach(
    conn: Conn, principal: Principal, data: SwitchBody, cards: Programmes, org: Companies
) -> _Reach:
    """How far a switch is to reach, inside the key's scope. Raises `forbidden`, `not_found`."""
    if principal.stores is not None:
        raise FORBIDDEN.error("A key for certain stores sets no switches.")
    if data.company is not None and data.programme is not None:
        raise INVALID.error("A company or a programme, not both.", field="programme")
    if data.programme is not None:
        ident = from_edge(PROGRAMME, data.programme, field="programme")
        sold = await cards.find_programme(conn, ident, "programme")
        if not principal.may_see_company(sold.issuer):
            raise NOT_FOUND.error("There is no such programme.", field="programme")
        return _Reach(Scope.PROGRAMME, sold.id, frozenset({sold.issuer}))
    if data.company is not None:
        ident = from_edge(COMPANY, data.company, field="company")
        if org.company(ident) is None or not principal.may_see_company(ident):
            raise NOT_FOUND.error("There is no such company.", field="company")
        return _Reach(Scope.COMPANY, ident, frozenset({ident}))
    if not principal.whole_group:
        raise FORBIDDEN.error("This needs a key for the whole group.")
    return _Reach(Scope.GROUP, None, None)


def _sees(principal: Principal, cards: Programmes, setting: Setting) -> bool:
    """What holds for the group, or inside the key's scope."""
    match setting.scope:
        case Scope.GROUP:
            return True
        case Scope.COMPANY:
            return principal.may_see_company(setting.scope_id or "")
        case Scope.PROGRAMME:
            sold = cards.programme(setting.scope_id or "")
            return principal.companies is None or (
                sold is not None and principal.may_see_company(sold.issuer)
            )


def _place(setting: Setting) -> tuple[str, str, str]:
    return (setting.switch.value, setting.scope.value, setting.scope_id or "")


def _shown(setting: Setting) -> dict[str, Any]:
    scope, ident = setting.scope, setting.scope_id or ""
    return {
        "switch": setting.switch,
        "state": setting.state,
        "scope": scope,
        "company": to_edge(COMPANY, ident) if scope is Scope.COMPANY else None,
        "programme": to_edge(PROGRAMME, ident) if scope is Scope.PROGRAMME else None,
        "rule": SWITCH_ROWS[setting.switch],
        "reason": setting.reason,
        "set_by": setting.set_by,
        "approved_by": setting.approved_by,
    }


def _switch_view(setting: Setting) -> SwitchView:
    return SwitchView(**_shown(setting))


def _switch_change_view(change: Change) -> SwitchChangeView:
    return SwitchChangeView(
        **_shown(change.setting), version=change.version, set_at=rfc3339(change.set_at_us)
    )


ROUTES: list[HTTPRouteHandler] = [
    show_policy,
    list_switches,
    list_changes,
    stop,
    ask_for_release,
]
